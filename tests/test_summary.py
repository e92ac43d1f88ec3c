"""Summaries: the same however the showers are split, small and checked as JSON, compared fairly."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caloforge.detector import CylindricalLayer, Detector, RectangularLayer, load_detector
from caloforge.errors import FileFormatError, ShowersError
from caloforge.evaluation.summary.comparison import compare_summaries
from caloforge.evaluation.summary.file import read_summary, write_summary
from caloforge.evaluation.summary.profiles import CELL_EDGES, axes
from caloforge.evaluation.summary.slices import slice_edges
from caloforge.evaluation.summary.summary import (
    FRACTION_TICKS,
    RESPONSE_TICKS,
    TICK,
    Summary,
    SummaryBuilder,
)
from caloforge.showers import Showers

SMALL = Detector(
    "small",
    (
        RectangularLayer((0, 10), (-10, 0, 10), (-10, -5, 0, 10)),
        CylindricalLayer((10, 30), (0, 5, 20), 4),
    ),
)


def make_showers(n: int, seed: int = 0, low: float = 1, high: float = 100) -> Showers:
    rng = np.random.default_rng(seed)
    energy = rng.uniform(low, high, n)
    shares = rng.dirichlet(np.full(SMALL.n_cells, 0.5), n) * rng.uniform(0.9, 1.0, (n, 1))
    return Showers(SMALL, energy, (shares * 1000 * energy[:, None]).astype(np.float32), "e+")


def summarise(showers: Showers, cuts: list[int] | None = None) -> Summary:
    builder = SummaryBuilder(showers.detector, showers.particle)
    edges = [0, *sorted(cuts or []), len(showers)]
    for start, stop in pairwise(edges):
        builder.add(showers[start:stop])
    return builder.result()


def assert_same(a: Summary, b: Summary, rtol: float = 1e-12) -> None:
    assert [part.index for part in a.slices] == [part.index for part in b.slices]
    assert a.energy_span == pytest.approx(b.energy_span, rel=1e-5)
    for one, two in zip(a.slices, b.slices, strict=True):
        assert one.count == two.count
        np.testing.assert_array_equal(one.response_counts, two.response_counts)
        np.testing.assert_array_equal(one.fraction_counts, two.fraction_counts)
        np.testing.assert_allclose(one.image_sum, two.image_sum, rtol=rtol)
        np.testing.assert_allclose(one.sums, two.sums, rtol=rtol)
        np.testing.assert_allclose(one.squares, two.squares, rtol=rtol)
        for mine, theirs in ((one.shares, two.shares), (one.cells, two.cells)):
            assert mine is not None
            assert theirs is not None
            np.testing.assert_allclose(mine.means, theirs.means, rtol=rtol, atol=1e-15)
            largest = mine.deviations.max()
            np.testing.assert_allclose(
                mine.deviations, theirs.deviations, rtol=10 * rtol, atol=1e-9 * largest
            )


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 60), max_size=6), seed=st.integers(0, 99))
def test_any_partition_gives_the_same_summary(cuts: list[int], seed: int) -> None:
    showers = make_showers(60, seed)
    assert_same(summarise(showers, cuts), summarise(showers))
    halves = summarise(showers[:25]) + summarise(showers[25:])
    assert_same(halves, summarise(showers))


def test_contents_are_those_of_the_showers() -> None:
    showers = make_showers(300)
    summary = summarise(showers)
    assert summary.count == 300
    assert summary.energy_span == (showers.energy.min(), showers.energy.max())
    np.testing.assert_allclose(summary.image, showers.deposits.mean(axis=0, dtype=np.float64))
    part = max(summary.slices, key=lambda item: item.count)
    low, high = slice_edges(part.index)
    inside = showers[(showers.energy >= low) & (showers.energy < high)]
    assert part.count == len(inside)
    expected = [inside.response.mean(), *inside.layer_fractions.mean(axis=0)]
    np.testing.assert_allclose(part.means[:3], expected)
    np.testing.assert_allclose(part.variances[0], inside.response.var(), rtol=1e-9)
    q16, q84 = np.quantile(inside.response, (0.16, 0.84))
    assert part.response_width == pytest.approx((q84 - q16) / 2, abs=0.005)


def test_profiles_and_spectra_are_those_of_the_showers() -> None:
    showers = make_showers(300)
    part = summarise(showers).slices[-1]
    low, high = slice_edges(part.index)
    inside = showers[(showers.energy >= low) & (showers.energy < high)]
    incident = 1000 * inside.energy
    assert part.shares is not None
    assert part.cells is not None
    first, second = inside.images
    expected = [
        inside.layer_energies / incident[:, None],  # along the depth
        first.sum(axis=2) / incident[:, None],  # x of layer 0
        first.sum(axis=1) / incident[:, None],  # y of layer 0
        second.sum(axis=1) / incident[:, None],  # r of layer 1
    ]
    assert [(axis.kind, axis.layer) for axis in axes(SMALL)] == [
        ("depth", None),
        ("x", 0),
        ("y", 0),
        ("r", 1),
    ]
    values = np.hstack(expected)
    np.testing.assert_allclose(part.shares.means, values.mean(axis=0))
    np.testing.assert_allclose(part.shares.deviations, values.std(axis=0))
    cells = [
        [np.histogram(shower, CELL_EDGES)[0] for shower in image.reshape(len(inside), -1)]
        for image in inside.images
    ]
    counts = np.concatenate(cells, axis=1)
    np.testing.assert_allclose(part.cells.means, counts.mean(axis=0))
    np.testing.assert_allclose(part.cells.deviations, counts.std(axis=0))


def test_cells_beyond_the_spectrum_are_in_its_ends_and_empty_ones_in_none() -> None:
    deposits = np.zeros((1, SMALL.n_cells), np.float32)
    deposits[0, :2] = 1e-30, 1e30
    part = summarise(Showers(SMALL, np.full(1, 1e30), deposits)).slices[0]
    assert part.cells is not None
    counts = part.cells.means.reshape(2, -1)
    assert counts[0, [0, -1]].tolist() == [1, 1]
    assert counts.sum() == 2


def test_depth_is_counted_in_layers_where_it_is_not_known_or_has_gaps() -> None:
    layer = RectangularLayer((0, 10), (-10, 0, 10), (-10, 0, 10))
    gap = Detector("gap", (layer, replace(layer, depth=(20, 30))))
    unknown = Detector("unknown", (replace(layer, depth=None),) * 2)
    for detector in (gap, unknown):
        assert axes(detector)[0].kind == "layer"
        assert axes(detector)[0].edges == (-0.5, 0.5, 1.5)
    assert axes(SMALL)[0].edges == (0, 10, 30)


def test_bins_cover_what_they_should() -> None:
    assert RESPONSE_TICKS[[0, -1]].tolist() == [0, round(1.1 / TICK)]
    assert FRACTION_TICKS[[0, -1]].tolist() == [0, round(1 / TICK)]
    assert (np.diff(RESPONSE_TICKS) > 0).all()
    assert (np.diff(FRACTION_TICKS) > 0).all()


def test_fractions_of_one_and_huge_responses_are_counted() -> None:
    deposits = np.zeros((2, SMALL.n_cells), np.float32)
    deposits[0, 0] = 5000.0  # response 5, all in layer 0; the other shower is empty
    part = summarise(Showers(SMALL, np.ones(2), deposits)).slices[0]
    assert part.response_counts[[0, -1]].tolist() == [1, 1]
    assert part.fraction_counts[:, [0, -1]].tolist() == [[1, 1], [2, 0]]


def test_json_round_trip() -> None:
    summary = summarise(make_showers(200))
    text = write_summary(summary)
    again = read_summary(text, "summary")
    assert again.detector.same_readout(SMALL)
    assert again.particle == "e+"
    assert_same(again, summary, rtol=2e-3)
    assert write_summary(again) == text


def test_the_first_version_stays_readable() -> None:
    """What was shipped before had neither profiles nor spectra."""
    summary = summarise(make_showers(200))
    old = json.loads(write_summary(summary))
    old["format"] = "caloforge-summary-1"
    for part in old["slices"]:
        del part["shares"], part["cells"]
    again = read_summary(json.dumps(old), "summary")
    assert again.count == 200
    assert all(part.shares is None and part.cells is None for part in again.slices)
    comparison = compare_summaries(summary, again)
    assert comparison.response.reference is not None
    assert len(comparison.profiles) == 4
    assert len(comparison.spectra) == 2
    assert all(item.reference is None for item in (*comparison.profiles, *comparison.spectra))
    assert (summary + again).slices[0].shares is None


def test_json_of_the_calogan_detector_is_small() -> None:
    detector = load_detector("calogan")
    rng = np.random.default_rng(5)
    energy = rng.uniform(1, 100, 2000)
    deposits = rng.exponential(energy[:, None], (2000, detector.n_cells)).astype(np.float32)
    assert len(write_summary(summarise(Showers(detector, energy, deposits, "pi+")))) < 90_000


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda content: content.pop("detector"), "detector"),
        (lambda content: content.update(format="other"), "format"),
        (lambda content: content.update(colour="red"), "colour"),
        (lambda content: content["detector"]["layers"][0].pop("x"), "layers.0"),
        (lambda content: content["slices"][0]["image"].pop(), "image"),
        (lambda content: content["slices"][0]["image"].__setitem__(0, -1.0), "image"),
        (lambda content: content["slices"][0]["response"].update(first=10**6), "response"),
        (lambda content: content["slices"][0].update(count=10**6), "response"),
        (lambda content: content["slices"].reverse(), "slices"),
        (lambda content: content["slices"][0]["cells"].pop(), "cells"),
        (lambda content: content["slices"][0]["shares"].pop(), "shares"),
        (lambda content: content["slices"][0]["shares"][1].update(first=2), "shares.1"),
        (lambda content: content["slices"][0]["cells"][0]["deviations"].pop(), "cells.0"),
    ],
)
def test_malformed_json_is_refused(change: Callable[[dict[str, Any]], object], word: str) -> None:
    content = json.loads(write_summary(summarise(make_showers(50))))
    change(content)
    with pytest.raises(FileFormatError, match=word):
        read_summary(json.dumps(content), "reference.json")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"particle": 1}'])
def test_what_is_no_summary_is_refused(text: str) -> None:
    with pytest.raises(FileFormatError, match=r"reference\.json"):
        read_summary(text, "reference.json")


def test_other_detectors_and_particles_are_refused() -> None:
    builder = SummaryBuilder(SMALL, "e+")
    with pytest.raises(ShowersError, match="pi"):
        builder.add(Showers(SMALL, np.ones(1), np.ones((1, SMALL.n_cells), np.float32), "pi+"))
    other = load_detector("calogan")
    with pytest.raises(ShowersError, match="calogan"):
        builder.add(Showers(other, np.ones(1), np.ones((1, 504), np.float32), "e+"))


def test_like_with_like_agrees() -> None:
    comparison = compare_summaries(summarise(make_showers(3000)), summarise(make_showers(6000, 1)))
    assert comparison.reference is not None
    assert comparison.reference.weight == pytest.approx(3000)
    assert not comparison.spectra_differ
    assert comparison.uncovered == 0
    for histogram in (comparison.response, *comparison.fractions):
        assert histogram.chi2 is not None
        chi2, bins = histogram.chi2
        assert chi2 < bins + 5 * np.sqrt(2 * bins)
        area = (histogram.showers.density * np.diff(histogram.edges)).sum()
        assert area + histogram.showers.outside == pytest.approx(1)


def test_profiles_and_spectra_agree_where_they_should() -> None:
    comparison = compare_summaries(summarise(make_showers(3000)), summarise(make_showers(6000, 1)))
    assert [item.kind for item in comparison.profiles] == ["depth", "x", "y", "r"]
    for item in comparison.profiles:
        assert item.reference is not None
        error = np.hypot(item.showers.error, item.reference.error)
        assert (np.abs(item.showers.density - item.reference.density) < 5 * error).all()
    depth = comparison.profiles[0]
    whole = depth.showers.density @ np.diff(depth.edges)
    assert whole == pytest.approx(comparison.showers.means[0])
    for item in comparison.spectra:
        assert item.reference is not None
        assert item.showers.density.sum() == pytest.approx(item.reference.density.sum(), rel=0.01)
        assert len(item.edges) == len(item.showers.density) + 1


def test_reference_is_weighted_to_the_spectrum() -> None:
    showers, reference = make_showers(2000, low=30, high=60), make_showers(20000, 1)
    comparison = compare_summaries(summarise(showers), summarise(reference))
    assert comparison.spectra_differ
    assert comparison.reference is not None
    total = showers.total_energy.mean()
    assert comparison.reference.image.sum() == pytest.approx(total, rel=0.005)


def test_energies_without_reference_are_left_out() -> None:
    reference = summarise(make_showers(500, 1, low=1, high=10))
    partly = compare_summaries(summarise(make_showers(500, low=1, high=100)), reference)
    assert 0.8 < partly.uncovered < 0.95
    assert partly.reference is not None
    nothing = compare_summaries(summarise(make_showers(500, low=500, high=600)), reference)
    assert nothing.reference is None
    assert nothing.uncovered == 1
    alone = compare_summaries(summarise(make_showers(500)), None)
    assert alone.reference is None
    assert alone.uncovered == 0
    assert not alone.spectra_differ
