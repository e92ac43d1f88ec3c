"""What an evaluation says first: whether a sample is told from Geant4, and who wins by how much."""

from __future__ import annotations

import json
from dataclasses import replace
from html import escape
from pathlib import Path

import numpy as np
import pytest

from caloforge.detector import load_detector
from caloforge.evaluation import evaluate
from caloforge.evaluation.results import (
    FLOOR,
    Evaluation,
    Headline,
    SampleInfo,
    SampleResult,
    write_evaluation,
)
from caloforge.evaluation.shown import Shown
from caloforge.evaluation.verdicts import auc_text, beside_floor, opening, told_apart
from caloforge.showers import Showers
from caloforge.web.report import write_report
from conftest import Cli

INFO = SampleInfo(
    file="", sha256="", showers=1, available=1, rows="", particle="e+", detector="", energy=(1, 2)
)


def sample(name: str, *values: float, error: float = 0.01) -> SampleResult:
    """A sample with these AUCs of the headline test, of two thresholds."""
    names = {"headline_auc": "AUC, every deposit", "headline_auc_1": "AUC, > 1 MeV"}
    lines = tuple(
        Headline(name=key, label=label, value=value, error=error, better="half")
        for (key, label), value in zip(names.items(), values, strict=False)
    )
    return SampleResult(name=name, info=INFO, headlines=lines, sections={}, warnings=(), seconds=0)


def evaluation(*samples: SampleResult) -> Evaluation:
    return Evaluation(
        caloforge="",
        versions={},
        machine="",
        command="",
        seed=1,
        quick=True,
        reference=INFO,
        samples=beside_floor(samples),
        seconds=0,
    )


def test_what_tells_geant4_from_geant4_is_no_fault_of_a_sample() -> None:
    floor, same, worse, good = beside_floor(
        [
            sample(FLOOR, 0.7, 0.5),
            sample("same", 0.72, 0.53),
            sample("worse", 0.72, 0.6),
            sample("good", 0.45, 0.4),
        ]
    )
    assert [each.verdicts for each in (same, worse, good)] == [(), ("told apart",), ()]
    assert [item.name for item in told_apart(worse, floor)] == ["headline_auc_1"]
    (warning,) = floor.warnings
    assert "Geant4 is told from Geant4 (every deposit: AUC 0.700 ± 0.010)" in warning
    assert beside_floor([sample(FLOOR, 0.5, 0.5)])[0].warnings == ()


def test_the_winner_is_said_first(tmp_path: Path) -> None:
    found = evaluation(
        sample(FLOOR, 0.5, 0.5),
        sample("a", 0.9, 0.9),
        sample("b", 0.7, 0.92),
        sample("Geant4 of today", 0.5, 0.5),
    )
    first, *others = opening(found)
    assert first == (
        "Hardest to tell from Geant4 (AUC): for every deposit b, 0.700 ± 0.010 against "
        "0.900 ± 0.010 of a; > 1 MeV a, 0.900 ± 0.010 against 0.920 ± 0.010 of b (by chance, "
        "perhaps)."
    )
    assert others[0] == (
        "a is told from Geant4: AUC for every deposit 0.900 ± 0.010, > 1 MeV 0.900 ± 0.010; Geant4 "
        "itself 0.500 ± 0.010, 0.500 ± 0.010."
    )
    assert others[2].startswith("Geant4 of today is not told from Geant4")
    page = write_report(tmp_path, found, [Shown()] * 4, load_detector("calogan")).read_text("utf-8")
    assert page.index(escape(first)) < page.index("<h2>Leaderboard</h2>")
    # Beside each other on a wide page, below each other on a phone.
    assert '<td data-head="a">0.900 <small>± 0.010</small></td>' in page


def test_one_sample_has_nobody_to_win_against() -> None:
    assert len(opening(evaluation(sample(FLOOR, 0.5), sample("a", 0.9)))) == 1
    assert opening(evaluation(sample(FLOOR), sample("a"))) == []


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.76561, 0.0012, "0.7656 ± 0.0012"),
        (0.99996, 0.000004, "0.99996 ± 0.00001"),
        (1.0, 0.0, "1.000 ± 0.001"),
        (0.5, 0.012, "0.500 ± 0.012"),
    ],
)
def test_digits_of_an_auc(value: float, error: float, text: str) -> None:
    item = Headline(name="headline_auc", label="AUC", value=value, error=error, better="half")
    assert auc_text(item) == text


def test_two_stacks_with_one_readout_are_said() -> None:
    detector = load_detector("calogan")
    assert detector.stack is not None
    thicker = replace(detector.stack, plates=detector.stack.plates[:-1])
    other = replace(detector, name="thinner", stack=thicker)
    rng = np.random.default_rng(1)
    energy = rng.uniform(1, 100, 240)
    deposits = rng.exponential(1, (240, detector.n_cells)).astype(np.float32)
    reference = Showers(detector, energy, deposits, "e+")
    samples = [
        Showers(each, energy[:120], deposits[:120], "e+")
        for each in (detector, other, replace(other, stack=None))
    ]
    found, _ = evaluate(reference, samples, sections=("energy",))
    said = [[text for text in each.warnings if "stack" in text] for each in found.samples]
    assert [len(texts) for texts in said] == [0, 0, 1, 0]
    assert said[2][0].startswith(
        "detector: these are showers of another stack of plates ('thinner') than the reference "
        "('calogan')"
    )


def test_compared_numbers_are_numbers(tmp_path: Path, cli: Cli) -> None:
    found = evaluation(sample(FLOOR, 0.5, 0.5), sample("a", 0.9, 0.9), sample("b", 0.7, 0.92))
    write_evaluation(tmp_path / "metrics.json", found)
    done = cli("compare", tmp_path, "--json")
    assert done.code == 0
    floor, a, b = json.loads(done.out)["samples"]
    assert floor["sample"] == FLOOR
    assert a["verdicts"] == ["told apart"]
    assert b["numbers"]["headline_auc"] == {
        "label": "AUC, every deposit",
        "value": 0.7,
        "error": 0.01,
        "better": "half",
        "best": True,
    }
    assert not a["numbers"]["headline_auc"]["best"]
    # Where there is no terminal, a table is not cut.
    assert "0.700 ± 0.010" in cli("compare", tmp_path).out
