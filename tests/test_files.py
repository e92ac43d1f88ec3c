"""Files of showers: what is written is read again, also by others; and files of others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import caloforge
from caloforge.detector import CylindricalLayer, Detector, RectangularLayer, load_detector
from caloforge.errors import DetectorError, FileFormatError, OutputError
from caloforge.showers import Showers, inspect_file, open_showers, read_showers, write_showers
from caloforge.showers.fields import OPTIONAL, FormatName

CALOGAN = load_detector("calogan")
VOXELS = load_detector("lar-voxels")
SMALL = Detector(
    "small", (RectangularLayer((0, 1), (0, 1, 2), (0, 1, 2)), CylindricalLayer((1, 2), (0, 1), 3))
)
BOX = Detector("box", (RectangularLayer(None, (0, 1), (0, 1, 2)),), description="µ detector")


def make(n: int, detector: Detector = CALOGAN, seed: int = 1, **changes: Any) -> Showers:
    rng = np.random.default_rng(seed)
    arrays: dict[str, Any] = {
        "energy": rng.uniform(1, 100, n),
        "deposits": rng.exponential(1, (n, detector.n_cells)),
        "particle": "gamma",
    }
    return Showers(detector, **(arrays | changes))


def assert_same(one: Showers, other: Showers) -> None:
    np.testing.assert_allclose(one.energy, other.energy, rtol=1e-14)
    np.testing.assert_array_equal(one.deposits, other.deposits)
    assert one.particle == other.particle
    for name in OPTIONAL:
        mine, theirs = getattr(one, name), getattr(other, name)
        assert (mine is None) == (theirs is None)
        if mine is not None:
            np.testing.assert_allclose(mine, theirs, rtol=1e-6)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    n=st.integers(0, 5),
    detector=st.sampled_from([CALOGAN, VOXELS, SMALL, BOX]),
    format_=st.sampled_from([None, "calogan", "calochallenge"]),
    have=st.sets(st.sampled_from(sorted(OPTIONAL))),
    particle=st.sampled_from(["", "e+", "pi-"]),
    seed=st.integers(0, 99),
)
def test_round_trip(
    tmp_path: Path,
    n: int,
    detector: Detector,
    format_: FormatName | None,
    have: set[str],
    particle: str,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    optional = {
        name: rng.exponential(9, (n, *OPTIONAL[name].shape(detector))).astype(OPTIONAL[name].memory)
        for name in have
    }
    showers = make(n, detector, seed, particle=particle, **optional)
    path = tmp_path / "showers.h5"
    if format_ == "calogan" and not detector.is_rectangular:
        with pytest.raises(DetectorError, match="use the format 'calochallenge'"):
            write_showers(path, showers, format=format_, overwrite=True)
        return
    write_showers(path, showers, format=format_, overwrite=True)
    assert [item.name for item in tmp_path.iterdir()] == ["showers.h5"]
    with open_showers(path) as file:
        assert file.detector == detector
        assert file.format.name == (
            format_ or ("calogan" if detector.is_rectangular else "calochallenge")
        )
        assert len(file) == n
        assert_same(file.read(), showers)
        assert_same(Showers.concatenate(list(file.blocks(2))), showers)
        np.testing.assert_allclose(file.energies(slice(1, 3)), showers.energy[1:3], rtol=1e-14)


# What the scripts of others find


def test_calogan_layout(tmp_path: Path) -> None:
    """The keys, shapes and units of doi:10.17632/pvn3xc3wy5.1."""
    showers = make(3, overflow=np.ones((3, 3)))
    write_showers(tmp_path / "e.h5", showers)
    with h5py.File(tmp_path / "e.h5") as file:
        assert set(file) == {"energy", "layer_0", "layer_1", "layer_2", "overflow"}
        assert file["energy"].shape == (3, 1)
        assert [file[f"layer_{i}"].shape for i in range(3)] == [(3, 3, 96), (3, 12, 12), (3, 12, 6)]
        assert file["overflow"].shape == (3, 3)
        np.testing.assert_array_equal(file["energy"][:, 0], showers.energy)  # GeV
        np.testing.assert_array_equal(
            np.concatenate([file[f"layer_{i}"][:].reshape(3, -1) for i in range(3)], axis=1),
            showers.deposits,  # MeV
        )


def test_calochallenge_layout(tmp_path: Path) -> None:
    """The keys, shapes and units of arXiv:2410.21611."""
    showers = make(3, VOXELS)
    write_showers(tmp_path / "v.h5", showers)
    with h5py.File(tmp_path / "v.h5") as file:
        assert set(file) == {"incident_energies", "showers"}
        assert file["incident_energies"].shape == (3, 1)
        assert file["showers"].shape == (3, 363)
        np.testing.assert_allclose(file["incident_energies"][:, 0], 1000 * showers.energy)
        np.testing.assert_array_equal(file["showers"][:], showers.deposits)
    with pytest.raises(FileFormatError, match="'root' is not known"):
        write_showers(tmp_path / "w.h5", showers, format="root")  # type: ignore[arg-type]
    assert [item.name for item in tmp_path.iterdir()] == ["v.h5"]


def foreign(path: Path, n: int = 4, **changes: Any) -> Path:
    """A file as the CaloGAN authors wrote theirs: float64, nothing but the arrays."""
    arrays: dict[str, Any] = {"energy": np.linspace(1, 5, n).reshape(-1, 1)} | {
        f"layer_{i}": np.full((n, *layer.shape), 0.5) for i, layer in enumerate(CALOGAN.layers)
    }
    with h5py.File(path, "w") as file:
        for key, value in (arrays | changes).items():
            if value is not None:
                file[key] = value
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"energy": np.linspace(1, 5, 4)},
        {"energy": np.linspace(1, 5, 4, dtype=np.float32)},
        {"energy": np.array([1, 2, 3, 5])},
        {"mask": np.zeros((9, 2)), "comment": "extra keys"},
        {"overflow": np.zeros((4, 3))},
        {"layer_1": np.full((4, 12, 12), 0.5, np.float16)},
        {"layer_1": np.ones((4, 12, 12), np.uint8)},
    ],
)
def test_files_of_others(tmp_path: Path, changes: dict[str, Any]) -> None:
    path = foreign(tmp_path / "foreign.h5", **changes)
    with open_showers(path) as file:
        assert (file.particle, file.run, file.split, file.split_counts) == ("", {}, None, {})
    showers = read_showers(path)
    assert showers.detector == CALOGAN
    assert showers.energy[[0, -1]].tolist() == [1, 5]
    assert (showers.overflow is None) == ("overflow" not in changes)
    assert showers.deposits[0, 0] == 0.5
    assert caloforge.read(path).total_energy[0] > 0


@pytest.mark.parametrize(
    "name", ["calochallenge-ds1-photons", "calochallenge-ds1-pions", "calochallenge-ds2"]
)
def test_calochallenge_files_are_recognised(tmp_path: Path, name: str) -> None:
    detector = load_detector(name)
    with h5py.File(tmp_path / "c.hdf5", "w") as file:
        file["incident_energies"] = [[256.0], [4194304.0]]
        file["showers"] = np.ones((2, detector.n_cells))
    showers = read_showers(tmp_path / "c.hdf5")
    assert showers.detector.name == name
    np.testing.assert_allclose(showers.energy, [0.256, 4194.304])


def test_detector_that_nobody_knows_is_asked_for(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "u.h5", "w") as file:
        file["energy"], file["layer_0"] = np.ones((2, 1)), np.ones((2, 1, 2))
    with pytest.raises(FileFormatError, match=r"layer_0 \(2, 1, 2\); name the detector"):
        read_showers(tmp_path / "u.h5")
    assert len(read_showers(tmp_path / "u.h5", detector=BOX)) == 2
    with pytest.raises(FileFormatError, match=r"'layer_0' has shape .* for detector 'calogan'"):
        read_showers(tmp_path / "u.h5", detector="calogan")


@pytest.mark.parametrize(
    ("name", "particle", "rows"),
    [("eplus", "e+", 504), ("gamma-voxels", "gamma", 363), ("piplus", "pi+", 504)],
)
def test_shared_files(shared: Path, name: str, particle: str, rows: int) -> None:
    path = shared / "data" / f"{name}.h5"
    with open_showers(path) as file:
        assert file.detector.n_cells == rows
        counts = file.split_counts
        assert sum(counts.values()) == len(file)
        split = file.split
        showers = file.read(0, 300)
    assert split is not None
    assert 0.01 < showers.response.mean() < 1.05
    part = read_showers(path, split="test", rows=slice(0, 300))
    np.testing.assert_array_equal(part.energy, showers.energy[split[:300] == 2])


def test_showers_of_the_calogan_authors(shared: Path) -> None:
    showers = read_showers(shared / "data" / "calogan-geant4-eplus-51.h5")
    assert len(showers) == 51
    assert showers.detector == CALOGAN
    assert inspect_file(shared / "data" / "calogan-geant4-eplus-51.h5").count == 51


def test_rows_and_splits(tmp_path: Path) -> None:
    path = foreign(tmp_path / "s.h5", split=np.array([0, 2, 1, 2], np.int8))
    assert read_showers(path, rows=slice(1, 3)).energy.tolist() == pytest.approx([7 / 3, 11 / 3])
    assert read_showers(path, split="test").energy.tolist() == pytest.approx([7 / 3, 5])
    assert len(read_showers(path, split="train", rows=slice(1, 4))) == 0
    assert len(read_showers(path, rows=slice(-1, None))) == 1
    with open_showers(path) as file:
        assert file.split_counts == {"train": 1, "validation": 1, "test": 2}
        with pytest.raises(FileFormatError, match="must be one of train, validation, test"):
            file.rows_of("tset")  # type: ignore[arg-type]
    with pytest.raises(FileFormatError, match="step 2, must be 1"):
        read_showers(path, rows=slice(0, 4, 2))
    with pytest.raises(FileFormatError, match="is not split"):
        read_showers(foreign(tmp_path / "n.h5"), split="test")


def test_run_is_kept(tmp_path: Path) -> None:
    with h5py.File(foreign(tmp_path / "r.h5"), "r+") as file:
        file.attrs["caloforge_run"] = json.dumps({"seed": 1})
        file.attrs["particle"] = "-11"
    with open_showers(tmp_path / "r.h5") as opened:
        assert opened.run == {"seed": 1}
        assert opened.particle == "e+"


# Writing


def test_nothing_is_overwritten_by_accident(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    write_showers(path, make(2))
    before = path.read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        write_showers(path, make(3))
    assert path.read_bytes() == before
    write_showers(path, make(3), overwrite=True)
    assert len(read_showers(path)) == 3


def test_output_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "folder").mkdir()
    for path, word in (
        (tmp_path / "none" / "a.h5", "there is no folder"),
        (tmp_path / "file" / "a.h5", "there is no folder"),
        (tmp_path / "folder", "folder|exists"),
        (tmp_path / ("long" * 80), "long"),
    ):
        for overwrite in (False, True):
            with pytest.raises(OutputError, match=word):
                write_showers(path, make(1), overwrite=overwrite)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["file", "folder"]


def test_nothing_is_left_when_writing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(h5py.Group, "create_dataset", fail)
    path = tmp_path / "a.h5"
    with pytest.raises(OutputError, match="no space left on the disk"):
        write_showers(path, make(2))
    assert not list(tmp_path.iterdir())
