"""Training: a resumed one goes through the same numbers, what goes wrong says so."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import SafetensorError

from caloforge.detector import load_detector
from caloforge.errors import (
    CaloforgeError,
    ConfigError,
    FileFormatError,
    OutputError,
    TrainingError,
)
from caloforge.models import systems
from caloforge.models.system import Batch, Given, System
from caloforge.showers import read_showers
from caloforge.showers.split import split_file
from caloforge.training import Recipe, Run, recipe_names, train
from caloforge.training.checkpoint import load_checkpoint
from caloforge.training.curve import draw_curve
from caloforge.training.data import Mirrors, TrainingData
from caloforge.training.selection import sample, score
from conftest import ROOT, Cli
from systems import ToyAdversarial, ToyGenerator, ToyVariational

FIXTURES = ROOT / "tests" / "data"
LOOPS: dict[str, type[System]] = {"variational": ToyVariational, "adversarial": ToyAdversarial}


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the toys known as systems."""
    for name, toy in LOOPS.items():
        monkeypatch.setitem(systems.SYSTEMS, name, (f"systems:{toy.__name__}", "A toy."))


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The fixtures, 36 or so rows to train on and the others to choose on."""
    folder = tmp_path_factory.mktemp("split")
    found = {}
    for name in ("eplus", "gamma"):
        found[name] = folder / f"{name}.h5"
        split_file(FIXTURES / f"{name}-calogan.h5", found[name], fractions=(0.6, 0.4, 0.0), seed=3)
    return found


def recipe(split: dict[str, Path], **changes: Any) -> Recipe:
    content: dict[str, Any] = {
        "system": "variational",
        "data": {"e+": [split["eplus"]]},
        "threads": 1,
        "choose_by": "frechet",
    }
    return Recipe.parse(content | changes)


def tensors(run: Run, which: str = "checkpoint") -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(getattr(run, which))


def numbers(run: Run) -> list[dict[str, Any]]:
    """The log without the times."""
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def same(first: Run, second: Run) -> None:
    for which in ("checkpoint", "best"):
        one, other = tensors(first, which), tensors(second, which)
        assert one.keys() == other.keys()
        for name, value in one.items():
            assert torch.equal(value, other[name]), f"{which}: {name} differs"
    assert numbers(first) == numbers(second)


class TestResuming:
    @pytest.mark.parametrize("loop", LOOPS)
    def test_same_recipe_same_numbers(
        self, loop: str, split: dict[str, Path], tmp_path: Path
    ) -> None:
        asked = recipe(split, system=loop)
        same(train(asked, tmp_path / "a"), train(asked, tmp_path / "b"))

    @pytest.mark.parametrize("loop", LOOPS)
    @pytest.mark.parametrize("stop", [0.1, 0.4, 0.5, 0.9])
    def test_interrupted_and_resumed_is_as_uninterrupted(
        self, loop: str, stop: float, split: dict[str, Path], tmp_path: Path
    ) -> None:
        asked = recipe(split, system=loop)
        whole = train(asked, tmp_path / "whole")

        def interrupt(done: float, text: str) -> None:
            if done >= stop:
                os.kill(os.getpid(), signal.SIGTERM)

        with pytest.raises(KeyboardInterrupt):
            train(asked, tmp_path / "parts", progress=interrupt)
        part = Run.open(tmp_path / "parts")
        assert numbers(part) == numbers(whole)[: len(numbers(part))]
        same(whole, train(asked, tmp_path / "parts", resume=True))

    @pytest.mark.parametrize("loop", LOOPS)
    def test_what_died_after_a_checkpoint_is_as_uninterrupted(
        self, loop: str, split: dict[str, Path], tmp_path: Path
    ) -> None:
        """As after SIGKILL: the log and the best epoch are ahead of the checkpoint."""
        asked = recipe(split, system=loop, settings={"epochs": 4})
        whole = train(asked, tmp_path / "whole")
        saved: list[bytes] = []

        def die(done: float, text: str) -> None:
            file = tmp_path / "parts" / "checkpoint.safetensors"
            if done >= 0.3 and not saved:
                saved.append(file.read_bytes())
            if done >= 0.8:
                raise RuntimeError

        with pytest.raises(RuntimeError):
            train(
                recipe(split, system=loop, settings={"epochs": 4}, checkpoint_every=1e-6),
                tmp_path / "parts",
                progress=die,
            )
        (tmp_path / "parts" / "checkpoint.safetensors").write_bytes(saved[0])
        same(whole, train(asked, tmp_path / "parts", resume=True))

    def test_a_finished_run_stays_as_it_is(self, split: dict[str, Path], tmp_path: Path) -> None:
        run = train(recipe(split), tmp_path / "run")
        before = run.metrics.read_text(), tensors(run)
        train(recipe(split), tmp_path / "run", resume=True)
        assert run.metrics.read_text() == before[0]
        assert all(torch.equal(value, before[1][key]) for key, value in tensors(run).items())

    @pytest.mark.parametrize(
        ("changes", "word"),
        [
            ({"seed": 2}, "seed"),
            ({"settings": {"learning_rate": 0.02}}, "learning_rate"),
            ({"system": "adversarial"}, "system"),
            ({"augment": False}, "augment"),
        ],
    )
    def test_other_settings_are_refused(
        self, changes: dict[str, Any], word: str, split: dict[str, Path], tmp_path: Path
    ) -> None:
        train(recipe(split), tmp_path / "run")
        with pytest.raises(TrainingError, match=word):
            train(recipe(split, **changes), tmp_path / "run", resume=True)

    def test_other_data_are_refused(self, split: dict[str, Path], tmp_path: Path) -> None:
        train(recipe(split), tmp_path / "run")
        other = tmp_path / "other.h5"
        split_file(FIXTURES / "eplus-calogan.h5", other, fractions=(0.6, 0.4, 0.0), seed=4)
        with pytest.raises(TrainingError, match="other data"):
            train(recipe(split, data={"e+": [other]}), tmp_path / "run", resume=True)

    def test_two_at_a_time_are_refused(self, split: dict[str, Path], tmp_path: Path) -> None:
        run = train(recipe(split), tmp_path / "run")
        with run.lock(), pytest.raises(OutputError, match="another process"):
            train(recipe(split), tmp_path / "run", resume=True)

    def test_what_is_there_is_not_overwritten(self, split: dict[str, Path], tmp_path: Path) -> None:
        train(recipe(split), tmp_path / "run")
        with pytest.raises(OutputError, match="--resume"):
            train(recipe(split), tmp_path / "run")

    def test_a_damaged_checkpoint_is_refused(self, split: dict[str, Path], tmp_path: Path) -> None:
        run = train(recipe(split), tmp_path / "run")
        run.checkpoint.write_bytes(run.checkpoint.read_bytes()[:1000])
        with pytest.raises(TrainingError, match="cannot be read"):
            train(recipe(split), tmp_path / "run", resume=True)
        with pytest.raises(TrainingError, match="of another system"):
            load_checkpoint(run.best, torch.nn.Linear(2, 3))  # type: ignore[arg-type]


class TestFullDisk:
    """What was just made goes; what can be resumed stays."""

    @pytest.mark.parametrize("error", [OSError(28, "No space left on device"), SafetensorError])
    def test_before_the_first_checkpoint(
        self,
        split: dict[str, Path],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        error: OSError | type[SafetensorError],
    ) -> None:
        def full(*arguments: Any, **options: Any) -> None:
            if isinstance(error, OSError):
                raise error
            msg = "I/O error: No space left on device (os error 28)"
            raise error(msg)

        monkeypatch.setattr("caloforge.training.checkpoint.save_file", full)
        with pytest.raises(OutputError, match="no space left on the disk"):
            train(recipe(split), tmp_path / "run")
        assert list(tmp_path.iterdir()) == []

    def test_before_the_run_has_begun(
        self, split: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*arguments: Any, **options: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Run, "about", full)
        with pytest.raises(OutputError, match="run: cannot be written: no space left on the disk"):
            train(recipe(split), tmp_path / "run")
        assert list(tmp_path.iterdir()) == []


class TestEnds:
    def test_budget(self, split: dict[str, Path], tmp_path: Path) -> None:
        asked = recipe(split, settings={"epochs": 100_000}, budget="1s")
        started = time.monotonic()
        run = train(asked, tmp_path / "run")
        assert time.monotonic() - started >= 1
        assert run.best_epoch >= 1
        assert run.wall_time >= 1
        assert run.records("validation")[-1]["epoch"] == run.records("epoch")[-1]["epoch"]

    @pytest.mark.parametrize("loop", LOOPS)
    def test_a_loss_that_is_not_finite(
        self, loop: str, split: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        steps = []
        forward = ToyGenerator.forward

        def diverge(self: ToyGenerator, z: torch.Tensor, given: Given) -> torch.Tensor:
            steps.append(1)
            return forward(self, z, given) * (math.nan if len(steps) > 10 else 1.0)

        monkeypatch.setattr(ToyGenerator, "forward", diverge)
        with pytest.raises(TrainingError, match=r"became nan in step \d+.*learning rate"):
            train(recipe(split, system=loop), tmp_path / "run")
        kept = tensors(Run.open(tmp_path / "run"))
        assert all(value.isfinite().all() for value in kept.values())

    def test_a_generator_that_collapsed(
        self, split: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def same_for_all(self: ToyGenerator, z: torch.Tensor, given: Given) -> torch.Tensor:
            return torch.zeros_like(given.energy) * self.layer.weight.sum() + torch.ones(
                len(z), 504
            )

        monkeypatch.setattr(ToyGenerator, "forward", same_for_all)
        with pytest.raises(TrainingError, match="collapsed"):
            train(recipe(split, settings={"epochs": 40}), tmp_path / "run")
        looks = Run.open(tmp_path / "run").records("validation")
        assert len(looks) == 10
        assert looks[0]["distinct"] < 0.1

    def test_the_best_epoch_is_that_of_the_smallest_value(
        self, split: dict[str, Path], tmp_path: Path
    ) -> None:
        asked = recipe(split, system="adversarial", settings={"epochs": 12})
        run = train(asked, tmp_path / "run")
        looks = run.records("validation")
        best = min(looks, key=lambda look: float(look["frechet"]))
        assert run.best_epoch == best["epoch"]
        validation = TrainingData.load(asked.data).validation[0]
        made = sample(run.load_best().sampler, validation, 0, seed=asked.seed)
        assert score([validation], [made], ["frechet"], seed=1)["frechet"] == pytest.approx(
            best["frechet"], rel=1e-6
        )
        assert run.curve.read_bytes().startswith(b"\x89PNG")

    def test_a_run_describes_itself(self, split: dict[str, Path], tmp_path: Path) -> None:
        run = Run.open(train(recipe(split), tmp_path / "run").folder)
        about = json.loads((run.folder / "run.json").read_text())
        assert about["recipe"]["settings"] == recipe(split).config.model_dump(mode="json")
        assert about["training"][0]["rows"] == len(read_showers(split["eplus"], split="train"))
        assert about["environment"]["packages"]["torch"] == torch.__version__
        assert Recipe.read(run.folder / "recipe.yaml") == recipe(split)
        assert run.recipe.config == recipe(split).config

    def test_folders_that_are_no_runs(self, tmp_path: Path) -> None:
        with pytest.raises(TrainingError, match="is no folder of a training"):
            Run.open(tmp_path)
        with pytest.raises(OutputError, match="will not be removed"):
            Run.remove(tmp_path)

    def test_tensorboard(self, split: dict[str, Path], tmp_path: Path) -> None:
        run = train(recipe(split), tmp_path / "run", tensorboard=True)
        assert list((run.folder / "tensorboard").glob("events.*"))

    def test_in_a_thread(self, split: dict[str, Path], tmp_path: Path) -> None:
        """Signals belong to the main thread; training goes without them elsewhere."""
        thread = threading.Thread(target=train, args=(recipe(split), tmp_path / "run"))
        thread.start()
        thread.join()
        assert Run.open(tmp_path / "run").best_epoch >= 1


class TestData:
    def test_mirrored_showers_are_mirrored_images(self) -> None:
        detector = load_detector("calogan")
        mirrors = Mirrors.of(detector)
        assert mirrors.cells.shape == (4, 504)
        deposits = np.random.default_rng(1).random((2, 504))
        flips: list[Callable[[np.ndarray], np.ndarray]] = [
            lambda image: image,
            lambda image: image[:, ::-1],
            lambda image: image[:, :, ::-1],
            lambda image: image[:, ::-1, ::-1],
        ]
        expected = [
            np.concatenate([flip(im).reshape(2, -1) for im in detector.images(deposits)], axis=1)
            for flip in flips
        ]
        found = [deposits[:, mirror] for mirror in mirrors.cells]
        for want in expected:
            assert sum(np.array_equal(want, have) for have in found) == 1

    def test_an_epoch_has_each_row_at_most_once(self, split: dict[str, Path]) -> None:
        data = TrainingData.load({"e+": [split["eplus"]]})
        batches = list(data.batches(1, 0, 8))
        assert len(batches) == len(data.train) // 8
        energies = torch.cat([batch.energy for batch in batches]).ravel().tolist()
        assert len(set(energies)) == len(energies)
        assert set(energies) <= set(data.train.energy.ravel().tolist())

    def test_mirrors_keep_layer_energies_and_turn_most_showers(
        self, split: dict[str, Path]
    ) -> None:
        plain = TrainingData.load({"e+": [split["eplus"]]}, augment=False)
        data = TrainingData.load({"e+": [split["eplus"]]})
        turned = 0
        for batch in data.batches(1, 0, 8):
            for energy, deposits in zip(batch.energy, batch.deposits, strict=True):
                row = int((plain.train.energy == energy).ravel().nonzero()[0])
                original = plain.train.deposits[row]
                turned += not torch.equal(original, deposits)
                for part in data.setting.detector.slices:
                    np.testing.assert_allclose(
                        deposits[part].sort().values, original[part].sort().values
                    )
        assert turned > 16

    def test_order_depends_on_seed_and_epoch_alone(self, split: dict[str, Path]) -> None:
        data = TrainingData.load({"e+": [split["eplus"]]})

        def energies(seed: int, epoch: int, skip: int = 0) -> list[torch.Tensor]:
            return [batch.energy for batch in data.batches(seed, epoch, 8, skip=skip)]

        first = energies(1, 0)
        assert all(map(torch.equal, energies(1, 0, skip=2), first[2:]))
        assert not torch.equal(energies(1, 1)[0], first[0])
        assert not torch.equal(energies(2, 0)[0], first[0])

    def test_test_rows_are_never_read(self, split: dict[str, Path], tmp_path: Path) -> None:
        file = tmp_path / "thirds.h5"
        split_file(FIXTURES / "eplus-calogan.h5", file, fractions=(0.4, 0.3, 0.3), seed=1)
        data = TrainingData.load({"e+": [file]})
        test = set(read_showers(file, split="test").energy.astype(np.float32).tolist())
        seen = set(data.train.energy.ravel().tolist())
        seen |= set(data.validation[0].energy.astype(np.float32).tolist())
        assert test
        assert not test & seen

    def test_labels(self, split: dict[str, Path]) -> None:
        data = TrainingData.load({"gamma": [split["gamma"]], "e+": [split["eplus"]]})
        counts = [len(read_showers(split[name], split="train")) for name in ("gamma", "eplus")]
        assert torch.bincount(data.train.label).tolist() == counts
        assert [part.particle for part in data.validation] == ["gamma", "e+"]
        assert [item.rows for item in data.files] == counts

    def test_refusals(self, split: dict[str, Path]) -> None:
        with pytest.raises(TrainingError, match="no file for a particle"):
            TrainingData.load({"e+": []})
        with pytest.raises(CaloforgeError, match="holds gamma, not e\\+"):
            TrainingData.load({"e+": [split["eplus"], split["gamma"]]})
        with pytest.raises(FileFormatError, match="split"):
            TrainingData.load({"e+": [FIXTURES / "eplus-calogan.h5"]})
        data = TrainingData.load({"e+": [split["eplus"]]})
        with pytest.raises(TrainingError, match="batch_size"):
            data.batches_per_epoch(1000)


class TestRecipes:
    @pytest.mark.parametrize(
        ("changes", "match"),
        [
            ({"sead": 1}, "did you mean seed"),
            ({"system": "calgan"}, "did you mean calogan"),
            ({"preset": "papper"}, "did you mean paper"),
            ({"settings": {"learning_rat": 1}}, "did you mean learning_rate"),
            ({"settings": {"learning_rate": -1}}, "learning_rate: got -1"),
            ({"settings": {"epochs": 0}}, "epochs: got 0"),
            ({"budget": "40 parsec"}, "must be a time such as"),
            ({"budget": -1}, "budget: got -1"),
            ({"data": {"ee": ["x.h5"]}}, "data"),
            ({"device": "abacus"}, "device"),
            ({"choose_by": "eye"}, "choose_by"),
            ({"data": {}}, "data"),
            ({"data": {"e+": []}}, "data"),
        ],
    )
    def test_what_is_wrong_is_named(
        self, changes: dict[str, Any], match: str, split: dict[str, Path]
    ) -> None:
        with pytest.raises(CaloforgeError, match=match):
            recipe(split, **changes)

    @pytest.mark.parametrize(
        ("text", "seconds"), [("90s", 90), ("40m", 2400), ("1.5h", 5400), ("7", 7), (12, 12)]
    )
    def test_times(self, text: object, seconds: float, split: dict[str, Path]) -> None:
        assert recipe(split, budget=text).budget == seconds

    def test_yaml_and_back(self, split: dict[str, Path], tmp_path: Path) -> None:
        asked = recipe(split, settings={"epochs": 7}, budget="2m")
        (tmp_path / "r.yaml").write_text(asked.to_yaml())
        assert Recipe.read(tmp_path / "r.yaml") == asked
        changed = Recipe.read(tmp_path / "r.yaml", seed=9, settings={"batch_size": 4})
        assert (changed.seed, changed.config.epochs, changed.config.batch_size) == (9, 7, 4)

    def test_command(self, split: dict[str, Path], cli: Cli, tmp_path: Path) -> None:
        asked = recipe(
            split,
            system="atlas-vae",
            settings={"encoder": [8, 4], "batch_norm": True, "epochs": 1, "batch_size": 4},
            budget="2m",
            augment=False,
        )
        words = asked.command().split()
        assert words[:3] == ["caloforge", "train", "atlas-vae"]
        assert words.count("--encoder") == 2
        words[words.index("eplus.h5")] = str(split["eplus"])
        assert cli(*words[1:], "-o", tmp_path / "run", "--quiet").code == 0
        made = Run.open(tmp_path / "run").recipe
        assert made.config == asked.config
        assert made.model_dump(exclude={"settings"}) == asked.model_dump(exclude={"settings"})

    def test_files_that_are_no_recipes(self, tmp_path: Path) -> None:
        (tmp_path / "list.yaml").write_text("- 1\n")
        (tmp_path / "broken.yaml").write_text("{a: [")
        with pytest.raises(ConfigError, match="holds no keys"):
            Recipe.read(tmp_path / "list.yaml")
        with pytest.raises(FileFormatError, match="is no YAML"):
            Recipe.read(tmp_path / "broken.yaml")
        with pytest.raises(ConfigError, match="is no file"):
            Recipe.read(tmp_path / "none.yaml")

    @pytest.mark.parametrize("name", recipe_names())
    def test_shipped_recipes_are_sound(self, name: str, shared: Path) -> None:
        """Each can be read, and its system trains a step with it.

        Showers that a recipe has made beside the shared ones (``*-fresh.h5``) are not there.
        """
        asked = Recipe.read(name)
        files = {
            particle: [shared / "data" / file.name for file in each if "fresh" not in file.name]
            for particle, each in asked.data.items()
        }
        system_class = systems.system_type(asked.system)
        data = TrainingData.load(
            files, lambda detector: system_class.readout(asked.config, detector)
        )
        system = system_class(asked.config, data.setting)
        system.prepare(data.train)
        made = sample(system.generator, data.validation[0][:4], 0, seed=1)
        assert made.shape == (4, data.setting.detector.n_cells)
        assert np.isfinite(made).all()


class TestSelection:
    def test_geant4_itself_is_good_and_nothing_is_infinitely_bad(
        self, split: dict[str, Path]
    ) -> None:
        few = read_showers(FIXTURES / "eplus-calogan.h5")
        many = few[np.arange(20 * len(few)) % len(few)]  # the chi-square needs filled bins
        factors = np.random.default_rng(1).normal(0.9, 0.03, (len(many), 1))
        showers = replace(many, deposits=many.deposits * factors.astype(np.float32))
        own = score([showers], [showers.deposits], ["energy-chi2", "frechet", "separation"], seed=1)
        assert own["energy-chi2"] == 0
        assert own["frechet"] == pytest.approx(0, abs=1e-7)
        assert own["separation"] == pytest.approx(0, abs=1e-9)
        worse = score([showers], [showers.deposits * 0.9], ["frechet", "separation"], seed=1)
        assert all(worse[name] > own[name] + 1e-5 for name in worse)
        for wrong in (np.nan, -1.0):
            broken = showers.deposits.copy()
            broken[0, 0] = wrong
            assert score([showers], [broken], ["frechet"], seed=1) == {"frechet": math.inf}
        empty = np.zeros_like(showers.deposits)
        assert score([showers], [empty], ["energy-chi2"], seed=1) == {"energy-chi2": math.inf}

    def test_samples_are_the_same_whatever_the_mode(self, split: dict[str, Path]) -> None:
        generator = ToyGenerator(504)
        showers = read_showers(FIXTURES / "eplus-calogan.h5")
        generator.train()
        first = sample(generator, showers, 0, seed=1)
        assert generator.training
        generator.eval()
        np.testing.assert_array_equal(first, sample(generator, showers, 0, seed=1))
        assert not np.array_equal(first, sample(generator, showers, 0, seed=2))

    def test_a_curve_without_a_finite_value(self, tmp_path: Path) -> None:
        draw_curve(tmp_path / "c.png", [{"epoch": 1, "frechet": None}], "frechet")
        assert (tmp_path / "c.png").exists()


def test_batches_are_cut_alike() -> None:
    energy, label = torch.arange(4.0)[:, None], torch.zeros(4, dtype=torch.long)
    batch = Batch(Given(energy, label, entry_point=torch.ones(4, 2)), torch.ones(4, 2))
    part = batch[1:3]
    assert len(part) == 2
    assert part.energy.ravel().tolist() == [1.0, 2.0]
    assert part.given.entry_point is not None
    assert len(part.given.entry_point) == 2
    with pytest.raises(TrainingError, match=r"have shape \(4, 1\) and labels \(4,\) for 3"):
        Batch(batch.given, batch.deposits[:3])


@pytest.mark.parametrize(
    "arguments", [("train", "calogan", "--particle", "e+", "--data", "x.h5"), ("export", "run")]
)
def test_without_what_training_needs(arguments: tuple[str, ...]) -> None:
    """One line, no traceback; other commands do not mind."""
    code = (
        "import sys; pass\n"
        "from importlib import util; known = util.find_spec\n"
        "util.find_spec = lambda name, *more: None if name == 'torch' else known(name, *more)\n"
        "from caloforge.cli import main; main(sys.argv[1:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments, "-o", "nowhere"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "pip install 'caloforge[train]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_command_line(cli: Cli, split: dict[str, Path], tmp_path: Path) -> None:
    arguments = ("train", "atlas-vae", "--particle", "e+", "--data", split["eplus"])
    small = ("--epochs", 2, "--batch-size", 12, "--threads", 1, "--quiet")
    done = cli(*arguments, *small, "-o", tmp_path / "run")
    assert done.code == 0, done.err
    assert Run.open(tmp_path / "run").recipe.config.epochs == 2
    again = cli(*arguments, *small, "-o", tmp_path / "run")
    assert again.code == 2
    assert "--resume" in again.err
    assert cli(*arguments, *small, "-o", tmp_path / "run", "--overwrite").code == 0
    wrong = cli(*arguments, "--epochs", 0, "-o", tmp_path / "other")
    assert wrong.code == 2
    assert "epochs: got 0" in wrong.err
    assert not (tmp_path / "other").exists()
    assert "did you mean" in cli(*arguments, "--epoch", 1, "-o", tmp_path / "x").err.lower()


def test_resuming_needs_the_run_alone(
    cli: Cli, split: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not its options, nor the folder that it was begun in."""
    monkeypatch.chdir(split["eplus"].parent)
    begun = ("train", "atlas-vae", "--particle", "e+", "--data", "eplus.h5", "--encoder", 8)
    small = ("--decoder", 8, "--batch-size", 12, "--epochs", 3, "--seed", 5, "--quiet")
    assert cli(*begun, *small, "-o", tmp_path / "whole").code == 0

    def interrupt(done: float, text: str) -> None:
        if done >= 0.5:
            raise KeyboardInterrupt

    asked = Run.open(tmp_path / "whole").recipe
    with pytest.raises(KeyboardInterrupt):
        train(asked, tmp_path / "run", progress=interrupt)
    monkeypatch.chdir(tmp_path)
    done = cli("train", "atlas-vae", "--resume", "-o", "run", "--quiet")
    assert done.code == 0, done.err
    same(Run.open(tmp_path / "whole"), Run.open(tmp_path / "run"))
    other = cli("train", "calogan", "--resume", "-o", "run")
    assert other.code == 2
    assert "output run: is a run of atlas-vae, not of calogan" in other.err
    changed = cli("train", "atlas-vae", "--resume", "--seed", 6, "-o", "run")
    assert "began with seed 5, not 6" in changed.err
