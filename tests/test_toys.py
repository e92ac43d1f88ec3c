"""What is to be added next is one file and one line in a registry: a toy of each is.

The toys are in ``tests/toys``, a file each.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime
import pytest
import torch

import caloforge
from caloforge.errors import CaloforgeError, ExportError, TrainingError
from caloforge.evaluation.features.shapes import Direction, lateral_centre
from caloforge.export import export_run, profiles
from caloforge.incident.incident import Incident
from caloforge.models import systems
from caloforge.models.system import Batch, Given
from caloforge.random import Purpose, Streams
from caloforge.runtime import load_card
from caloforge.showers import Showers, read_showers, write_showers
from caloforge.showers.split import split_file
from caloforge.training import Recipe, Run, train
from caloforge.training.checkpoint import load_checkpoint
from caloforge.training.data import Mirrors, TrainingData
from conftest import ROOT
from toys.flat import FLAT, LARGEST
from toys.slow import SlowGenerator
from toys.two_critics import ToyCritics, gradient_penalty

DIRECTIONS_OF_AXES: tuple[Direction, Direction] = ("phi", "eta")  # x and y
FIXTURES = ROOT / "tests" / "data"
TOYS = {
    "toy-flow": "toys.flow:ToyFlow",
    "toy-student": "toys.student:ToyStudent",
    "toy-slow": "toys.slow:ToySlow",
    "toy-critics": "toys.two_critics:ToyCritics",
    "toy-aimed": "toys.aimed:ToyAimed",
}


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line each."""
    for name, where in TOYS.items():
        monkeypatch.setitem(systems.SYSTEMS, name, (where, "A toy."))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("toys")
    found = {}
    for name in ("eplus", "gamma"):
        found[name] = folder / f"{name}.h5"
        split_file(FIXTURES / f"{name}-calogan.h5", found[name], fractions=(0.5, 0.3, 0.2), seed=3)
    return found


def recipe(system: str, files: dict[str, Any], **changes: Any) -> Recipe:
    return Recipe.parse({"system": system, "data": files, "threads": 1, **changes})


def same(first: Run, second: Run) -> None:
    for which in ("checkpoint", "best"):
        states = []
        for run in (first, second):
            system = run.build()
            load_checkpoint(getattr(run, which), system)
            states.append(system.state_dict())
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


class TestFlow:
    def test_its_epoch_is_chosen_by_its_own_criterion(
        self, data: dict[str, Path], tmp_path: Path
    ) -> None:
        run = train(recipe("toy-flow", {"e+": data["eplus"]}), tmp_path / "run")
        looks = run.records("validation")
        assert run.recipe.criterion == "loss"
        assert run.best_epoch == min(looks, key=lambda look: float(look["loss"]))["epoch"]
        assert looks[-1]["loss"] < looks[0]["loss"]
        assert "frechet" in looks[0]  # it is quick: looked at beside it
        # Bits per cell of the validation rows, by hand.
        system = cast("Any", run.load_best())
        batch = TrainingData.load(run.recipe.data).validation_batch
        with torch.no_grad():
            bits = system.loss(batch, torch.Generator())["nll"] / (504 * np.log(2))
        best = min(float(look["loss"]) for look in looks)
        assert float(bits) == pytest.approx(best, rel=1e-5)

    def test_a_system_without_losses_says_so(self, data: dict[str, Path], tmp_path: Path) -> None:
        asked = recipe("toy-critics", {"e+": data["eplus"]}, choose_by="loss")
        with pytest.raises(TrainingError, match="toy-critics has no loss on validation rows"):
            train(asked, tmp_path / "run")
        run = Run.open(tmp_path / "run")
        assert (run.state, run.problem.split(":")[0]) == ("failed", "choose_by")


@pytest.fixture(scope="module")
def teacher(data: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(systems.SYSTEMS, "toy-flow", (TOYS["toy-flow"], "A toy."))
        folder = tmp_path_factory.mktemp("teacher") / "run"
        return train(recipe("toy-flow", {"e+": data["eplus"]}), folder)


class TestStudent:
    def test_learns_from_a_teacher_and_resumes(
        self, teacher: Run, data: dict[str, Path], tmp_path: Path
    ) -> None:
        asked = recipe("toy-student", {"e+": data["eplus"]}, teacher=teacher.folder)
        whole = train(asked, tmp_path / "whole")
        looks = whole.records("validation")
        assert looks[-1]["loss"] < looks[0]["loss"]
        assert whole.state == "done"
        assert whole.parents == (teacher.parent,) == Run.open(whole.folder).parents
        assert whole.recipe.command().endswith(f"--teacher {teacher.folder.name}")
        # It is no part of the student, and does not change.
        student = whole.load_best()
        assert not any("flow" in name for name in student.state_dict())
        again = teacher.load_best().state_dict()
        assert all(torch.equal(v, again[k]) for k, v in teacher.load_best().state_dict().items())

        def interrupt(done: float, text: str) -> None:
            if done >= 0.5:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            train(asked, tmp_path / "parts", progress=interrupt)
        assert Run.open(tmp_path / "parts").state == "stopped"
        same(whole, train(asked, tmp_path / "parts", resume=True))

    def test_wrong_teachers(self, teacher: Run, data: dict[str, Path], tmp_path: Path) -> None:
        files = {"e+": data["eplus"]}
        for changes, match in (
            ({}, "toy-student needs one; name its run"),
            ({"teacher": tmp_path}, "is no folder of a training"),
        ):
            asked = recipe("toy-student", files, **changes)
            with pytest.raises(CaloforgeError, match=match):
                train(asked, tmp_path / "run")
        with pytest.raises(CaloforgeError, match="toy-flow learns from none"):
            train(recipe("toy-flow", files, teacher=teacher.folder), tmp_path / "run")
        gamma = recipe("toy-student", {"gamma": data["gamma"]}, teacher=teacher.folder)
        with pytest.raises(CaloforgeError, match=r"is of e\+, not of gamma"):
            train(gamma, tmp_path / "run")
        slow = train(recipe("toy-slow", files, settings={"epochs": 1}), tmp_path / "slow")
        with pytest.raises(CaloforgeError, match="toy-slow, which toy-student does not learn from"):
            train(recipe("toy-student", files, teacher=slow.folder), tmp_path / "run")
        assert not (tmp_path / "run").exists()

    def test_another_teacher_is_refused_on_resuming(
        self, teacher: Run, data: dict[str, Path], tmp_path: Path
    ) -> None:
        files = {"e+": data["eplus"]}
        other = train(recipe("toy-flow", files, seed=2), tmp_path / "other")
        train(recipe("toy-student", files, teacher=teacher.folder), tmp_path / "run")
        asked = recipe("toy-student", files, teacher=other.folder)
        with pytest.raises(TrainingError, match="began with another teacher"):
            train(asked, tmp_path / "run", resume=True)


class TestSlow:
    def test_it_is_averaged_and_not_sampled_at_each_look(
        self, data: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sampled: list[int] = []
        forward = SlowGenerator.forward

        def spy(self: SlowGenerator, z: torch.Tensor, given: Given) -> torch.Tensor:
            sampled.append(len(z))
            return forward(self, z, given)

        monkeypatch.setattr(SlowGenerator, "forward", spy)
        run = train(recipe("toy-slow", {"e+": data["eplus"]}), tmp_path / "run")
        assert not sampled
        assert all("distinct" not in look for look in run.records("validation"))
        system = run.load_best()
        assert system.sampler is not system.generator
        differ = [
            not torch.equal(value, system.generator.state_dict()[name])
            for name, value in system.sampler.state_dict().items()
        ]
        assert any(differ)
        # Where it is chosen by showers, it is sampled.
        settings = {"epochs": 1}
        train(
            recipe("toy-slow", {"e+": data["eplus"]}, choose_by="frechet", settings=settings),
            tmp_path / "sampled",
        )
        assert sampled


class TestCritics:
    def test_two_critics_with_gradient_penalties(
        self, data: dict[str, Path], tmp_path: Path
    ) -> None:
        asked = recipe("toy-critics", {"e+": data["eplus"]}, choose_by="frechet")
        run = train(asked, tmp_path / "run")
        (first, *_) = run.records("epoch")
        assert {"image_critic/penalty", "energy_critic/penalty", "generator/image"} <= set(first)
        same(run, train(asked, tmp_path / "again"))

    def test_the_penalty_reaches_every_parameter_of_the_critic(self, data: dict[str, Path]) -> None:
        setting = TrainingData.load(
            {"e+": [data["eplus"]]},
            lambda detector: ToyCritics.readout(ToyCritics.config_type.preset("cpu"), detector),
        ).setting
        critic = ToyCritics(ToyCritics.config_type.preset("cpu"), setting).image_critic
        x = torch.rand(6, setting.detector.n_cells, generator=torch.Generator().manual_seed(1))
        gradient_penalty(critic, x).backward()  # type: ignore[no-untyped-call]
        without = [
            name
            for name, parameter in critic.named_parameters()
            if parameter.grad is None or not parameter.grad.any()
        ]
        assert without == ["head.bias"]  # a constant has no gradient


@pytest.fixture
def aimed(tmp_path: Path) -> dict[str, Path]:
    """Showers of two particles that enter anywhere, split."""
    rng = np.random.default_rng(1)
    found = {}
    for particle, name in (("e+", "eplus"), ("gamma", "gamma")):
        showers = read_showers(FIXTURES / f"{name}-calogan.h5")
        directions = np.array([0, 0, 1]) + rng.normal(0, 0.2, (len(showers), 3))
        showers = replace(
            showers,
            entry_point=rng.uniform(-20, 20, (len(showers), 2)),
            direction=directions / np.linalg.norm(directions, axis=1, keepdims=True),
        )
        write_showers(tmp_path / f"{name}-all.h5", showers)
        found[particle] = tmp_path / f"{name}.h5"
        split_file(tmp_path / f"{name}-all.h5", found[particle], fractions=(0.5, 0.3, 0.2), seed=3)
    return found


class TestAimed:
    def test_trains_on_entry_points_and_directions(
        self, aimed: dict[str, Path], tmp_path: Path
    ) -> None:
        run = train(recipe("toy-aimed", aimed), tmp_path / "run")
        looks = run.records("validation")
        assert looks[-1]["loss"] < looks[0]["loss"]
        assert "frechet" in looks[0]

    def test_data_that_do_not_say_are_refused(self, data: dict[str, Path], tmp_path: Path) -> None:
        showers = read_showers(FIXTURES / "eplus-calogan.h5")
        write_showers(tmp_path / "all.h5", replace(showers, entry_point=None))
        split_file(tmp_path / "all.h5", tmp_path / "a.h5", seed=3)
        asked = recipe("toy-aimed", {"e+": tmp_path / "a.h5"})
        with pytest.raises(TrainingError, match="data: has no entry_point, which toy-aimed"):
            train(asked, tmp_path / "run")

    def test_mirrors_turn_what_is_given(self, aimed: dict[str, Path]) -> None:
        data = TrainingData.load({particle: [file] for particle, file in aimed.items()})
        detector = data.setting.detector
        mirrors = Mirrors.of(detector)
        signs = {tuple(sign.tolist()) for sign in mirrors.signs}
        assert signs == {(1, 1), (-1, 1), (1, -1), (-1, -1)}
        batch = data.train[:5]
        assert batch.given.entry_point is not None
        assert batch.given.direction is not None
        for number in range(len(mirrors)):
            seen = mirrors.seen(batch, torch.full((5,), number))
            assert seen.given.entry_point is not None
            assert seen.given.direction is not None
            sign = mirrors.signs[number]
            assert torch.equal(seen.given.entry_point, batch.given.entry_point * sign)
            assert torch.equal(seen.given.direction[:, :2], batch.given.direction[:, :2] * sign)
            assert torch.equal(seen.given.direction[:, 2], batch.given.direction[:, 2])
            # The centre of energy of each layer is where the mirror says.
            for axis, direction in enumerate(DIRECTIONS_OF_AXES):
                here, there = (
                    lateral_centre(
                        Showers(detector, each.energy.ravel().numpy(), each.deposits.numpy()),
                        direction,
                    )
                    for each in (batch, seen)
                )
                np.testing.assert_allclose(there, here * float(sign[axis]), atol=1e-3)


class TestData:
    def test_several_files_of_a_particle(
        self, aimed: dict[str, Path], data: dict[str, Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one = TrainingData.load({"e+": [data["eplus"]], "gamma": [data["gamma"]]})
        both = TrainingData.load({"e+": [data["eplus"], aimed["e+"]], "gamma": [data["gamma"]]})
        n = len(one.train)
        more = len(both.train) - n
        assert [item.rows for item in both.files][::2] == [item.rows for item in one.files]
        first = int((one.train.label == 0).sum())
        assert torch.equal(both.train.deposits[:first], one.train.deposits[:first])
        assert torch.equal(both.train.deposits[first + more :], one.train.deposits[first:])
        assert torch.bincount(both.train.label).tolist() == [first + more, n - first]
        assert len(both.validation[0]) > len(one.validation[0])
        assert len(both.validation_batch) == sum(map(len, both.validation))
        # What does not fit into memory lies in a file: the same rows, the same batches.
        monkeypatch.setattr("caloforge.training.data._IN_MEMORY", 1000)
        mapped = TrainingData.load({"e+": [data["eplus"]], "gamma": [data["gamma"]]})
        for here, there in zip(one.batches(1, 0, 8), mapped.batches(1, 0, 8), strict=True):
            assert torch.equal(here.deposits, there.deposits)

    def test_a_curriculum(self, data: dict[str, Path]) -> None:
        """Rows in an order of the system's own: here of rising energy."""
        loaded = TrainingData.load({"e+": [data["eplus"]]})

        def rising(train: Batch, epoch: int, rng: np.random.Generator) -> np.ndarray:
            return np.asarray(train.energy.ravel().argsort())

        energies = [batch.energy.max() for batch in loaded.batches(1, 0, 4, order=rising)]
        assert energies == sorted(energies)
        with pytest.raises(TrainingError, match="order: has shape"):
            next(loaded.batches(1, 0, 4, order=lambda train, epoch, rng: np.arange(3)))


class TestExport:
    @pytest.fixture
    def several(self, aimed: dict[str, Path], tmp_path: Path) -> Path:
        """Two particles, entry points and directions: an artefact of one network."""
        run = train(recipe("toy-aimed", aimed), tmp_path / "run")
        export_run(run.folder, tmp_path / "made")
        return tmp_path / "made"

    def test_an_artefact_of_several_particles_told_where_they_enter(
        self, several: Path, tmp_path: Path
    ) -> None:
        card = load_card(several)
        assert card.name == "toy-aimed-eplus-gamma"
        assert card.particles == ("e+", "gamma")
        names = ["energy", "label", "entry_point", "direction"]
        assert [item.name for item in card.conditions] == names
        assert [item.name for item in card.inputs] == ["z", *names]
        network = cast("Any", Run.open(tmp_path / "run").load_best()).generator
        points = np.array([[0.0, 0.0], [5.0, -3.0]])
        directions = np.array([[0.0, 0.0, 1.0], [0.6, 0.0, 0.8]])
        for label, particle in enumerate(card.particles):
            incident = Incident(np.array([10.0, 20.0]), particle, points, directions)
            made = caloforge.load(several, particle).sample(incident, seed=3)
            assert made.particle == particle
            np.testing.assert_array_equal(made.entry_point, points)
            z = Streams(3, np.arange(2), Purpose.GENERATOR).normal(network.noise)
            given = Given(
                torch.tensor([[10.0], [20.0]]),
                torch.full((2,), label),
                torch.from_numpy(points).float(),
                torch.from_numpy(directions).float(),
            )
            with torch.no_grad():
                expected = network(torch.from_numpy(z).float(), given).numpy()
            np.testing.assert_allclose(made.deposits, expected, rtol=1e-4, atol=1e-2)

    def test_one_of_several(self, several: Path, tmp_path: Path) -> None:
        export_run(tmp_path / "run", tmp_path / "one", particle="gamma")
        card = load_card(tmp_path / "one")
        assert card.particles == ("gamma",)
        assert "label" not in {item.name for item in card.inputs}
        one, both = (caloforge.load(tmp_path / name, "gamma") for name in ("one", "made"))
        first, second = (each.sample([5.0, 50.0], seed=1).deposits for each in (one, both))
        np.testing.assert_allclose(first, second, rtol=1e-5)

    def test_a_profile(
        self, data: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        where = ("toys.flat:FlatProfile", "A toy.")
        monkeypatch.setitem(profiles.PROFILES, "toy-flat", where)
        run = train(recipe("toy-flow", {"e+": data["eplus"]}), tmp_path / "run")
        assert export_run(run.folder, tmp_path / "made", profiles=["toy-flat"]) <= 1e-5
        card = load_card(tmp_path / "made")
        assert {FLAT, "generator.onnx"} <= set(card.files)
        assert f"{FLAT} makes one shower at a time." in card.limits
        # What the host feeds gives what the generator gives.
        made = caloforge.load(tmp_path / "made").sample([40.0], seed=2)
        z = Streams(2, np.arange(1), Purpose.GENERATOR).normal(504)
        session = onnxruntime.InferenceSession(tmp_path / "made" / FLAT)
        fed = np.concatenate([z, [[40.0 * 1000.0 / LARGEST]]], axis=1).astype(np.float32)
        layers = session.run(None, {"everything": fed})
        for layer, image in zip(layers, made.images, strict=True):
            np.testing.assert_allclose(1000.0 * layer.ravel(), image.ravel(), rtol=1e-4, atol=1e-3)

    def test_what_a_profile_refuses_is_said_before_anything_is_written(
        self, several: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        where = ("toys.flat:FlatProfile", "A toy.")
        monkeypatch.setitem(profiles.PROFILES, "toy-flat", where)
        with pytest.raises(ExportError, match="toy-flat feeds no particle"):
            export_run(tmp_path / "run", tmp_path / "none", profiles=["toy-flat"])
        with pytest.raises(ExportError, match="did you mean toy-flat"):
            export_run(tmp_path / "run", tmp_path / "none", profiles=["toyflat"])
        assert not (tmp_path / "none").exists()
