"""The headline test: blind to what is equal, awake to what is not, and able to say why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import caloforge
from caloforge.detector import load_detector
from caloforge.errors import CaloforgeError, ShowersError
from caloforge.evaluation import SECTIONS, evaluate, leaderboard
from caloforge.evaluation.classifiers import strong
from caloforge.evaluation.classifiers.clues import Clue
from caloforge.evaluation.classifiers.folds import fold_of_rows, hash_factors, row_keys
from caloforge.evaluation.classifiers.strong import strong_test
from caloforge.evaluation.classifiers.strong_result import (
    HEADLINE_THRESHOLDS,
    StrongProtocol,
    StrongResult,
)
from caloforge.evaluation.features.columns import Columns
from caloforge.evaluation.features.windows import window_columns
from caloforge.showers import Showers, read_showers
from caloforge.web.report import write_report

FEW = StrongProtocol(thresholds=(0.0, 1.0), trees=20, epochs=4, folds=2)
TWO = StrongProtocol(thresholds=(0.0, 1.0))
PARTICLES = ("eplus", "gamma", "piplus")


@pytest.fixture(scope="module")
def positrons(shared: Path) -> Showers:
    return read_showers(shared / "data" / "eplus.h5", split="train")


def changed(showers: Showers, deposits: NDArray[np.floating]) -> Showers:
    return replace(showers, deposits=deposits.astype(np.float32))


def halves(showers: Showers, size: int, seed: int) -> tuple[Showers, Showers]:
    order = np.random.default_rng(seed).permutation(len(showers))
    return showers[order[:size]], showers[order[size : 2 * size]]


def made_up(n: int, seed: int = 0) -> Showers:
    detector = load_detector("calogan")
    rng = np.random.default_rng(seed)
    energy = rng.uniform(1, 100, n)
    shares = rng.dirichlet(np.full(detector.n_cells, 0.1), n)
    return Showers(detector, energy, (1e3 * energy[:, None] * shares).astype(np.float32), "e+")


def content(result: StrongResult) -> str:
    return result.model_dump_json(exclude={"seconds"})


def check_floor(result: StrongResult, errors: float = 4) -> None:
    for each in result.thresholds:
        assert abs(each.auc - 0.5) < errors * each.auc_error
        assert not each.clues


def test_seeds_reproduce_whatever_the_order_of_the_rows() -> None:
    reference, showers = made_up(150), made_up(130, seed=1)
    first = strong_test(reference, showers, FEW, seed=1)
    rng = np.random.default_rng(0)
    shuffled = reference[rng.permutation(150)], showers[rng.permutation(130)]
    assert content(strong_test(reference, showers, FEW, seed=1)) == content(first)
    assert content(strong_test(*shuffled, FEW, seed=1)) == content(first)
    assert strong_test(reference, showers, FEW, seed=2).auc != first.auc
    assert (first.n_showers, first.n_available) == (130, (150, 130))
    assert [each.threshold for each in first.thresholds] == [0.0, 1.0]
    assert first.auc == first.thresholds[0].auc == np.mean(first.thresholds[0].fold_auc)


def test_every_shower_is_scored_by_what_has_not_seen_it() -> None:
    greedy = StrongProtocol(thresholds=(0.0,), trees=100, leaves=60, epochs=30, folds=2)
    check_floor(strong_test(made_up(200), made_up(200, seed=1), greedy, seed=1))


def test_a_sample_against_itself() -> None:
    """Equal rows are in one fold: else the one teaches that the other is of the wrong class."""
    result = strong_test(made_up(150), made_up(150), FEW, seed=1)
    # Up to rows of a matrix product, which can be rounded otherwise at another place.
    assert [each.auc for each in result.thresholds] == pytest.approx([0.5, 0.5], abs=1e-3)
    assert result.warnings == ("showers: 150 of 150 are showers of the reference",)


def test_rows_of_one_energy_are_in_one_fold() -> None:
    first, second = made_up(200), made_up(200, seed=1)
    second = replace(second, energy=first.energy)
    keys = np.concatenate([row_keys(each, hash_factors(504, 1)) for each in (first, second)])
    fold = fold_of_rows(keys, np.tile(first.energy, 2), 3)
    assert (fold[:200] == fold[200:]).all()
    assert np.bincount(fold).tolist() == [134, 134, 132]
    # Of few energies that cannot be: then equal rows are.
    few = np.repeat([10.0, 20.0], 200)
    fold = fold_of_rows(np.tile(keys[:200], 2), few, 3)
    assert (fold[:200] == fold[200:]).all()
    assert len({*fold[:200].tolist()}) == 3


def test_copies_are_told() -> None:
    showers = made_up(30, seed=1)[np.repeat(np.arange(30), 5)]
    result = strong_test(made_up(150), showers, FEW, seed=1)
    assert "showers: 120 of 150 are copies of others" in result.warnings[-1]


@pytest.mark.parametrize("particle", PARTICLES)
def test_floor_of_few(shared: Path, particle: str) -> None:
    showers = read_showers(shared / f"data/{particle}.h5", split="train")
    check_floor(strong_test(*halves(showers, 500, 1), TWO, seed=1))


def test_generated_showers_are_seen(positrons: Showers) -> None:
    reference = positrons[:600]
    generated = caloforge.load("atlas-vae-eplus").sample(reference.energy, seed=3)
    result = strong_test(reference, generated, seed=1)
    aucs = [each.auc for each in result.thresholds]
    assert aucs[0] > 0.95
    assert aucs[0] > aucs[1] > aucs[2] > aucs[3] > 0.6
    best = result.thresholds[0].clues[0]
    assert best.auc > 0.7
    assert result.thresholds[0].weights["cells by energy"] > 0.1
    assert result.warnings == ()


@pytest.mark.parametrize(("change", "at_least"), [("scale", 0.9), ("smear", 0.9), ("zero", 0.95)])
def test_spoiled_showers_are_seen(positrons: Showers, change: str, at_least: float) -> None:
    reference, showers = halves(positrons, 800, seed=3)
    deposits = showers.deposits
    if change == "scale":
        deposits = deposits * np.float32(1.01)
    elif change == "smear":
        deposits = deposits * np.maximum(
            0, 1 + 0.05 * np.random.default_rng(1).standard_normal(deposits.shape)
        )
    else:
        deposits = np.where(deposits < 1, 0, deposits)
    result = strong_test(reference, changed(showers, deposits), TWO, seed=1)
    assert result.auc > at_least
    texts = " ".join(clue.text for clue in result.thresholds[0].clues)
    if change == "zero":
        assert "too few cells between" in texts
        # What was changed is below 1 MeV, and nothing above.
        last = result.thresholds[-1]
        assert abs(last.auc - 0.5) < 4 * last.auc_error
    else:
        assert "deposited over incident energy" in texts


def test_a_dead_cell_is_named(positrons: Showers) -> None:
    reference, showers = halves(positrons, 800, seed=4)
    deposits = showers.deposits.copy()
    cell = showers.detector.slices[1].start + 6 * 12 + 5
    deposits[:, cell] = 0
    result = strong_test(reference, changed(showers, deposits), TWO, seed=1)
    x, y = showers.detector.centres[cell, :2]
    named = f"energy in the cell at x = {x:.4g} mm, y = {y:.4g} mm of layer 1 too small"
    assert any(clue.text.startswith(named) for clue in result.thresholds[0].clues)


def shifted(showers: Showers, layer: int, shift: float) -> Showers:
    """The share of a layer larger by so many of its standard deviations; the sum is kept."""
    energies = showers.layer_energies
    share = energies / energies.sum(axis=1, keepdims=True)
    wanted = share.copy()
    wanted[:, layer] = np.maximum(wanted[:, layer] + shift * share[:, layer].std(), 0)
    wanted /= wanted.sum(axis=1, keepdims=True)
    factors = np.divide(wanted, share, out=np.ones_like(share), where=share > 0)
    return changed(showers, showers.deposits * factors[:, showers.detector.layer_of_cell])


def rounded(showers: Showers) -> Showers:
    """Deposits of 12 significant bits, as in the files of Geant4 showers."""
    mantissa, exponent = np.frexp(showers.deposits)
    return changed(showers, np.ldexp(np.round(mantissa * 4096) / 4096, exponent))


def test_what_is_harmless_is_not_seen(positrons: Showers) -> None:
    reference, showers = halves(positrons, 800, seed=5)
    check_floor(strong_test(reference, shifted(showers, 1, 0.02), TWO, seed=1))
    mirrored = showers.deposits[:, showers.detector.symmetries["phi"]]
    check_floor(strong_test(reference, changed(showers, mirrored), TWO, seed=1))
    generator = caloforge.load("atlas-vae-eplus")
    first, second = (
        generator.sample(each.energy, seed=seed) for seed, each in enumerate((reference, showers))
    )
    check_floor(strong_test(first, rounded(second), TWO, seed=1))


def test_as_many_showers_as_fit() -> None:
    showers = made_up(200)
    protocol = StrongProtocol(deposits=504 * 70)
    assert protocol.size(showers, showers[:100]) == 70
    assert StrongProtocol(showers=60).size(showers, showers) == 60
    assert StrongProtocol().size(showers, showers[:100]) == 100
    few = strong_test(showers, made_up(200, seed=1), FEW.model_copy(update={"showers": 60}), seed=1)
    assert few.n_showers == 60


def test_clues_are_sentences() -> None:
    clue = Clue(
        name="n1[0.03,0.2]",
        title="cells between 0.03 and 0.2 MeV in layer 1",
        family="cells by energy",
        place="layer 1",
        unit="",
        scale="count",
        kind="shift",
        reference=24.52,
        showers=31.21,
        more=True,
        auc=0.712,
        auc_error=0.01,
    )
    assert clue.text == (
        "too many cells between 0.03 and 0.2 MeV in layer 1: 31.2 against 24.5 a shower"
    )
    spread = clue.model_copy(update={"kind": "spread", "more": False, "showers": 24.51})
    assert spread.text.startswith(
        "number of cells between 0.03 and 0.2 MeV in layer 1 varies too little: by 24.51 against"
    )


def test_bad_input_is_refused() -> None:
    showers = made_up(100)
    with pytest.raises(ShowersError, match="got 30 of each class, must be at least 20 in each"):
        strong_test(showers, showers[:30], FEW, seed=1)
    gamma = Showers(showers.detector, showers.energy, showers.deposits, "gamma")
    with pytest.raises(ShowersError, match="particle"):
        strong_test(showers, gamma, FEW, seed=1)
    with pytest.raises(CaloforgeError, match="seed"):
        strong_test(showers, showers, FEW, seed=-1)
    with pytest.raises(CaloforgeError, match="threads: got 0"):
        strong_test(showers, showers, FEW, seed=1, threads=0)
    for wrong in ((), (1.0, 0.0), (-1.0,), (0.0, float("nan"))):
        with pytest.raises(ValueError, match="thresholds: got"):
            StrongProtocol(thresholds=wrong)


@pytest.mark.slow
@pytest.mark.parametrize("particle", PARTICLES)
@pytest.mark.parametrize("cells", ["", "-voxels"])
def test_floor(shared: Path, particle: str, cells: str) -> None:
    showers = read_showers(shared / f"data/{particle}{cells}.h5", split="train")
    result = strong_test(*halves(showers, 5000, 1), seed=1)
    for each in result.thresholds:
        assert abs(each.auc - 0.5) < 0.01 + each.auc_error
        assert not each.clues


@pytest.mark.slow
@pytest.mark.parametrize("particle", PARTICLES)
@pytest.mark.parametrize(("model", "at_least"), [("atlas-vae", 0.95), ("fastcalosim", 0.99)])
def test_shipped_generators(shared: Path, particle: str, model: str, at_least: float) -> None:
    reference = read_showers(shared / f"data/{particle}.h5", split="train")[:2500]
    generated = caloforge.load(f"{model}-{particle}").sample(reference.energy, seed=3)
    result = strong_test(reference, generated, seed=1)
    assert [each.threshold for each in result.thresholds] == list(HEADLINE_THRESHOLDS)
    assert result.auc > at_least


def test_it_is_the_first_of_every_evaluation(
    positrons: Showers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First in the leaderboard, in words in the report; columns of the reference computed once."""
    counted: list[int] = []

    def spy(showers: Showers, thresholds: tuple[float, ...]) -> Columns:
        counted.append(len(showers))
        return window_columns(showers, thresholds)

    monkeypatch.setattr(strong, "window_columns", spy)
    assert next(iter(SECTIONS)) == "headline"
    reference, sample = halves(positrons, 500, seed=6)
    spoiled = changed(sample, np.where(sample.deposits < 1, 0, sample.deposits))
    evaluation, shown = evaluate(reference, [spoiled], sections=("headline",))
    assert counted == [250, 250, 500]  # half of the reference is its floor
    labels = ["AUC, every deposit", "AUC, > 10 keV", "AUC, > 0.1 MeV", "AUC, > 1 MeV"]
    assert [cell.text for cell in leaderboard([evaluation])[0]][3:] == labels
    assert [item.name for item in evaluation.floor.headlines] == [
        "headline_auc",
        "headline_auc_0.01",
        "headline_auc_0.1",
        "headline_auc_1",
    ]
    page = write_report(tmp_path / "report", evaluation, shown, reference.detector)
    text = page.read_text("utf-8")
    assert "<h2>The headline test</h2>" in text
    assert "no number alone differs by five errors" in text  # of the floor
    assert "too few cells between" in text
    assert (page.parent / "windows.png").is_file()


def test_cells_of_the_windows_are_counted(positrons: Showers) -> None:
    reference, sample = halves(positrons, 100, seed=7)
    result = strong_test(reference, sample, FEW, seed=1)
    cells = [each for each in result.windows if each.place == "layer 1"]
    inside = reference.deposits[:, reference.detector.slices[1]] > 0
    assert sum(each.reference for each in cells) == pytest.approx(inside.sum(axis=1).mean())
    assert cells[0].window == (0.0, 1e-4)
    assert all(each.showers_error >= 0 for each in cells)
