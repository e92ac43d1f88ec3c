"""The benchmark: what it measures and how it is told, never how fast this machine is."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from artefacts import energy, make_artefact
from caloforge.cli.benchmark import benchmark as command
from caloforge.errors import CaloforgeError, EnergyError, Geant4DataError, ParticleError
from caloforge.fullsim import PhysicsSettings
from caloforge.incident.spectrum import Spectrum
from caloforge.speed.benchmark import Benchmark, Geant4Speed, ModelSpeed, benchmark
from caloforge.speed.timing import Timing, stratified, time_generator

MIB = 2**20


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_artefact(tmp_path_factory.mktemp("tiny") / "tiny")


@pytest.fixture(scope="module")
def result(artefact: Path) -> Benchmark:
    """One process for one thread, and one for two."""
    return benchmark([artefact], batches=(10, 1), budget=0.01, geant4=False, seed=3)


@pytest.fixture
def example() -> Benchmark:
    """A result that is the same everywhere."""
    network = ModelSpeed(
        "flow-eplus",
        "flow",
        "onnx",
        "calogan",
        3 * MIB,
        0.25,
        tuple(
            Timing(batch, threads, 1e-3 / batch / threads, 1e-5, 9, (100 + batch) * MIB, 9e-6)
            for threads in (1, 2)
            for batch in (1, 100)
        ),
    )
    table = ModelSpeed(
        "table-eplus",
        "table",
        "fastcalosim",
        "calogan",
        500_000,
        0.01,
        (Timing(1, 1, 2e-3, 1e-4, 9, None, 2e-3), Timing(100, 1, 1e-3, 1e-4, 9, None, 9e-4)),
    )
    geant4 = Geant4Speed(PhysicsSettings(), Timing(10, 1, 1.5, 0.01, 3, 300 * MIB, 1.4))
    return Benchmark("e+", "1:100", 50.5, (network, table), geant4, "", {"processor": "a chip"})


def test_what_was_timed(result: Benchmark, artefact: Path) -> None:
    (model,) = result.models
    assert model.name == "tiny-eplus"
    assert model.detector == "calogan"
    assert model.size == sum(file.stat().st_size for file in artefact.iterdir())
    assert model.loading > 0
    assert [(item.threads, item.batch) for item in model.timings] == [
        (1, 1),
        (1, 10),
        (2, 1),
        (2, 10),
    ]
    for timing in model.timings:
        assert timing.seconds > 0
        assert timing.spread >= 0
        assert timing.repeats >= 3
        assert timing.processor > 0
        assert timing.memory is None or 10 * MIB < timing.memory < 4096 * MIB
    assert result.geant4 is None
    assert result.geant4_problem == "not asked for"
    assert result.energy == "1:100"
    assert result.mean_energy == pytest.approx(50.5, rel=0.03)
    assert {"processor", "cores", "numpy", "onnxruntime"} <= set(result.machine)


def test_the_result_is_json(result: Benchmark) -> None:
    found = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert found["models"][0]["timings"][0]["batch"] == 1


def test_batches_are_cheaper_than_single_showers(artefact: Path) -> None:
    # By a factor of about five: what a call costs is shared.
    spectrum = Spectrum.parse("1:100")
    _, timings = time_generator(artefact, "e+", spectrum, [100, 1], threads=1, seed=1, budget=0.1)
    assert [timing.batch for timing in timings] == [1, 100]
    assert timings[1].seconds < timings[0].seconds
    memory = [timing.memory or 0 for timing in timings]
    assert memory[0] <= memory[1]


def test_energies_stand_for_their_spectrum() -> None:
    spectrum = Spectrum.parse("log:1:100")
    assert stratified(spectrum, 1, 5) == pytest.approx([10], rel=0.05)
    for count in (10, 1000):
        energies = stratified(spectrum, count, 5)
        assert energies.shape == (count,)
        assert (np.diff(energies) >= 0).all()
        assert energies.mean() == pytest.approx(spectrum.mean, rel=0.06)
    assert stratified(Spectrum.of([1.0, 2.0, 3.0]), 1, 5).tolist() == [2.0]
    np.testing.assert_array_equal(stratified(spectrum, 9, 5), stratified(spectrum, 9, 5))


def test_the_table(example: Benchmark) -> None:
    assert example.table() == [
        ["", "flow-eplus", "flow-eplus", "table-eplus", "Geant4"],
        ["threads", "1", "2", "1", "1"],
        ["artefact", "3 MiB", "3 MiB", "488 KiB", ""],
        ["loading", "250 ms", "250 ms", "10 ms", ""],
        ["peak memory", "200 MiB", "200 MiB", "not known", "300 MiB"],
        ["batch 1", "1 ± 0.01 ms", "500 ± 10 µs", "2 ± 0.1 ms", "1.5 ± 0.01 s"],
        ["batch 100", "10 ± 10 µs", "5 ± 10 µs", "1 ± 0.1 ms", "1.5 ± 0.01 s"],
        ["processor", "9 µs", "9 µs", "900 µs", "1.4 s"],
        ["at most faster", "150,000 x", "300,000 x", "1,500 x", ""],
    ]
    lines = example.to_markdown().splitlines()
    assert lines[1] == "| --- | --- | --- | --- | --- |"
    assert len({line.count("|") for line in lines}) == 1


def test_wrong_arguments(artefact: Path, tmp_path: Path) -> None:
    with pytest.raises(CaloforgeError, match="batches: got 0"):
        benchmark([artefact], batches=(0, 1))
    with pytest.raises(CaloforgeError, match="models: got 0"):
        benchmark([])
    with pytest.raises(EnergyError, match="outside the 1-100 GeV"):
        benchmark([artefact], energy="50:500")
    photons = make_artefact(tmp_path / "photons", name="tiny-gamma", particles=["gamma"])
    with pytest.raises(ParticleError, match=r"tiny-eplus \(e\+\), tiny-gamma \(gamma\)"):
        benchmark([artefact, photons])
    high = make_artefact(tmp_path / "high", name="high", conditions=[energy(200, 300)])
    with pytest.raises(EnergyError, match="no energies in common"):
        benchmark([artefact, high])


def test_geant4_is_refused_where_it_cannot_run(
    artefact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEANT4_DATA_DIR", str(tmp_path))
    with pytest.raises(Geant4DataError, match="needs its data tables"):
        benchmark([artefact], geant4=True)


def test_the_command(
    artefact: Path,
    tmp_path: Path,
    example: Benchmark,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: dict[str, object] = {}

    def pretend(models: list[str], **options: object) -> Benchmark:
        asked.update(options, models=models)
        return example

    monkeypatch.setattr(importlib.import_module("caloforge.speed.benchmark"), "benchmark", pretend)
    output = tmp_path / "speed.json"
    arguments = [
        str(artefact),
        "--particle",
        "e+",
        "--no-geant4",
        "--batch",
        "5",
        "-o",
        str(output),
    ]
    command(arguments, result_action="return_value")
    assert asked["models"] == [str(artefact)]
    assert asked["batches"] == [5]
    assert asked["threads"] == (1, 2)
    assert asked["geant4"] is False
    assert "150,000 x" in capsys.readouterr().out
    assert json.loads(output.read_text("utf-8"))["mean_energy"] == 50.5
    with pytest.raises(CaloforgeError, match="exists already"):
        command(arguments, result_action="return_value")
    command([str(artefact), "--json"], result_action="return_value")
    assert json.loads(capsys.readouterr().out)["particle"] == "e+"
    assert asked["geant4"] is None


@pytest.mark.slow
def test_several_generators_and_geant4_in_one_run(artefact: Path, geant4_data: Path) -> None:
    done: list[int] = []
    found = benchmark(
        [artefact, "fastcalosim-eplus", "atlas-vae-eplus"],
        energy="1",
        batches=(100,),
        threads=(1,),
        budget=0.1,
        geant4_showers=2,
        progress=done.append,
    )
    assert done == [0, 1, 2, 3, 4]
    assert [model.system for model in found.models] == ["tiny", "fastcalosim", "atlas-vae"]
    timing = cast("Geant4Speed", found.geant4).timing
    assert found.geant4_problem == ""
    assert timing.batch == 2
    assert timing.seconds > 10 * found.models[0].timings[0].seconds
