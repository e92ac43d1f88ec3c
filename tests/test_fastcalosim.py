"""The FastCaloSim parametrisation: exact energies, reproducible showers, profiles of the fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from caloforge.detector import CylindricalLayer, Detector, Hits, Plate, Stack, load_detector
from caloforge.errors import ArtefactError, DetectorError, EnergyError, ShowersError
from caloforge.export.closure import compare_layers
from caloforge.models.fastcalosim.overflow import overflow_from_cells
from caloforge.models.fastcalosim.radial import fit_radius
from caloforge.models.fastcalosim.rings import Rings
from caloforge.models.fastcalosim.sampling import FastCaloSim, FastCaloSimConfig
from caloforge.random import Purpose, stream
from caloforge.showers import Showers, read_showers

CALOGAN = load_detector("calogan")
SMALL = Detector(
    "small",
    (
        CylindricalLayer((0.0, 10.0), (0.0, 5.0, 20.0), 1),
        CylindricalLayer((10.0, 60.0), (0.0, 5.0, 10.0, 20.0, 40.0), 8),
    ),
)
PLATES = replace(SMALL, stack=Stack((Plate("G4_Pb", 60.0),), lateral=200.0))
QUICK = FastCaloSimConfig(
    energy_range=(1.0, 100.0), n_nodes=5, n_bins=(2,), min_rows=400, n_factors=2
)


def toy_showers(n: int) -> Showers:
    """Showers of gamma distributed deposits whose layer fractions depend on the energy."""
    rng = np.random.default_rng(3)
    energy = rng.uniform(1, 100, n)
    first = 0.4 * energy[:, None] ** -0.3 * np.array([0.8, 0.2])
    rings = np.array([0.5, 0.3, 0.15, 0.05]) / 8
    second = (1 - first.sum(1))[:, None] * np.tile(rings, 8)
    mean = 950 * energy[:, None] * np.hstack([first, second])
    deposits = rng.gamma(np.maximum(mean / 20, 1e-3)) * 20
    return Showers(SMALL, energy, deposits.astype(np.float32), "e+")


def with_overflow(showers: Showers) -> Showers:
    """The same showers with 1% of what is in the second layer beside it, in two of three."""
    rng = np.random.default_rng(4)
    overflow = np.zeros((len(showers), 2))
    second = showers.layer_energies[:, 1]
    overflow[:, 1] = (
        0.015 * second * rng.gamma(5, 0.2, len(showers)) * (rng.random(len(showers)) < 2 / 3)
    )
    return replace(showers, detector=PLATES, overflow=overflow)


def rngs(n: int, first: int = 0) -> list[np.random.Generator]:
    return [stream(5, Purpose.GENERATOR, first + i) for i in range(n)]


def deposits(hits: Hits, detector: Detector, count: int) -> NDArray[np.float64]:
    return detector.digitise(hits, count)[0]


@pytest.fixture(scope="module")
def toy() -> FastCaloSim:
    return FastCaloSim.fit(toy_showers(3000), QUICK)


@pytest.fixture(scope="module")
def tracks() -> FastCaloSim:
    return FastCaloSim.fit(toy_showers(3000), QUICK.model_copy(update={"track_loss": 100.0}))


@pytest.fixture(scope="module")
def leaky() -> FastCaloSim:
    return FastCaloSim.fit(with_overflow(toy_showers(3000)), QUICK)


@pytest.fixture(scope="module")
def train(shared: Path) -> Showers:
    return read_showers(shared / "data/eplus-voxels.h5", split="train")


@pytest.fixture(scope="module")
def eplus(train: Showers) -> FastCaloSim:
    config = FastCaloSimConfig(n_nodes=6, n_bins=(3,))
    return FastCaloSim.fit(Showers(train.detector, train.energy, train.deposits, "e+"), config)


def test_hits_lie_in_the_detector_and_are_sorted(toy: FastCaloSim) -> None:
    hits = toy.hits(np.linspace(1, 100, 50), rngs(50))
    assert (np.diff(hits.shower) >= 0).all()
    assert (hits.energy >= 0).all()
    assert np.isfinite(hits.energy).all()
    assert deposits(hits, SMALL, 50).sum() == pytest.approx(hits.energy.sum(), rel=1e-9)


def test_empty_block(toy: FastCaloSim) -> None:
    hits = toy.hits(np.empty(0), [])
    assert hits.energy.shape == (0,)


@pytest.mark.parametrize("name", ["toy", "leaky", "tracks"])
@pytest.mark.parametrize("block", [1, 7, 40])
def test_showers_do_not_depend_on_the_block(
    name: str, block: int, request: pytest.FixtureRequest
) -> None:
    model: FastCaloSim = request.getfixturevalue(name)
    energy = np.geomspace(1, 100, 40)
    whole = model.hits(energy, rngs(40))
    for start in range(0, 40, block):
        part = model.hits(
            energy[start : start + block], rngs(len(energy[start : start + block]), start)
        )
        same = (whole.shower >= start) & (whole.shower < start + block)
        for axis in ("x", "y", "z", "energy"):
            np.testing.assert_array_equal(getattr(part, axis), getattr(whole, axis)[same])
        np.testing.assert_array_equal(part.shower, whole.shower[same] - start)


def test_arrays_round_trip(toy: FastCaloSim, tmp_path: Path) -> None:
    arrays = toy.arrays()
    np.savez_compressed(tmp_path / "toy.npz", allow_pickle=False, **arrays)
    with np.load(tmp_path / "toy.npz", allow_pickle=False) as file:
        again = FastCaloSim.from_arrays(SMALL, dict(file))
    energy = np.array([1.0, 33.0, 100.0])
    np.testing.assert_array_equal(
        toy.hits(energy, rngs(3)).energy, again.hits(energy, rngs(3)).energy
    )


def test_arrays_must_be_complete_and_fit_the_detector(toy: FastCaloSim) -> None:
    arrays = toy.arrays()
    with pytest.raises(ArtefactError, match="use the detector that it was fitted on"):
        FastCaloSim.from_arrays(load_detector("lar-voxels"), arrays)
    del arrays["rotation"]
    with pytest.raises(ArtefactError, match="rotation missing"):
        FastCaloSim.from_arrays(SMALL, arrays)


@pytest.mark.parametrize("energy", [0.9, 101.0, -1.0, np.nan])
def test_energy_out_of_range(toy: FastCaloSim, energy: float) -> None:
    with pytest.raises(EnergyError, match=r"energy: got .* GeV, must be between 1 and 100 GeV"):
        toy.hits(np.array([10.0, energy]), rngs(2))


def test_extrapolation_scales_the_deposit(toy: FastCaloSim) -> None:
    edge = toy.hits(np.array([100.0]), rngs(1)).energy.sum()
    beyond = toy.hits(np.array([200.0]), rngs(1), extrapolate=True).energy.sum()
    assert beyond == pytest.approx(2 * edge)
    with pytest.raises(EnergyError, match="must be positive"):
        toy.hits(np.array([0.0]), rngs(1), extrapolate=True)


def test_fit_refuses_what_it_cannot_fit() -> None:
    few = toy_showers(100)
    with pytest.raises(ShowersError, match="must be at least min_rows = 400"):
        FastCaloSim.fit(few, QUICK)
    empty = Showers(SMALL, np.full(500, 10.0), np.zeros((500, SMALL.n_cells), np.float32))
    with pytest.raises(ShowersError, match="got 0 with a deposit"):
        FastCaloSim.fit(empty, QUICK)
    cells = Showers(CALOGAN, np.full(500, 10.0), np.ones((500, CALOGAN.n_cells), np.float32))
    with pytest.raises(DetectorError, match="cylindrical"):
        FastCaloSim.fit(cells, QUICK)


def test_config_is_strict() -> None:
    with pytest.raises(ValidationError):
        FastCaloSimConfig(bins=3)  # type: ignore[call-arg]
    assert FastCaloSimConfig.preset("gamma") == FastCaloSimConfig()
    assert len(FastCaloSimConfig.preset("pi+").n_bins) > 1


def test_sectors_keep_energy_and_order() -> None:
    showers = toy_showers(5)
    sectors = Rings.of(SMALL).sectors(SMALL, showers.deposits)
    assert sectors.shape == (5, 6, 8)
    np.testing.assert_allclose(sectors.sum((1, 2)), showers.deposits.sum(1), rtol=1e-5)
    # Ring 3 of all is the second ring of layer 1; r is the fast index of the deposits.
    np.testing.assert_allclose(sectors[:, 3, 6], showers.deposits[:, 2 + 6 * 4 + 1])


def test_toy_means_are_reproduced(toy: FastCaloSim) -> None:
    showers = toy_showers(3000)
    rows = np.flatnonzero((showers.energy > 20) & (showers.energy < 60))
    hits = toy.hits(showers.energy[rows], rngs(len(rows)))
    got, wanted = deposits(hits, SMALL, len(rows)).mean(0), showers.deposits[rows].mean(0)
    np.testing.assert_allclose(got[:2], wanted[:2], rtol=0.03)
    np.testing.assert_allclose(
        got[2:].reshape(8, 4).sum(0), wanted[2:].reshape(8, 4).sum(0), rtol=0.03
    )


def test_overflow_becomes_a_ring_outside(leaky: FastCaloSim) -> None:
    assert leaky.has_outer_rings
    showers = with_overflow(toy_showers(3000))
    assert showers.overflow is not None
    rows = np.flatnonzero((showers.energy > 20) & (showers.energy < 60))
    hits = leaky.hits(showers.energy[rows], rngs(len(rows)))
    assert np.hypot(hits.x, hits.y).max() <= 100
    inside, beside = SMALL.digitise(hits, len(rows))
    wanted = showers.overflow[rows]
    assert not beside[:, 0].any()
    assert beside[:, 1].mean() == pytest.approx(wanted[:, 1].mean(), rel=0.05)
    assert (beside[:, 1] > 0).mean() == pytest.approx(2 / 3, abs=0.06)
    total = showers.deposits[rows].sum() + wanted.sum()
    assert inside.sum() + beside.sum() == pytest.approx(total, rel=0.01)
    assert hits.energy.sum() == pytest.approx(inside.sum() + beside.sum(), rel=1e-9)
    # It falls off as it does further inside: most of it is near the voxels.
    r = np.hypot(hits.x, hits.y)
    out = r > 40
    assert np.average(r[out], weights=hits.energy[out]) < 60


def test_without_room_or_overflow_there_is_no_ring_outside(toy: FastCaloSim) -> None:
    assert not toy.has_outer_rings
    showers = toy_showers(3000)
    energy = np.linspace(1, 100, 20)
    wanted = toy.hits(energy, rngs(20))
    none = replace(showers, overflow=np.zeros((len(showers), 2)), detector=PLATES)
    no_stack = replace(with_overflow(showers), detector=SMALL)
    narrow = replace(SMALL, stack=Stack((Plate("G4_Pb", 60.0),), lateral=80.0))
    no_room = replace(with_overflow(showers), detector=narrow)
    for one in (none, no_stack, no_room):
        model = FastCaloSim.fit(one, QUICK)
        assert not model.has_outer_rings
        np.testing.assert_array_equal(model.hits(energy, rngs(20)).x, wanted.x)


def test_tables_with_an_outer_ring_round_trip(leaky: FastCaloSim) -> None:
    again = FastCaloSim.from_arrays(PLATES, leaky.arrays())
    energy = np.array([1.0, 33.0])
    np.testing.assert_array_equal(leaky.hits(energy, rngs(2)).x, again.hits(energy, rngs(2)).x)


def test_radial_profile_continues_outside() -> None:
    rings = Rings.of(PLATES, [0.0, 100.0])
    scale = 12.0
    edges = np.append(rings.r_min, 100.0)[2:]
    exact = -np.diff(np.exp(-edges / scale))
    radius = fit_radius(rings, np.concatenate([[1.0, 1.0], exact]))[-1]
    mean = np.mean(0.5 * (radius[1:] + radius[:-1])) * 60
    assert mean == pytest.approx(scale, rel=0.1)
    assert radius[0] == 0
    assert (np.diff(radius) > 0).all()
    assert radius[-1] <= 1


def test_a_track_has_one_angle(tracks: FastCaloSim) -> None:
    hits = tracks.hits(np.full(200, 2.0), rngs(200))
    first = hits.z < 10
    angle = np.arctan2(hits.y, hits.x)
    # The first layer has two rings; each has an angle of its own.
    for ring in (np.hypot(hits.x, hits.y) < 5, np.hypot(hits.x, hits.y) >= 5):
        rows = np.flatnonzero(first & ring)
        same = np.diff(hits.shower[rows]) == 0
        assert same.sum() > 50
        np.testing.assert_allclose(np.diff(angle[rows])[same], 0, atol=1e-9)
    assert (
        FastCaloSimConfig.preset("pi-").track_loss > 0 == FastCaloSimConfig.preset("e-").track_loss
    )


@pytest.mark.parametrize("particle", ["eplus", "gamma", "piplus"])
def test_overflow_from_cells_is_that_of_the_simulation(particle: str) -> None:
    folder = Path(__file__).parent / "data"
    voxels, cells = (
        read_showers(folder / f"{particle}-{kind}.h5") for kind in ("lar-voxels", "calogan")
    )
    assert voxels.overflow is not None
    found = overflow_from_cells(voxels, cells)
    np.testing.assert_allclose(
        found[:, 1], voxels.overflow[:, :2].sum(1), atol=1e-5 * voxels.energy.max() * 1e3
    )
    assert not found[:, 0].any()
    # The files in shared/ keep 12 bits: the mean stays, and nothing is made of rounding.
    coarse = overflow_from_cells(rounded(voxels), rounded(cells))
    assert coarse[:, 1].sum() == pytest.approx(found[:, 1].sum(), rel=0.01)
    empty = found[:, 1] < 1e-5 * cells.layer_energies[:, 0]
    assert (coarse[empty, 1] > 0).mean() < 0.1 if empty.any() else True
    with pytest.raises(ShowersError, match="row by row"):
        overflow_from_cells(voxels, cells[::-1])
    assert not overflow_from_cells(voxels, replace(cells, overflow=None)).any()


def rounded(showers: Showers) -> Showers:
    """Deposits and overflow rounded to 12 significant bits."""

    def kept(values: NDArray[np.floating]) -> NDArray[np.float64]:
        mantissa, exponent = np.frexp(values.astype(np.float64))
        return np.asarray(np.ldexp(np.round(mantissa * 2.0**12), exponent - 12))

    assert showers.overflow is not None
    deposits = kept(showers.deposits).astype(np.float32)
    return replace(showers, deposits=deposits, overflow=kept(showers.overflow))


def test_positrons_close_on_the_rows_of_the_fit(eplus: FastCaloSim, train: Showers) -> None:
    rows = np.flatnonzero((train.energy > 35) & (train.energy < 70))[::2]
    energy = train.energy[rows]
    hits = eplus.hits(energy, rngs(len(rows)))
    drawn = deposits(hits, train.detector, len(rows))
    layer_sums = train.detector.layer_sums
    expected = layer_sums(train.deposits[rows])
    found = compare_layers(
        energy, expected, layer_sums(drawn)[None], energies=(50.0, 1e6), n_bootstrap=20
    )
    assert [one.quantity for one in found[:3]] == ["response", "resolution", "layer_fraction_0"]
    assert {one.energy for one in found} == {50.0}
    response, resolution = found[:2]
    assert response.value == pytest.approx(response.reference, rel=0.001)
    assert resolution.value == pytest.approx(resolution.reference, rel=0.15)
    for fraction, spread in zip(
        found[2:], (expected / expected.sum(1)[:, None]).std(0), strict=True
    ):
        assert abs(fraction.value - fraction.reference) < 0.1 * spread
    profile, wanted = (
        x[:, 168:358].reshape(-1, 10, 19).mean((0, 1)) for x in (drawn, train.deposits[rows])
    )
    np.testing.assert_allclose(profile[:14], wanted[:14], rtol=0.04)
    cells = deposits(hits, CALOGAN, len(rows))
    assert CALOGAN.layer_sums(cells)[:, 0].sum() == pytest.approx(drawn[:, :168].sum(), rel=0.02)
