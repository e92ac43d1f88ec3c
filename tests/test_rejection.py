"""Showers that break energy conservation are drawn again, each from its own random numbers."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from particle import Particle

import caloforge
from artefacts import NOISE, make_artefact, network
from caloforge.errors import EnergyError, OutputError, ParticleError
from caloforge.incident.incident import Incident
from caloforge.random import Purpose, Streams
from caloforge.runtime import Generator
from caloforge.runtime.conservation import allowed_energy, released_energy
from conftest import Cli

SEED = 5
ENERGIES = np.linspace(1, 100, 60)
ELECTRON = 0.51099895  # MeV


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A third of its showers deposit too much."""
    return make_artefact(tmp_path / "tiny", network(scale=1.6))


def excess(energy: float) -> onnx.ModelProto:
    """A network that leaves the incident energy and so much more, MeV, in its first cell."""
    row = np.zeros((1, 504), np.float32)
    scale, more = row.copy(), row.copy()
    scale[0, 0], more[0, 0] = 1000.0, energy
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["z", "nothing"], ["zero"]),
            helper.make_node("MatMul", ["energy", "scale"], ["all"]),
            helper.make_node("Add", ["all", "more"], ["sum"]),
            helper.make_node("Add", ["sum", "zero"], ["deposits"]),
        ],
        "generator",
        [
            helper.make_tensor_value_info("z", TensorProto.FLOAT, ["N", NOISE]),
            helper.make_tensor_value_info("energy", TensorProto.FLOAT, ["N", 1]),
        ],
        [helper.make_tensor_value_info("deposits", TensorProto.FLOAT, ["N", 504])],
        [
            numpy_helper.from_array(np.zeros((NOISE, 504), np.float32), "nothing"),
            numpy_helper.from_array(scale, "scale"),
            numpy_helper.from_array(more, "more"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def totals(generator: Generator, attempt: int, folder: Path) -> NDArray[np.float64]:
    """Deposited energies of one attempt at every shower, MeV, worked out by hand."""
    graph = onnx.load(folder / "generator.onnx").graph
    weights = numpy_helper.to_array(graph.initializer[0])
    rows = []
    for i, energy in enumerate(ENERGIES):
        noise = Streams(SEED, np.array([i]), Purpose.GENERATOR, attempt).normal(NOISE)[0]
        rows.append(np.maximum(noise @ weights, 0).sum(dtype=np.float64) * energy)
    return np.array(rows)


def test_first_attempt_that_conserves_energy_is_taken(folder: Path) -> None:
    generator = caloforge.load(folder)
    free = generator.sample(ENERGIES, seed=SEED)
    made = generator.sample(ENERGIES, seed=SEED, conserve_energy=True)
    attempts = np.array([totals(generator, attempt, folder) for attempt in range(12)])
    good = attempts <= 1000 * ENERGIES + 2 * ELECTRON
    assert 10 < np.sum(~good[0]) < 30
    assert good.any(axis=0).all()
    chosen = good.argmax(axis=0)
    assert chosen.max() > 1  # some needed more than two
    expected = np.take_along_axis(attempts, chosen[None], axis=0)[0]
    np.testing.assert_allclose(made.total_energy, expected, rtol=1e-5)
    np.testing.assert_array_equal(made.deposits[good[0]], free.deposits[good[0]])
    assert (made.response <= 1 + 1e-3).all()
    assert (free.response > 1).sum() == np.sum(~good[0])


@pytest.mark.parametrize("conserve", [False, True])
@pytest.mark.parametrize("model", ["tiny", "fastcalosim-eplus"])
def test_requests_of_several_users_in_one_batch(folder: Path, model: str, conserve: bool) -> None:
    """Each gets the showers that its own seed gives, in whatever batch."""
    generator = caloforge.load(folder if model == "tiny" else model)
    requests = [(SEED, 0, ENERGIES[:23]), (1, 5, ENERGIES[30:31]), (2**63 - 1, 7, ENERGIES[40:])]
    seeds = np.concatenate([np.full(len(part), seed) for seed, _, part in requests])
    showers = np.concatenate([first + np.arange(len(part)) for _, first, part in requests])
    order = np.random.default_rng(1).permutation(len(seeds))
    energy = np.concatenate([part for *_, part in requests])[order]
    made, _ = generator.make(
        Incident(energy, "e+"),
        Streams(seeds[order], showers[order], Purpose.GENERATOR),
        generator.detector,
        conserve_energy=conserve,
    )
    alone = [
        generator.sample(part, seed=seed, first=first, conserve_energy=conserve).deposits
        for seed, first, part in requests
    ]
    np.testing.assert_array_equal(made.astype(np.float32), np.concatenate(alone)[order])


def test_batches_workers_and_the_first_index_have_no_influence(
    folder: Path, tmp_path: Path
) -> None:
    generator = caloforge.load(folder)
    whole = generator.sample(ENERGIES, seed=SEED, conserve_energy=True)
    for batch in (1, 7, 59, 60, 1000):
        other = generator.sample(ENERGIES, seed=SEED, conserve_energy=True, batch=batch)
        np.testing.assert_array_equal(other.deposits, whole.deposits)
    part = generator.sample(ENERGIES[20:], seed=SEED, first=20, conserve_energy=True)
    np.testing.assert_array_equal(part.deposits, whole.deposits[20:])
    paths = [tmp_path / "one.h5", tmp_path / "two.h5"]
    for path, workers, batch in zip(paths, (1, 2), (60, 11), strict=True):
        caloforge.generate(
            path,
            particle="e+",
            energy=",".join(map(str, ENERGIES)),
            count=60,
            seed=SEED,
            model=folder,
            workers=workers,
            batch=batch,
            conserve_energy=True,
        )
    one, two = (caloforge.read(path) for path in paths)
    np.testing.assert_array_equal(one.deposits, two.deposits)
    assert (one.response <= 1 + 2 * ELECTRON / (1000 * one.energy)).all()


def test_parametrisation_counts_what_is_beside_the_cells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Hardly any of its showers deposits too much, so here less is allowed."""
    generator = caloforge.load("fastcalosim-gamma")
    energies = np.full(24, 40.0)
    free = generator.sample(energies, seed=SEED)
    assert free.overflow is not None
    total = free.total_energy + free.overflow.sum(axis=1)
    most = np.median(total)
    monkeypatch.setattr(
        "caloforge.runtime.generator.allowed_energy", lambda energy, _: np.full_like(energy, most)
    )
    made = generator.sample(energies, seed=SEED, conserve_energy=True)
    assert made.overflow is not None
    made_total = made.total_energy + made.overflow.sum(axis=1)
    again = total > most
    assert again.sum() == 12
    assert made_total.max() <= most
    np.testing.assert_array_equal(made.deposits[~again], free.deposits[~again])
    np.testing.assert_array_equal(made.overflow[~again], free.overflow[~again])
    single = generator.sample(energies, seed=SEED, conserve_energy=True, batch=1)
    np.testing.assert_array_equal(single.deposits, made.deposits)
    assert single.overflow is not None
    np.testing.assert_array_equal(single.overflow, made.overflow)
    voxels = caloforge.load_detector("lar-voxels")
    elsewhere = generator.sample(energies, seed=SEED, conserve_energy=True, detector=voxels)
    assert elsewhere.overflow is not None
    np.testing.assert_allclose(
        elsewhere.total_energy + elsewhere.overflow.sum(axis=1), made_total, rtol=1e-6
    )


def test_what_is_never_right_is_an_error(tmp_path: Path) -> None:
    generator = caloforge.load(make_artefact(tmp_path / "tiny", excess(1.1)))
    with pytest.raises(EnergyError) as error:
        generator.sample([5.0, 7.0], seed=1, first=30, conserve_energy=True, batch=1)
    text = str(error.value)
    assert text.startswith("conserve_energy: 100 attempts of tiny-eplus at shower 30 of 5 GeV")
    assert "leave the option out" in text
    assert len(generator.sample([], conserve_energy=True)) == 0


# What is allowed


def mass(particle: str) -> float:
    return float(Particle.findall(name=particle)[0].mass or 0)


@pytest.mark.parametrize(
    ("particle", "released"),
    [
        ("gamma", 0.0),
        ("e-", 0.0),
        ("p", 0.0),
        ("n", 0.0),
        ("e+", 2 * ELECTRON),
        *((name, mass(name)) for name in ("mu-", "pi+", "K-", "K(L)0")),
        *((name, 2 * mass(name)) for name in ("p~", "Lambda")),
    ],
)
def test_released_energy(particle: str, released: float) -> None:
    assert released_energy(particle) == pytest.approx(released, rel=1e-4)
    allowed = allowed_energy(np.array([0.5, 20.0]), particle)
    np.testing.assert_allclose(allowed, [500 + released, 20000 + released], rtol=2e-6)


def test_released_energy_of_nothing() -> None:
    with pytest.raises(ParticleError):
        released_energy("quark")


@pytest.mark.parametrize(
    ("particle", "more", "fits"),
    [
        ("gamma", 0.0, True),
        ("gamma", 0.5, False),
        ("e-", 0.5, False),
        ("e+", 1.0, True),
        ("e+", 1.1, False),
        ("pi+", 139.0, True),
        ("pi+", 140.0, False),
    ],
)
def test_mass_counts(tmp_path: Path, particle: str, more: float, fits: bool) -> None:
    folder = make_artefact(tmp_path / "tiny", excess(more), particles=[particle])
    generator = caloforge.load(folder)
    if fits:
        made = generator.sample([2.0, 90.0], conserve_energy=True)
        np.testing.assert_allclose(made.total_energy, [2000 + more, 90000 + more], rtol=1e-6)
    else:
        with pytest.raises(EnergyError, match="at shower 0 of 2 GeV"):
            generator.sample([2.0], conserve_energy=True)


# Runs


def test_run_goes_on_as_it_began(folder: Path, tmp_path: Path) -> None:
    def go(path: Path, *, stop: int | None = None, resume: bool = False, conserve: bool) -> None:
        def progress(done: int) -> None:
            if stop is not None and done >= stop:
                raise KeyboardInterrupt

        caloforge.generate(
            path,
            particle="e+",
            energy="1:100",
            count=60,
            seed=SEED,
            model=folder,
            batch=10,
            conserve_energy=conserve,
            resume=resume,
            progress=progress,
        )

    go(tmp_path / "whole.h5", conserve=True)
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "part.h5", stop=30, conserve=True)
    with pytest.raises(OutputError, match="conserve_energy"):
        go(tmp_path / "part.h5", resume=True, conserve=False)
    go(tmp_path / "part.h5", resume=True, conserve=True)
    assert (tmp_path / "whole.h5").read_bytes() == (tmp_path / "part.h5").read_bytes()


def test_command_line(cli: Cli, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.h5"
    line = f"generate --model {folder} --particle e+ --energy 20 -n 50 --seed 5 --workers 1"
    assert cli(*line.split(), "--conserve-energy", "-o", path).code == 0
    made = caloforge.read(path)
    expected = caloforge.load(folder).sample([20.0] * 50, seed=5, conserve_energy=True)
    np.testing.assert_array_equal(made.deposits, expected.deposits)
    make_artefact(folder, excess(1.1))
    result = cli(*line.split(), "--conserve-energy", "-o", path, "--overwrite")
    assert result.code == 2
    assert re.search(r"conserve_energy: 100 attempts of tiny-eplus at shower 0 of 20", result.err)
