"""Sections: what is computed once, and that a new one is a file and a line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, MutableMapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from caloforge.detector import Detector, RectangularLayer, load_detector
from caloforge.evaluation import SECTIONS, evaluate, leaderboard, read_evaluation
from caloforge.evaluation.distances import coverage
from caloforge.evaluation.features import calochallenge, observables
from caloforge.evaluation.features.studied import StudiedShowers, once
from caloforge.evaluation.plain import plain
from caloforge.evaluation.samples import load_reference
from caloforge.evaluation.sections.pair import Pair, Section
from caloforge.evaluation.shown import HistogramPanel
from caloforge.showers import Showers
from caloforge.web.figures import draw
from caloforge.web.report import write_report
from toys.hottest import hottest_section

CALOGAN = load_detector("calogan")


def made_up(count: int, seed: int, *, hot: float = 1.0) -> Showers:
    rng = np.random.default_rng(seed)
    energy = rng.uniform(1, 100, count)
    shares = rng.dirichlet(np.full(CALOGAN.n_cells, 0.1), count)
    return Showers(CALOGAN, energy, (1e3 * hot * energy[:, None] * shares).astype(np.float32), "e+")


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> str:
    sections = cast("MutableMapping[str, Section]", SECTIONS)
    monkeypatch.setitem(sections, "hottest", hottest_section)
    return "hottest"


def test_a_section_is_one_file_and_one_line(toy: str, tmp_path: Path) -> None:
    reference = made_up(400, 1)
    evaluation, shown = evaluate(
        reference, [made_up(150, 2), made_up(150, 3, hot=3)], sections=(toy,)
    )
    rows = leaderboard([evaluation])
    assert [cell.text for cell in rows[0]][3:] == ["shift of the hottest cell"]
    assert all(row[3].text for row in rows[1:])
    figures = {
        name: (caption, figure) for name, caption, figure in draw(evaluation, shown, CALOGAN)
    }
    assert list(figures) == ["hottest", "hottest-mean", "hottest-matrix-0", "hottest-matrix-1"]
    caption, figure = figures["hottest"]
    assert caption.startswith("The hottest cell. Area: Geant4")
    assert figure.axes[1].get_xlabel() == "hottest cell / MeV"
    assert figure.axes[0].get_title(loc="right") == "S = 2.5e-01, 2.5e-01 (2.5e-01)"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["Geant4", "sample 1", "sample 2"]
    page = write_report(tmp_path / "report", evaluation, shown, CALOGAN).read_text("utf-8")
    assert "<h2>Hottest cells</h2>" in page
    assert page.count(">median</td>") == 3  # those of the floor, too
    assert "<h2>Every quantile</h2>" in page
    assert "&lt;low&gt;" in page
    assert "1 of 2 quantiles differ by more than 3 times the floor, most of all high" in page
    assert "None of 2 quantiles differs by more than three times the floor." in page
    assert (tmp_path / "report/hottest.pdf").is_file()
    found = read_evaluation(tmp_path / "report").samples[2].sections[toy]
    assert set(found) == {"shift", "largest", "undefined"}
    assert found["shift"]["value"] > 1
    assert found["undefined"] is None


def test_features_are_computed_once(monkeypatch: pytest.MonkeyPatch, torch: object) -> None:
    """Of the reference for all samples, of each sample for all sections."""
    assert torch
    calls: Counter[str] = Counter()

    def spied(module: object, name: str) -> None:
        function: Callable[..., Any] = getattr(module, name)

        def spy(*arguments: Any, **named: Any) -> Any:
            calls[name] += 1
            return function(*arguments, **named)

        monkeypatch.setattr(module, name, spy)

    spied(calochallenge, "features")  # what high_level is made of
    spied(observables, "row_blocks")  # observables are computed in blocks, here a single one
    spied(coverage, "above")  # log cells
    sections = ("observables", "manifold", "trees", "classifiers")
    evaluate(made_up(300, 1), [made_up(130, 2), made_up(130, 3)], sections=sections)
    assert calls == {"features": 4, "row_blocks": 4, "above": 4}


def test_a_pair_alone_computes_once_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair(made_up(150, 1), made_up(150, 2), None, 1, quick=True)
    features = calochallenge.features
    calls: list[int] = []

    def spy(showers: Showers, **named: Any) -> calochallenge.Features:
        calls.append(len(showers))
        return features(showers, **named)

    monkeypatch.setattr(
        calochallenge,
        "features",
        spy,
    )
    for name in ("manifold", "trees"):
        SECTIONS[name](pair)
    assert calls == [150, 150]


def test_samples_with_bins_of_their_own_are_drawn_together() -> None:
    """Each is compared with those showers of the reference that have its energies."""
    low, high = made_up(600, 2), made_up(600, 3)
    evaluation, shown = evaluate(
        made_up(2000, 1),
        [low[low.energy < 40], high[high.energy > 50]],
        sections=("observables",),
        match=True,
    )
    edges = [
        panel.reference.edges
        for item in shown[1:]
        for panel in item.panels
        if isinstance(panel, HistogramPanel) and panel.label.startswith(r"$E_\mathrm{tot}$")
    ]
    first, second = edges
    assert not np.array_equal(first, second)
    assert next(name for name, _, _ in draw(evaluation, shown, CALOGAN)) == "energies"


def test_studied_showers_are_the_same_showers() -> None:
    showers = made_up(10, 1)
    studied = StudiedShowers.of(showers)
    assert StudiedShowers.of(studied) is studied
    assert studied.deposits is showers.deposits
    assert type(studied[:3]) is Showers
    high_level = calochallenge.high_level
    first = once(studied, high_level)
    assert once(studied, high_level, threshold=0.0) is first  # the default, written or not
    assert once(studied, high_level, threshold=1.0) is not first
    np.testing.assert_array_equal(first, once(showers, high_level))
    assert once(showers, high_level) is not once(showers, high_level)
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 0
    rows = np.array([3, 1])
    chosen = once(studied, coverage.log_cells, rows)
    assert once(studied, coverage.log_cells, rows.copy()) is chosen
    assert once(studied, coverage.log_cells, rows[::-1]) is not chosen
    np.testing.assert_array_equal(chosen, coverage.log_cells(showers[rows]))
    assert once(replace(studied, particle="gamma"), high_level) is not first


def test_what_is_as_large_as_the_deposits_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caloforge.evaluation.features.studied._SMALL", 0)
    studied = StudiedShowers.of(made_up(10, 1))
    assert once(studied, coverage.log_cells) is not once(studied, coverage.log_cells)
    assert once(studied, calochallenge.high_level) is once(studied, calochallenge.high_level)


def test_plain_values() -> None:
    found = plain({1: (np.float32(0.5), np.int64(3), np.bool_(True)), "b": np.array([np.inf, 1])})
    assert json.dumps(found, allow_nan=False) == '{"1": [0.5, 3, true], "b": [null, 1.0]}'
    with pytest.raises(TypeError, match="no JSON value can be made of set"):
        plain({1, 2})


def test_of_many_layers_those_that_differ_most_are_drawn() -> None:
    edges = tuple(float(x) for x in range(3))
    layers = tuple(
        RectangularLayer(x_edges=edges, y_edges=edges, depth=(i, i + 1)) for i in range(12)
    )
    detector = Detector("deep", layers)
    rng = np.random.default_rng(1)
    samples = []
    for hot in (1, 3):
        deposits = rng.exponential(1e3, (400, detector.n_cells)).astype(np.float32)
        deposits[:, detector.slices[7]] *= hot
        samples.append(Showers(detector, np.linspace(5, 50, 400), deposits, "e+"))
    reference = load_reference(samples[0], seed=1)
    reference = replace(reference, sample=replace(reference.sample, showers=samples[0]))
    evaluation, shown = evaluate(reference, [samples[1]], sections=("observables",))
    figures = {name: (text, figure) for name, text, figure in draw(evaluation, shown, detector)}
    text, figure = figures["energies"]
    assert text.endswith(" These 20 of 26 differ most; the table has all.")
    assert len(figure.axes) == 40  # each with its ratio
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert any("E_7" in label or "E_{7}" in label for label in labels)
    assert not any("nan" in axes.get_title(loc="right") for axes in figure.axes)
    (table,) = shown[1].tables
    assert len(table.rows) > 100
