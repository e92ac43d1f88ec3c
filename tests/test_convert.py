"""From one readout to another: energy is conserved, and voxels become the cells of Geant4."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caloforge.detector import CylindricalLayer, Detector, RectangularLayer, load_detector
from caloforge.errors import CaloforgeError, DetectorError, OutputError, ShowersError
from caloforge.showers import (
    Showers,
    convert,
    convert_file,
    open_showers,
    read_showers,
    split_file,
    write_showers,
)
from caloforge.showers.convert import spread_matrix

CALOGAN = load_detector("calogan")
VOXELS = load_detector("lar-voxels")
WIDE = Detector(  # covers the depth and the area of all the others
    "wide", (RectangularLayer((0, 240), (-700, -5, 0, 5, 700), (-700, 0, 700)),
             RectangularLayer((240, 480), (-700, 700), (-700, 1, 2, 700)))
)  # fmt: skip
RINGS = Detector(
    "rings",
    (CylindricalLayer((0, 100), (0, 3, 400), 7), CylindricalLayer((100, 480), (50, 80), 2)),
)


def make(n: int, detector: Detector, seed: int = 1) -> Showers:
    rng = np.random.default_rng(seed)
    deposits = rng.exponential(10, (n, detector.n_cells)) * (rng.random((n, 1)) < 0.9)
    return Showers(
        detector,
        rng.uniform(1, 100, n),
        deposits.astype(np.float32),
        "e+",
        leakage=rng.random(n),
    )


@settings(max_examples=20)
@given(
    source=st.sampled_from([CALOGAN, VOXELS, WIDE, RINGS]),
    target=st.sampled_from([CALOGAN, VOXELS, WIDE, RINGS]),
    points=st.integers(1, 50),
    seed=st.integers(0, 9),
)
def test_energy_is_conserved(source: Detector, target: Detector, points: int, seed: int) -> None:
    showers = make(5, source, seed)
    made = convert(showers, target, points=points)
    assert made.detector is target
    assert made.overflow is not None
    total = made.total_energy + made.overflow.sum(axis=1)
    np.testing.assert_allclose(total, showers.total_energy, rtol=1e-6)
    np.testing.assert_array_equal(made.energy, showers.energy)
    np.testing.assert_array_equal(np.asarray(made.leakage), np.asarray(showers.leakage))
    assert made.particle == "e+"
    if target is WIDE:
        assert made.overflow.max() < 1e-6 * showers.total_energy.max()


@pytest.mark.parametrize("detector", [CALOGAN, VOXELS, WIDE, RINGS], ids=lambda d: str(d.name))
def test_to_itself_is_the_identity(detector: Detector) -> None:
    showers = make(3, detector)
    np.testing.assert_allclose(convert(showers, detector).deposits, showers.deposits, rtol=1e-5)


def test_by_hand() -> None:
    fine = Detector("fine", (RectangularLayer((0, 1), (0, 1, 2), (0, 1)),
                             RectangularLayer((1, 3), (0, 2), (0, 1))))  # fmt: skip
    coarse = Detector("coarse", (RectangularLayer((0, 2), (0.5, 1.5), (0, 0.5, 1)),))
    showers = Showers(fine, np.array([1.0]), np.array([[8.0, 4.0, 100.0]], np.float32))
    made = convert(showers, coarse)
    np.testing.assert_allclose(made.deposits, [[2 + 1 + 12.5, 2 + 1 + 12.5]], rtol=1e-6)
    # Beside the cells: half of each cell; behind them (2 to 3 mm): half of the 100 MeV.
    assert made.overflow is not None
    np.testing.assert_allclose(made.overflow, [[4 + 2 + 25]], rtol=1e-6)


def test_matrix_rows_are_shares() -> None:
    matrix = spread_matrix(VOXELS, CALOGAN, points=100)
    assert matrix.shape == (363, 504 + 3)
    assert matrix.min() >= 0
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-12)


def test_more_points_converge() -> None:
    exact = spread_matrix(VOXELS, CALOGAN, points=10_000)
    errors = [
        np.abs(spread_matrix(VOXELS, CALOGAN, points=points) - exact).sum(axis=1).mean()
        for points in (4, 36, 400, 2500)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[2] < 0.02
    assert errors[3] < errors[0] / 8


def test_what_cannot_be_converted(tmp_path: Path) -> None:
    photons = load_detector("calochallenge-ds1-photons")
    for source, target in ((photons, CALOGAN), (CALOGAN, photons)):
        with pytest.raises(DetectorError, match="depths of the layers of 'calochallenge-ds1-ph"):
            convert(make(1, source), target)
    with pytest.raises(ShowersError, match="points: got 0"):
        convert(make(1, CALOGAN), VOXELS, points=0)
    write_showers(tmp_path / "a.h5", make(2, CALOGAN))
    with pytest.raises(DetectorError, match="depths"):
        convert_file(tmp_path / "a.h5", tmp_path / "b.h5", detector=photons)
    with pytest.raises(OutputError, match="exists"):
        convert_file(tmp_path / "none.h5", tmp_path / "a.h5")
    assert [item.name for item in tmp_path.iterdir()] == ["a.h5"]


def test_voxels_become_the_cells_of_geant4(shared: Path) -> None:
    rows = slice(0, 2000)
    voxels = read_showers(shared / "data" / "eplus-voxels.h5", rows=rows)
    cells = read_showers(shared / "data" / "eplus.h5", rows=rows)
    np.testing.assert_allclose(voxels.energy, cells.energy, rtol=1e-6)
    made = convert(voxels, CALOGAN)
    mine, theirs = made.layer_energies.mean(axis=0), cells.layer_energies.mean(axis=0)
    np.testing.assert_allclose(mine[:2], theirs[:2], rtol=0.01)
    # The outermost rings of the last layer are 200 mm wide and reach beyond the cells.
    np.testing.assert_allclose(mine[2], theirs[2], rtol=0.03)
    assert made.overflow is not None
    assert cells.overflow is not None
    mine, theirs = mine + made.overflow.mean(axis=0), theirs + cells.overflow.mean(axis=0)
    np.testing.assert_allclose(mine, theirs, rtol=0.01)
    np.testing.assert_allclose(made.response.mean(), cells.response.mean(), rtol=0.005)
    each = made.layer_energies.sum(axis=1) / cells.layer_energies.sum(axis=1)
    assert np.abs(each - 1).max() < 0.05
    for ours, image, most in zip(made.images, cells.images, (0.05, 0.05, 0.2), strict=True):
        mean, truth = ours.mean(axis=0), image.mean(axis=0)
        assert np.abs(mean - truth).sum() / truth.sum() < most
        assert np.unravel_index(mean.argmax(), mean.shape)[0] in {
            truth.shape[0] // 2, (truth.shape[0] - 1) // 2,
        }  # fmt: skip


def test_file_in_blocks_is_memory_at_once(tmp_path: Path) -> None:
    showers = make(1300, VOXELS)
    write_showers(tmp_path / "v.h5", showers)
    done: list[int] = []
    convert_file(tmp_path / "v.h5", tmp_path / "c.h5", detector=CALOGAN, progress=done.append)
    assert done == [1024, 1300]
    whole, made = convert(showers, CALOGAN), read_showers(tmp_path / "c.h5")
    np.testing.assert_allclose(made.deposits, whole.deposits, rtol=1e-6)
    np.testing.assert_allclose(made.overflow, whole.overflow, rtol=1e-6)  # type: ignore[arg-type]
    assert made.detector == CALOGAN


def test_other_format_keeps_everything(tmp_path: Path) -> None:
    write_showers(tmp_path / "a.h5", make(50, CALOGAN))
    counts = split_file(tmp_path / "a.h5", tmp_path / "s.h5", seed=3)
    convert_file(tmp_path / "s.h5", tmp_path / "b.h5", format="calochallenge")
    convert_file(tmp_path / "b.h5", tmp_path / "c.h5")
    for name, kind in (("b.h5", "calochallenge"), ("c.h5", "calogan")):
        with open_showers(tmp_path / name) as file:
            assert file.format.name == kind
            assert file.split_counts == counts
            np.testing.assert_array_equal(file.read().deposits, make(50, CALOGAN).deposits)
            assert file.detector == CALOGAN


def test_same_cells_at_another_depth_are_converted(tmp_path: Path) -> None:
    low = Detector("low", (RectangularLayer((0, 2), (0, 1), (0, 1)),))
    high = Detector("high", (RectangularLayer((1, 3), (0, 1), (0, 1)),))
    write_showers(tmp_path / "a.h5", Showers(low, np.ones(1), np.array([[8.0]], np.float32)))
    convert_file(tmp_path / "a.h5", tmp_path / "b.h5", detector=high)
    assert read_showers(tmp_path / "b.h5").deposits.tolist() == [[4.0]]


def test_no_showers(tmp_path: Path) -> None:
    write_showers(tmp_path / "a.h5", make(0, VOXELS))
    convert_file(tmp_path / "a.h5", tmp_path / "b.h5", detector=CALOGAN)
    assert split_file(tmp_path / "b.h5", tmp_path / "c.h5") == dict.fromkeys(
        ("train", "validation", "test"), 0
    )
    assert len(read_showers(tmp_path / "c.h5", detector=CALOGAN)) == 0


# Splitting


def test_split(tmp_path: Path) -> None:
    write_showers(tmp_path / "a.h5", make(2000, WIDE))
    write_showers(tmp_path / "short.h5", make(1500, WIDE))
    counts = split_file(tmp_path / "a.h5", tmp_path / "b.h5", seed=1)
    assert sum(counts.values()) == 2000
    assert abs(counts["train"] - 1600) < 80
    split_file(tmp_path / "short.h5", tmp_path / "d.h5", seed=1)
    with open_showers(tmp_path / "b.h5") as long, open_showers(tmp_path / "d.h5") as short:
        assert long.split is not None
        assert short.split is not None
        np.testing.assert_array_equal(long.split[:1500], short.split)  # rows keep their part
    with pytest.raises(CaloforgeError, match="is split already"):
        split_file(tmp_path / "b.h5", tmp_path / "e.h5")
    for wrong in ((0.5, 0.5, 0.5), (-0.1, 0.6, 0.5), (float("nan"),) * 3, (0.0, 0.0, 0.0)):
        with pytest.raises(CaloforgeError, match="fractions: got"):
            split_file(tmp_path / "a.h5", tmp_path / "e.h5", fractions=wrong)
    assert split_file(tmp_path / "a.h5", tmp_path / "e.h5", fractions=(0, 0, 1))["test"] == 2000
