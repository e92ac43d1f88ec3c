"""A choice among artefacts: FastCaloSim for soft positrons, networks for the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caloforge
from artefacts import card, energy, make_artefact, network
from caloforge.errors import ArtefactError, DetectorError, EnergyError, ParticleError
from caloforge.incident.beam import Beam
from caloforge.incident.gun import Gun
from caloforge.incident.incident import Incident
from caloforge.incident.spectrum import Spectrum
from caloforge.provenance import file_sha256
from caloforge.runtime import find_artefact
from caloforge.runtime.choice import ChoiceGenerator
from caloforge.runtime.generator import Generator
from conftest import Cli
from toys.slanted import CONDITIONS, make_slanted

ENERGIES = np.concatenate([[1.0, 5.0, 5.000001, 100.0], np.linspace(1, 100, 60)])


def member(folder: Path, name: str, particle: str, low: float, high: float) -> dict[str, Any]:
    return {
        "artefact": name,
        "sha256": file_sha256(folder / "card.json"),
        "domain": {"particles": [particle], "energy": [low, high]},
    }


@pytest.fixture
def members(tmp_path: Path) -> list[dict[str, Any]]:
    hard = make_artefact(tmp_path / "parts" / "hard", network(scale=1.6))
    photons = make_artefact(tmp_path / "choice" / "photons", particles=["gamma"])
    return [
        member(find_artefact("fastcalosim-eplus"), "fastcalosim-eplus", "e+", 1, 5),
        member(hard, "../parts/hard", "e+", 5, 100),
        member(photons, "photons", "gamma", 1, 100),
    ]


def make_choice(tmp_path: Path, members: list[dict[str, Any]], **changes: Any) -> Path:
    folder = tmp_path / "choice"
    folder.mkdir(exist_ok=True)
    content = {
        "name": "best",
        "runtime": "choice",
        "particles": ["e+", "gamma"],
        "inputs": [],
        "members": members,
    } | changes
    (folder / "card.json").write_text(json.dumps(card(**content)), "utf-8")
    return folder


@pytest.fixture
def folder(tmp_path: Path, members: list[dict[str, Any]]) -> Path:
    return make_choice(tmp_path, members)


def alone(folder: Path, incident: Incident, **options: Any) -> Any:
    """Deposits of each shower, made by its member alone: from its index in the run."""
    parts = {
        "soft": caloforge.load("fastcalosim-eplus"),
        "hard": caloforge.load(folder / "../parts/hard"),
        "photons": caloforge.load(folder / "photons"),
    }
    rows = []
    for i, value in enumerate(incident.energy):
        name = "photons"
        if incident.particle == "e+":
            name = "soft" if value <= 5 else "hard"
        rows.append(parts[name].sample([value], first=i, **options).deposits[0])
    return np.array(rows)


@pytest.mark.parametrize("particle", ["e+", "gamma"])
@pytest.mark.parametrize("conserve", [False, True])
def test_each_shower_is_that_of_its_member(folder: Path, particle: str, conserve: bool) -> None:
    incident = Incident.of(ENERGIES, particle)
    generator = caloforge.load(folder)
    assert isinstance(generator, ChoiceGenerator)
    options: dict[str, Any] = {"seed": 5, "conserve_energy": conserve}
    made = generator.sample(incident, **options)
    np.testing.assert_array_equal(made.deposits, alone(folder, incident, **options))
    assert made.particle == particle
    assert made.overflow is None  # not all members make it
    for batch in (1, 7):
        other = generator.sample(incident, batch=batch, **options)
        np.testing.assert_array_equal(other.deposits, made.deposits)


def test_edges_are_hard(folder: Path) -> None:
    generator = caloforge.load(folder, "e+")
    assert isinstance(generator, ChoiceGenerator)
    chosen = generator.choose(Incident.of([0.1, 1, 5, np.nextafter(5, 6), 100, 1e4], "e+"))
    assert chosen.tolist() == [0, 0, 0, 1, 1, 1]  # where two domains meet, the first has it
    assert generator.choose(Incident.of([0.1, 1e4], "gamma")).tolist() == [2, 2]
    with pytest.raises(EnergyError, match="101 GeV is outside the 1-100 GeV that best"):
        generator.sample([101.0])
    with pytest.raises(ParticleError, match=r"got pi\+, best is for e\+, gamma"):
        generator.sample(Incident.of([5.0], "pi+"))
    assert len(generator.sample([0.5, 200.0], extrapolate=True)) == 2
    assert len(generator.sample([])) == 0


def test_overflow_where_all_members_make_it(tmp_path: Path) -> None:
    parts = [
        member(find_artefact(f"fastcalosim-{slug}"), f"fastcalosim-{slug}", particle, 1, 100)
        for slug, particle in (("eplus", "e+"), ("gamma", "gamma"))
    ]
    generator = caloforge.load(make_choice(tmp_path, parts), "gamma")
    voxels = caloforge.load_detector("lar-voxels")
    for detector in (None, voxels):
        made = generator.sample([5.0, 50.0], seed=2, detector=detector)
        part = caloforge.load("fastcalosim-gamma").sample([5.0, 50.0], seed=2, detector=detector)
        assert made.overflow is not None
        np.testing.assert_array_equal(made.deposits, part.deposits)
        np.testing.assert_array_equal(made.overflow, part.overflow)


def test_readout_of_which_a_member_is_not_capable(folder: Path) -> None:
    voxels = caloforge.load_detector("lar-voxels")
    with pytest.raises(DetectorError, match="tiny-eplus fills 'calogan', not 'lar-voxels'"):
        caloforge.load(folder, "e+").sample([5.0], detector=voxels)


def test_runs(cli: Cli, folder: Path, tmp_path: Path) -> None:
    line = f"generate --model {folder} --particle e+ --energy 1:100 -n 40 --seed 3 --batch 9"
    expected = caloforge.load(folder, "e+")
    for workers in (1, 2):
        path = tmp_path / f"{workers}.h5"
        assert cli(*line.split(), "--workers", workers, "-o", path).code == 0
        made = caloforge.read(path)
        again = expected.sample(made.energy, seed=3)
        np.testing.assert_array_equal(made.deposits, again.deposits)
    with caloforge.open(path) as file:
        files = file.run["files"]
    assert isinstance(files, dict)
    assert set(files) == {"fastcalosim-eplus", "../parts/hard", "photons"}
    assert cli("models", "show", folder).code == 0


@pytest.mark.parametrize(
    ("which", "changes", "word"),
    [
        (0, {"artefact": "fastcalosim"}, "'fastcalosim' is neither a shipped artefact nor"),
        (0, {"artefact": "/"}, "member '/' is neither a shipped artefact nor a folder"),
        (0, {"sha256": "0" * 64}, "member 'fastcalosim-eplus' is not the one that its card"),
        (0, {"domain": None}, "member 'fastcalosim-eplus' must have a domain, and no weight"),
        (0, {"weight": 0.5}, "must have a domain, and no weight"),
        (0, {"domain": {"particles": ["e+"], "energy": [1, 4]}}, "no member makes e+ just above 4"),
        (0, {"domain": {"particles": ["e+"], "energy": [2, 5]}}, "no member makes e+ just above 1"),
        (0, {"domain": {"particles": ["gamma"], "energy": [1, 5]}}, "no member makes e+ just"),
        (1, {"domain": {"particles": ["e+"], "energy": [5, 99]}}, "no member makes e+ just above"),
        (1, {"domain": {"particles": ["e+"], "energy": [5, 200]}}, "is of e+ of 1-100 GeV, its"),
        (2, {"domain": {"particles": ["e+"], "energy": [1, 100]}}, "no member makes gamma just"),
        (2, {"domain": {"particles": ["e+", "gamma"], "energy": [1, 100]}}, "is of gamma of 1-100"),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, members: list[dict[str, Any]], which: int, changes: dict[str, Any], word: str
) -> None:
    members[which] |= changes
    with pytest.raises(ArtefactError) as error:
        caloforge.load(make_choice(tmp_path, members))
    assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_other_conditions_or_detector(tmp_path: Path, members: list[dict[str, Any]]) -> None:
    entry = {"name": "entry_point", "unit": "mm"}
    folder = make_choice(tmp_path, members, conditions=[energy(1, 100), entry])
    with pytest.raises(ArtefactError, match="has other conditions: energy"):
        caloforge.load(folder)
    detector = json.loads(json.dumps(card()["detector"]))
    detector["layers"] = detector["layers"][:2]
    folder = make_choice(tmp_path, members[1:], detector=detector, particles=["gamma"])
    with pytest.raises(ArtefactError, match=r"member '\.\./parts/hard': detector: "):
        caloforge.load(folder)


def test_conditions_of_members(tmp_path: Path) -> None:
    """Members get entry points and directions, within their own bounds."""
    part = make_slanted(tmp_path / "part")
    entry = CONDITIONS[1]
    parts = [member(part, "../part", "e+", 1, 100)]
    choice = make_choice(tmp_path, parts, particles=["e+"], conditions=CONDITIONS)
    incident = Gun("e+", Spectrum.parse("1:100"), Beam(9.0, (0.0, 20.0))).sample(1, 0, 20)
    made, alone = (caloforge.load(each).sample(incident, seed=1) for each in (choice, part))
    np.testing.assert_array_equal(made.deposits, alone.deposits)
    np.testing.assert_array_equal(made.direction, alone.direction)
    for wide in ({"low": -21.0}, {"high": [21.0, 0.0]}, {"high": None}):
        conditions = [CONDITIONS[0], entry | wide, CONDITIONS[2]]
        with pytest.raises(ArtefactError, match="has narrower bounds of entry_point than it"):
            caloforge.load(make_choice(tmp_path, parts, particles=["e+"], conditions=conditions))


def test_generators_that_make_nothing(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"no member makes e\+ just above 1 GeV"):
        caloforge.load(make_choice(tmp_path, []))
    assert not Generator.gives_overflow
