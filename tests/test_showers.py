"""The container: what it refuses, what it computes, how it is cut and joined."""

from __future__ import annotations

from dataclasses import fields
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from caloforge.detector import Detector, load_detector
from caloforge.errors import ShowersError
from caloforge.showers import Showers
from caloforge.showers.fields import OPTIONAL

CALOGAN = load_detector("calogan")
VOXELS = load_detector("lar-voxels")


def make(n: int = 4, detector: Detector = CALOGAN, seed: int = 1, **changes: Any) -> Showers:
    """Some showers with everything that showers can have."""
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=(n, 3))
    arrays: dict[str, Any] = {
        "energy": rng.uniform(1, 100, n),
        "deposits": rng.exponential(1, (n, detector.n_cells)),
        "particle": "e+",
        "overflow": rng.exponential(1, (n, detector.n_layers)),
        "entry_point": rng.normal(size=(n, 2)),
        "direction": direction / np.linalg.norm(direction, axis=1, keepdims=True),
        "leakage": rng.exponential(1, n),
        "event": rng.integers(9, size=n),
    }
    return Showers(detector, **(arrays | changes))


def test_one_table_says_what_is_optional() -> None:
    optional = [field.name for field in fields(Showers) if field.default is None]
    assert [*OPTIONAL, "seed"] == optional
    showers = make()
    for name, field in OPTIONAL.items():
        value = getattr(showers, name)
        assert value.shape == (4, *field.shape(CALOGAN))
        assert value.dtype == field.memory


def change(n: int, name: str, value: Any) -> Showers:
    changes: dict[str, Any] = {name: value}
    return make(n, CALOGAN, **changes)


def test_types_and_shapes() -> None:
    showers = make(4, overflow=np.ones((4, 3), np.float32), energy=[1, 2, 3, 4])
    assert showers.energy.dtype == np.float64
    assert showers.deposits.dtype == np.float32
    assert showers.overflow is not None
    assert showers.overflow.dtype == np.float64
    assert len(showers) == 4
    assert repr(showers) == "Showers(4 e+, 1-4 GeV, 'calogan')"
    assert [image.shape for image in showers.images] == [(4, 3, 96), (4, 12, 12), (4, 12, 6)]
    assert showers.images[0][2, 1, 5] == showers.deposits[2, 96 + 5]
    assert showers.images[2][1, 3, 4] == showers.deposits[1, 432 + 3 * 6 + 4]


def test_no_showers() -> None:
    empty = make(0)
    assert repr(empty) == "Showers(none, 'calogan')"
    assert empty.layer_energies.shape == (0, 3)
    assert empty.response.shape == (0,)
    assert len(Showers.concatenate([empty, make(2)])) == 2


@given(
    deposits=hnp.arrays(
        np.float32, (3, 363), elements=st.floats(0, 1e6, width=32), fill=st.just(np.float32(0))
    )
)
def test_sums_are_those_of_numpy(deposits: np.ndarray[Any, np.dtype[np.float32]]) -> None:
    showers = Showers(VOXELS, np.array([1.0, 2.0, 50.0]), deposits)
    layers = np.stack(
        [deposits[:, part].astype(np.float64).sum(axis=1) for part in VOXELS.slices], axis=1
    )
    np.testing.assert_allclose(showers.layer_energies, layers, rtol=1e-12)
    np.testing.assert_allclose(showers.total_energy, layers.sum(1), rtol=1e-12)
    np.testing.assert_allclose(showers.response, layers.sum(1) / [1e3, 2e3, 5e4], rtol=1e-12)
    fractions = showers.layer_fractions
    hit = deposits.any(axis=1)
    np.testing.assert_allclose(fractions[hit].sum(axis=1), 1)
    assert not fractions[~hit].any()


@pytest.mark.parametrize("name", ["energy", "deposits", "overflow", "leakage"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1e-30])
def test_refuses_values_that_no_shower_has(name: str, value: float) -> None:
    good = make(5)
    array = np.array(getattr(good, name), dtype=np.float64)
    array[3, ...].flat[-1] = value
    if array.ndim == 1:
        array[3] = value
    with pytest.raises(ShowersError) as error:
        change(5, name, array)
    message = str(error.value)
    assert message.startswith(f"{name}: shower 3 has ")
    assert "(1 of 5 showers are affected)" in message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["entry_point", "direction"])
def test_positions_may_be_negative_but_must_be_finite(name: str) -> None:
    array = np.array(getattr(make(5), name))
    array[2, 0] = -1.0
    change(5, name, array)
    for value in (np.nan, np.inf):
        array[2, 1] = value
        with pytest.raises(ShowersError, match=f"{name}: shower 2 .* must be finite$"):
            change(5, name, array)


def test_refuses_no_energy() -> None:
    with pytest.raises(ShowersError, match=r"energy: shower 1 has 0\.0 GeV, must be positive"):
        make(3, energy=[1.0, 0.0, 2.0])


def test_refuses_more_than_float32_holds() -> None:
    deposits = np.zeros((2, 504))
    deposits[1, 7] = 1e39
    with pytest.raises(ShowersError, match="deposits: shower 1"):
        make(2, deposits=deposits)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("energy", (4, 1)),
        ("energy", ()),
        ("deposits", (4, 503)),
        ("deposits", (3, 504)),
        ("deposits", (4, 3, 96)),
        ("deposits", (504,)),
        ("overflow", (4, 4)),
        ("overflow", (4,)),
        ("entry_point", (4, 3)),
        ("direction", (4, 2)),
        ("leakage", (4, 1)),
    ],
)
def test_refuses_wrong_shapes(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShowersError, match=rf"^{name}: has shape \({', '.join(map(str, shape))}"):
        change(4, name, np.ones(shape))


def assert_rows(part: Showers, whole: Showers, rows: Any) -> None:
    for name in ("energy", "deposits", *OPTIONAL):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[rows])
    assert part.particle == whole.particle
    assert part.detector is whole.detector


@given(start=st.integers(-12, 12), stop=st.integers(-12, 12), step=st.sampled_from([-2, -1, 1, 3]))
def test_slices(start: int, stop: int, step: int) -> None:
    showers = make(9)
    rows = slice(start, stop, step)
    assert_rows(showers[rows], showers, rows)


@given(mask=hnp.arrays(np.bool_, 9), index=st.lists(st.integers(-9, 8), max_size=12))
def test_masks_and_indices(mask: np.ndarray[Any, np.dtype[np.bool_]], index: list[int]) -> None:
    showers = make(9)
    assert_rows(showers[mask], showers, mask)
    chosen = np.array(index, dtype=np.intp)
    assert_rows(showers[chosen], showers, chosen)


def test_one_shower_is_showers_of_length_1() -> None:
    showers = make(9)
    for i in (0, 3, np.int64(8), -1, -9):
        assert_rows(showers[i], showers, [i])
    for i in (9, -10):
        with pytest.raises(IndexError, match=f"rows: got {i}, must be an index of 9 showers"):
            _ = showers[i]
    assert [len(shower) for shower in showers] == [1] * 9
    assert [shower.energy[0] for shower in showers] == showers.energy.tolist()
    assert list(make(0)) == []


def test_notebooks_show_a_table() -> None:
    html = make(3, particle="<b>")._repr_html_()
    assert html.startswith("<table>")
    assert html.count("<tr>") == html.count("</tr>") == 7
    assert "&lt;b&gt;" in html
    assert "<b>showers" not in html
    assert "overflow, entry_point, direction, leakage, event" in html
    assert "504 cells" in make(0)._repr_html_()


@given(cuts=st.lists(st.integers(0, 9), max_size=5))
def test_concatenate_undoes_cutting(cuts: list[int]) -> None:
    showers = make(9)
    ends = [0, *sorted(cuts), 9]
    parts = [showers[a:b] for a, b in pairwise(ends)]
    assert_rows(Showers.concatenate(parts), showers, slice(None))


def test_concatenate_drops_what_only_some_have() -> None:
    both = Showers.concatenate([make(2), make(3, overflow=None, direction=None)])
    assert len(both) == 5
    assert both.overflow is None
    assert both.direction is None
    assert both.leakage is not None


def test_what_cannot_be_concatenated() -> None:
    for parts in ([], [make(1), make(1, VOXELS)], [make(1), make(1, particle="e-")]):
        with pytest.raises(ShowersError, match=r"^parts: "):
            Showers.concatenate(parts)


def test_is_frozen() -> None:
    with pytest.raises(AttributeError):
        make(1).energy = np.ones(1)  # type: ignore[misc]
