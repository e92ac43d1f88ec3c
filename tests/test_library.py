"""Shower libraries: Geant4 showers that come out again, mirrored and scaled, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

import caloforge
from caloforge.detector import Detector, RectangularLayer, load_detector
from caloforge.detector.mirrors import mirror_images
from caloforge.errors import ArtefactError, ShowersError
from caloforge.export import train_library
from caloforge.models.library import NUMBERS, Library
from caloforge.provenance import file_sha256
from caloforge.random import Purpose, Streams
from caloforge.showers import Showers, read_part, write_showers
from conftest import Cli

SMALL = Detector(
    "small",
    (
        RectangularLayer((0, 10), (-2, 0, 2), (-3, -1, 1, 3)),  # 2 x 3
        RectangularLayer((10, 30), (-2, 2), (-3, 0, 3)),  # 1 x 2
    ),
)
PARTS = [0, 0, 0, 1, 2]


def toy(count: int, seed: int = 1, low: float = 1, high: float = 50) -> Showers:
    """Showers with zeros, each unlike all others."""
    rng = np.random.default_rng(seed)
    energy = rng.permutation(np.geomspace(low, high, count))
    deposits = rng.gamma(0.5, size=(count, SMALL.n_cells)) * 100 * energy[:, None]
    deposits[rng.random(deposits.shape) < 0.4] = 0
    overflow = rng.exponential(size=(count, 2))
    return Showers(SMALL, energy, deposits.astype(np.float32), "e+", overflow=overflow)


def split(path: Path, showers: Showers) -> Path:
    """A file of showers, 60% train and 20% test rows."""
    write_showers(path, showers)
    with h5py.File(path, "a") as file:
        file["split"] = np.resize(np.array(PARTS, dtype="i1"), len(showers))
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return split(tmp_path_factory.mktemp("data") / "a.h5", toy(200))


@pytest.fixture(scope="module")
def artefact(data: Path) -> Path:
    return train_library(data.with_name("lib"), {"e+": [data]}, energy_range=(1, 50))


def numbers(count: int, first: int = 0) -> NDArray[np.float64]:
    return Streams(5, first + np.arange(count), Purpose.GENERATOR).uniform(NUMBERS)


def patterns(showers: NDArray[Any], energy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Deposits as shares of the incident energy, to six digits: the same for a scaled copy."""
    return np.asarray((showers / energy[:, None]).round(6), dtype=np.float64)


def test_all_that_comes_out_is_a_mirror_image_of_a_train_shower(artefact: Path, data: Path) -> None:
    generator = caloforge.load(artefact)
    train = read_part(data, "train", "e+")
    energy = np.random.default_rng(3).uniform(1, 50, 500)
    made = generator.sample(energy, seed=1)
    cells, _ = mirror_images(SMALL)
    known = np.stack([patterns(train.deposits[:, image], train.energy) for image in cells], axis=1)
    distance = np.abs(patterns(made.deposits, energy)[:, None, None] - known[None]).max(axis=-1)
    # Which train shower each is, in which mirror; a mirror may leave a shower as it is.
    which, mirror = np.divmod(distance.reshape(len(energy), -1).argmin(axis=1), len(cells))
    assert distance.min(axis=(1, 2)).max() < 1e-3
    assert set(mirror.tolist()) == {0, 1, 2, 3}
    # Each is near: no more than ten showers are nearer in energy.
    away = np.abs(train.energy - energy[:, None])
    chosen = away[np.arange(len(energy)), which]
    assert ((away < chosen[:, None]).sum(axis=1) < 10).all()
    assert made.overflow is not None
    assert train.overflow is not None
    scale = energy / train.energy[which]
    np.testing.assert_allclose(made.overflow, train.overflow[which] * scale[:, None], rtol=1e-5)


def test_the_near_ones_are_equally_likely() -> None:
    library = Library.of(toy(30, low=10, high=10.5))
    energy = np.full(4000, 10.2)
    first, stop = library.near(energy[:1], 8)
    assert stop - first == 8
    deposits, _ = library.draw(energy, numbers(4000), 8)
    _, counts = np.unique(patterns(deposits, np.ones(4000)), axis=0, return_counts=True)
    assert len(counts) == 8 * 4
    assert np.abs(counts - 125).max() < 5 * np.sqrt(125)


@pytest.mark.parametrize("nearest", [1, 3, 100])
def test_near_by_brute_force(nearest: int) -> None:
    rng = np.random.default_rng(4)
    energy = np.sort(rng.integers(1, 30, 40).astype(np.float64))  # many are the same
    showers = Showers(SMALL, energy, np.ones((40, SMALL.n_cells), dtype=np.float32))
    wanted = np.concatenate([rng.uniform(0.1, 40, 100), energy])
    for value, first, stop in zip(wanted, *Library.of(showers).near(wanted, nearest), strict=True):
        away = np.abs(energy - value)
        expected = np.flatnonzero(away <= np.sort(away)[min(nearest, 40) - 1])
        np.testing.assert_array_equal(np.arange(first, stop), expected)


@pytest.mark.parametrize("block", [1, 7, 100])
def test_showers_do_not_depend_on_the_block(artefact: Path, block: int) -> None:
    generator = caloforge.load(artefact)
    energy = np.geomspace(1, 50, 40)
    whole = generator.sample(energy, seed=3)
    again = generator.sample(energy, seed=3, batch=block)
    np.testing.assert_array_equal(whole.deposits, again.deposits)
    part = generator.sample(energy[11:], seed=3, first=11)
    np.testing.assert_array_equal(part.deposits, whole.deposits[11:])


def test_several_particles_from_the_command_line(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    split(Path("e.h5"), toy(60))
    split(Path("p.h5"), replace(toy(90, 2, 2, 40), particle="pi+", overflow=None))
    split(Path("q.h5"), replace(toy(50, 5, 2, 40), particle="pi+", overflow=None))
    line = "train library --particle e+ --particle 211 --particle pi+ --data e.h5 --data p.h5 "
    done = cli(*(line + "--data q.h5 --nearest 3 -o both").split())
    assert done.code == 0, done.err
    assert done.out == "both: keeps 120 showers\n"
    card = json.loads(Path("both/card.json").read_text("utf-8"))
    assert card["name"] == "library-eplus-piplus"
    assert [item["rows"] for item in card["training"]] == [36, 54, 30]
    assert card["training"][1]["sha256"] == file_sha256(Path("p.h5"))
    assert "invents nothing" in card["limits"][0]
    assert card["config"] == {"nearest": 3}
    words = card["command"].split()[1:]
    first = Path("both/library.npz").read_bytes()
    assert cli(*words, "--overwrite").code == 0  # the card says how it is made again, to the byte
    assert Path("both/library.npz").read_bytes() == first
    line = "generate --model both --particle pi+ --energy 5:30 -n 100 --workers 2 -o made.h5"
    assert cli(*line.split()).code == 0
    made, train = caloforge.read("made.h5"), read_part(["p.h5", "q.h5"], "train", "pi+")
    assert made.particle == "pi+"
    shares = np.sort(patterns(made.deposits, made.energy), axis=1)
    known = np.sort(patterns(train.deposits, train.energy), axis=1)
    assert np.abs(shares[:, None] - known).max(axis=2).min(axis=1).max() < 1e-3


def test_energies_that_there_are_no_showers_of(artefact: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(caloforge.CaloforgeError, match="outside the 1-50 GeV"):
        caloforge.load(artefact).sample([60.0])
    with pytest.raises(ShowersError, match=r"energy_range: got 1 to 100 GeV, but there are show"):
        train_library(tmp_path / "x", {"e+": [data]}, energy_range=(1, 100))
    other = split(tmp_path / "b.h5", replace(toy(50, 3, 60, 90), particle="gamma"))
    with pytest.raises(ShowersError, match="have no energies in common"):
        train_library(tmp_path / "x", {"e+": [data], "gamma": [other]})
    with pytest.raises(caloforge.CaloforgeError, match="got no file"):
        train_library(tmp_path / "x", {"e+": []})
    assert not (tmp_path / "x").exists()


def test_particles_from_elsewhere_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ShowersError, match="got none"):
        Library.of(toy(4)[:0])
    aimed = replace(toy(50), entry_point=np.full((50, 2), 3.0))
    path = split(tmp_path / "a.h5", aimed)
    with pytest.raises(ShowersError, match=r"their entry_point is not always \(0.0, 0.0\)"):
        train_library(tmp_path / "x", {"e+": [split(tmp_path / "b.h5", toy(50)), path]})
    voxels = Showers(load_detector("lar-voxels"), aimed.energy, np.ones((50, 363), "f4"), "gamma")
    with pytest.raises(ShowersError, match=r"data: gamma is in 'lar-voxels', e\+ in 'small'"):
        train_library(
            tmp_path / "x",
            {"e+": [tmp_path / "b.h5"], "gamma": [split(tmp_path / "c.h5", voxels)]},
        )


def test_it_survives_files(artefact: Path) -> None:
    library = Library.of(toy(20))
    again = Library.from_arrays(SMALL, library.arrays())
    for one, other in zip(
        library.draw(np.full(9, 4.0), numbers(9), 5),
        again.draw(np.full(9, 4.0), numbers(9), 5),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)
    with np.load(artefact / "library.npz", allow_pickle=False) as file:
        assert sorted(file.files) == [
            f"e+ {name}" for name in ("cells", "deposits", "energy", "hit", "overflow")
        ]
        assert file["e+ cells"].dtype == np.uint8


def damaged(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    arrays = Library.of(toy(20)).arrays()
    change(arrays)
    return arrays


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda a: a.pop("hit"), "holds cells, deposits, energy, overflow"),
        (lambda a: a.update(more=a["hit"]), "holds cells, deposits, energy, hit, more"),
        (lambda a: a.update(cells=a["cells"] + 1), "cells is damaged or of another detector"),
        (lambda a: a.update(cells=a["cells"][1:]), "deposits is damaged"),
        (lambda a: a.update(hit=a["hit"].astype(float)), "hit is damaged"),
        (lambda a: a.update(hit=np.roll(a["hit"], 1) * 0), "hit is damaged"),
        (lambda a: a.update(energy=a["energy"][::-1]), "energy is damaged"),
        (lambda a: a.update(energy=0 * a["energy"]), "energy is damaged"),
        (lambda a: a.update(deposits=-a["deposits"]), "deposits is damaged"),
        (lambda a: a.update(deposits=a["deposits"] * np.nan), "deposits is damaged"),
        (lambda a: a.update(overflow=a["overflow"][:, :1]), "overflow is damaged"),
        (lambda a: [a.update({key: a[key][:0]}) for key in tuple(a)], "energy is damaged"),
    ],
)
def test_what_does_not_fit_is_refused(
    change: Callable[[dict[str, Any]], object], what: str
) -> None:
    with pytest.raises(ArtefactError, match=what):
        Library.from_arrays(SMALL, damaged(change))


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"config": {"nearest": 0}}, "config.nearest: Input should be greater than or equal to 1"),
        ({"particles": ["gamma"]}, "library.npz: is of e[+], not gamma"),
        (
            {
                "conditions": [
                    {"name": "energy", "unit": "GeV", "low": 1.0, "high": 5.0},
                    {"name": "entry_point", "unit": "mm"},
                ]
            },
            "is asked for energies alone",
        ),
    ],
)
def test_cards_that_do_not_fit(artefact: Path, changes: dict[str, Any], what: str) -> None:
    path = artefact / "card.json"
    before = path.read_text("utf-8")
    try:
        path.write_text(json.dumps(json.loads(before) | changes), "utf-8")
        with pytest.raises(ArtefactError, match=what):
            caloforge.load(artefact)
    finally:
        path.write_text(before, "utf-8")


def test_a_damaged_file(artefact: Path, tmp_path: Path) -> None:
    from caloforge.runtime.library import read_libraries

    path = tmp_path / "library.npz"
    for content in (b"", b"nothing", (artefact / "library.npz").read_bytes()[:-300]):
        path.write_bytes(content)
        with pytest.raises(ArtefactError, match="is damaged or of another version"):
            read_libraries(path, SMALL, ("e+",))
