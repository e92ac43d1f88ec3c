"""Classifier tests: as published, seeded, honest about their parts, blind to equal samples."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError
from sklearn.metrics import roc_auc_score

from caloforge.detector import load_detector
from caloforge.errors import CaloforgeError, ShowersError
from caloforge.evaluation.classifiers import network_test as classifier
from caloforge.evaluation.classifiers.network_test import (
    ClassifierResult,
    classifier_test,
    find_protocol,
)
from caloforge.evaluation.classifiers.protocols import (
    PROTOCOLS,
    CaloChallengeProtocol,
    CaloFlowProtocol,
    Protocol,
)
from caloforge.evaluation.classifiers.scores import (
    bootstrap_auc,
    calibrate_scores,
    divergence,
    jsd,
    roc_auc,
)
from caloforge.random import Purpose, stream
from caloforge.showers import Showers, read_showers

pytestmark = pytest.mark.usefixtures("torch")

CALOGAN = load_detector("calogan")
FAST = PROTOCOLS["calochallenge-high"].quick().changed(epochs=3)
ONE_EPOCH = FAST.changed(epochs=1)


@pytest.fixture(scope="module")
def positrons(shared: Path) -> Showers:
    return read_showers(shared / "data" / "eplus.h5", split="train")


def made_up(n: int, seed: int = 0, low: float = 1.0, high: float = 100.0) -> Showers:
    rng = np.random.default_rng(seed)
    energy = rng.uniform(low, high, n)
    shares = rng.dirichlet(np.full(CALOGAN.n_cells, 0.1), n) * rng.uniform(0.9, 1.0, (n, 1))
    return Showers(CALOGAN, energy, (1e3 * energy[:, None] * shares).astype(np.float32), "e+")


def changed(showers: Showers, deposits: NDArray[np.floating]) -> Showers:
    return Showers(showers.detector, showers.energy, deposits, showers.particle)


def halves(showers: Showers, size: int, seed: int) -> tuple[Showers, Showers]:
    order = np.random.default_rng(seed).permutation(len(showers))
    return showers[order[:size]], showers[order[size : 2 * size]]


def numbers(result: ClassifierResult) -> dict[str, Any]:
    return result.model_dump(exclude={"seconds"})


# --- as published -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "n_inputs", "n_parameters"),
    [
        # 508 x 512 + 512, twice 512 x 512 + 512, 512 + 1
        ("caloflow", 508, 260_608 + 2 * 262_656 + 513),
        ("caloflow-normalised", 508, 260_608 + 2 * 262_656 + 513),
        # n x 2048 + 2048, twice 2048 x 2048 + 2048, 2048 + 1
        ("calochallenge-low", 505, 1_036_288 + 2 * 4_196_352 + 2049),
        ("calochallenge-low-normalised", 508, 1_042_432 + 2 * 4_196_352 + 2049),
        ("calochallenge-high", 26, 55_296 + 2 * 4_196_352 + 2049),
    ],
)
def test_size_as_published(torch: Any, name: str, n_inputs: int, n_parameters: int) -> None:
    from caloforge.evaluation.classifiers.network import build_network

    protocol = PROTOCOLS[name]
    inputs = protocol.inputs(made_up(2))
    assert inputs.shape == (2, n_inputs)
    assert inputs.dtype == np.float32
    network = build_network(protocol, n_inputs)
    trained = sum(each.numel() for each in network.parameters() if each.requires_grad)
    assert protocol.n_parameters(n_inputs) == trained == n_parameters
    assert {each.dtype for each in network.parameters()} == {torch.float32}


def test_training_as_published() -> None:
    flow, challenge = PROTOCOLS["caloflow"], PROTOCOLS["calochallenge-low"]
    assert (flow.batch_size, flow.learning_rate, flow.epochs) == (1000, 2e-4, 30)
    judged = [epoch for epoch in range(1, 31) if flow.is_judged(epoch)]
    assert judged == [1, 6, 11, 16, *range(20, 31)]
    assert (challenge.batch_size, challenge.learning_rate, challenge.epochs) == (1000, 2e-4, 50)
    assert all(challenge.is_judged(epoch) for epoch in range(1, 51))
    assert {each.choose_by for each in PROTOCOLS.values()} == {"accuracy"}
    assert not any(each.whiten or each.dropout or each.patience for each in PROTOCOLS.values())
    assert challenge.calibrate
    assert (flow.negative_slope, challenge.negative_slope) == (0.0, 0.01)


def test_inputs_of_caloflow() -> None:
    deposits = np.zeros((1, 504), np.float32)
    deposits[0, [0, 1, 300]] = [100.0, 300.0, 1000.0]  # two cells of layer 0, one of layer 1
    showers = Showers(CALOGAN, np.array([50.0]), deposits, "e+")
    plain = CaloFlowProtocol().inputs(showers)[0]
    assert plain[[0, 1, 300]] == pytest.approx([0.001, 0.003, 0.01])
    tail = [np.log10(5.0), np.log10(0.004) + 2, 0.0, -6.0]
    assert plain[504:] == pytest.approx(tail, abs=1e-5)
    normalised = CaloFlowProtocol(normalised=True).inputs(showers)[0]
    assert normalised[[0, 1, 300]] == pytest.approx([0.25, 0.75, 1.0])
    assert normalised[504:] == pytest.approx(tail, abs=1e-5)


def test_threshold_of_calochallenge() -> None:
    showers = made_up(20)
    low = CaloChallengeProtocol(threshold=10.0).inputs(showers)[:, 1:]
    kept = showers.deposits >= 10.0
    assert np.array_equal(low > 0, kept)
    assert not kept.all()


def test_names_say_what_was_changed() -> None:
    for name, protocol in PROTOCOLS.items():
        assert protocol.name == name
        assert protocol.quick().name == f"{name}-quick"
        assert protocol.changed(epochs=7).name == f"{name}-custom"
        assert find_protocol(name, quick=True) == protocol.quick()


def test_configurations_are_checked() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        CaloFlowProtocol(level="low")  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match="must sum to 1"):
        CaloFlowProtocol(split=(0.6, 0.2, 0.3))
    with pytest.raises(ValidationError, match="dropout"):
        PROTOCOLS["caloflow"].changed(dropout=1.0)
    with pytest.raises(ValidationError, match="frozen"):
        PROTOCOLS["caloflow"].epochs = 3


def test_whitening(torch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from caloforge.evaluation.classifiers import network as classifier_network

    rng = np.random.default_rng(0)
    base = rng.normal(size=(4000, 3))
    # The third is the first up to 2%, the last is constant.
    mixed = np.stack([base[:, 0], base[:, 1], base[:, 0] + 0.02 * base[:, 2], np.ones(4000)], 1)
    inputs = torch.from_numpy((5.0 + mixed).astype(np.float32))
    seen = classifier_network._Whiten(inputs)(inputs).numpy()
    variances = np.sort(seen.var(axis=0))
    assert np.abs(np.cov(seen.T) - np.diag(np.diag(np.cov(seen.T)))).max() < 0.01
    assert variances == pytest.approx([0, 1, 1, 1], abs=0.06)
    monkeypatch.setattr(classifier_network, "_MOST_ROTATED", 3)
    plain = classifier_network._Whiten(inputs)(inputs).numpy()
    assert plain.std(axis=0) == pytest.approx([1, 1, 1, 0], abs=1e-3)
    assert np.corrcoef(plain[:, 0], plain[:, 2])[0, 1] > 0.99


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_runs(name: str) -> None:
    protocol = PROTOCOLS[name].changed(epochs=1, hidden=(64, 64, 64))
    result = classifier_test(made_up(100), made_up(100, seed=1), protocol, seed=1)
    assert 0 <= result.auc <= 1
    assert result.calibrated == name.startswith("calochallenge")


# --- the parts ----------------------------------------------------------------------------------


def test_the_test_part_chooses_nothing() -> None:
    """Exchange reference and showers within the test part: only the verdict turns around."""
    reference, showers = made_up(300), made_up(300, seed=1)
    showers = changed(showers, showers.deposits * np.float32(1.05))
    rng = stream(5, Purpose.CLASSIFIER)
    order = [rng.permutation(300), rng.permutation(300)]
    first, second = (rows[240:] for rows in order)
    energies, deposits = [], []
    for one, other, a, b in (
        (reference, showers, first, second),
        (showers, reference, second, first),
    ):
        energy, cells = one.energy.copy(), one.deposits.copy()
        energy[a], cells[a] = other.energy[b], other.deposits[b]
        energies.append(energy)
        deposits.append(cells)
    ours, theirs = [Showers(CALOGAN, e, d, "e+") for e, d in zip(energies, deposits, strict=True)]
    protocol = FAST.changed(epochs=12, patience=3)
    before = classifier_test(reference, showers, protocol, seed=5, calibrate=False)
    after = classifier_test(ours, theirs, protocol, seed=5, calibrate=False)
    assert before.auc > 0.7
    assert after.auc == pytest.approx(1 - before.auc, abs=1e-12)
    assert after.accuracy == pytest.approx(1 - before.accuracy, abs=1e-12)
    assert after.repeats[0].best_epoch == before.repeats[0].best_epoch
    assert after.repeats[0].epochs == before.repeats[0].epochs


def test_classes_are_made_equal() -> None:
    result = classifier_test(made_up(500), made_up(201, seed=1), ONE_EPOCH, seed=1)
    assert result.n_showers == {"train": 120, "validation": 40, "test": 41}
    assert result.n_available == (500, 201)


def test_equal_energies_stay_in_one_part(monkeypatch: pytest.MonkeyPatch) -> None:
    reference = made_up(200)
    seen: list[dict[str, tuple[NDArray[np.float32], NDArray[np.bool_]]]] = []
    original = classifier._one_repeat

    def spy(protocol: Protocol, parts: Any, *rest: Any, **options: Any) -> Any:
        seen.append(parts)
        return original(protocol, parts, *rest, **options)

    monkeypatch.setattr(classifier, "_one_repeat", spy)
    other = changed(made_up(200, seed=1), reference.deposits)
    classifier_test(reference, changed(reference, other.deposits), ONE_EPOCH, seed=1)
    for inputs, labels in seen[0].values():
        assert np.array_equal(inputs[labels, 0], inputs[~labels, 0])  # log E_inc


# --- random numbers -----------------------------------------------------------------------------


def test_seeds_reproduce_bit_by_bit(torch: Any) -> None:
    reference, showers = made_up(200), made_up(200, seed=1)
    state = torch.random.get_rng_state()
    first = classifier_test(reference, showers, FAST, seed=7, repeats=2)
    torch.rand(3)
    second = classifier_test(reference, showers, FAST, seed=7, repeats=2)
    assert numbers(first) == numbers(second)
    other = classifier_test(reference, showers, FAST, seed=8, repeats=2)
    assert [each.auc for each in other.repeats] != [each.auc for each in first.repeats]
    assert first.repeats[0] != first.repeats[1]
    torch.random.set_rng_state(state)


def test_random_numbers_of_others_are_left_alone(torch: Any) -> None:
    torch_state, numpy_state = torch.random.get_rng_state(), np.random.get_state()  # noqa: NPY002
    classifier_test(made_up(100), made_up(100, seed=1), ONE_EPOCH, seed=7)
    assert torch.equal(torch.random.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state[1])  # type: ignore[index]  # noqa: NPY002


def test_repeats_and_progress() -> None:
    epochs: list[int] = []
    result = classifier_test(
        made_up(200), made_up(200, seed=1), FAST, seed=1, repeats=3, progress=epochs.append
    )
    aucs = [each.auc for each in result.repeats]
    assert len(aucs) == 3
    assert epochs == list(range(1, 10))
    assert result.auc == pytest.approx(np.mean(aucs))
    errors = np.mean([each.auc_error**2 for each in result.repeats])
    assert result.auc_error == pytest.approx(np.sqrt(errors + np.var(aucs, ddof=1) / 3))
    assert result.name == "calochallenge-high-custom"
    assert ClassifierResult.model_validate_json(result.model_dump_json()) == result


# --- what makes numbers doubtful, and what is refused --------------------------------------------


def test_different_spectra_are_said() -> None:
    result = classifier_test(made_up(300), made_up(300, seed=1, low=20.0), ONE_EPOCH, seed=1)
    assert len(result.warnings) == 1
    assert "Kolmogorov-Smirnov" in result.warnings[0]
    assert classifier_test(made_up(300), made_up(300, seed=1), ONE_EPOCH, seed=1).warnings == ()


def test_diverged_showers_are_said_and_never_nan() -> None:
    showers = made_up(200, seed=1)
    deposits = showers.deposits.copy()
    deposits[:3, 0] = 1e38
    protocol = PROTOCOLS["calochallenge-low"].changed(epochs=2, hidden=(32,))
    result = classifier_test(made_up(200), changed(showers, deposits), protocol, seed=1)
    assert "showers: 3 of 200" in result.warnings[0]
    assert np.isfinite([result.auc, result.auc_error, result.jsd, result.jsd_error]).all()


def test_bad_input_is_refused() -> None:
    showers = made_up(200)
    with pytest.raises(ShowersError, match="at least 20"):
        classifier_test(showers[:50], showers, FAST, seed=1)
    with pytest.raises(ShowersError, match=r"got showers of gamma, must be of .* e\+"):
        classifier_test(
            showers, Showers(CALOGAN, showers.energy, showers.deposits, "gamma"), FAST, seed=1
        )
    voxels = load_detector("lar-voxels")
    other = Showers(voxels, np.ones(99), np.ones((99, voxels.n_cells), np.float32), "e+")
    with pytest.raises(ShowersError, match="same readout"):
        classifier_test(showers, other, FAST, seed=1)
    with pytest.raises(CaloforgeError, match="got 'caloflo', must be one of caloflow, "):
        classifier_test(showers, showers, "caloflo", seed=1)
    with pytest.raises(CaloforgeError, match="repeats: got 0"):
        classifier_test(showers, showers, FAST, seed=1, repeats=0)
    with pytest.raises(CaloforgeError, match="seed: got -1"):
        classifier_test(showers, showers, FAST, seed=-1)
    for device in ("gpu", "cuda:77"):
        with pytest.raises(CaloforgeError, match=f"device: '{device}' cannot be used"):
            classifier_test(showers, showers, FAST, seed=1, device=device)


def test_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "caloforge.evaluation.classifiers.network", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(CaloforgeError, match=r"pip install 'caloforge\[torch\]'"):
        classifier_test(made_up(100), made_up(100, seed=1), FAST, seed=1)


def test_torch_is_not_imported_with_the_package() -> None:
    code = (
        "import sys; from caloforge.evaluation.classifiers import network_test, transfer; import "
        "caloforge.evaluation.classifiers.trees; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- scores -------------------------------------------------------------------------------------


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=60))
def test_auc_is_that_of_scikit_learn(rows: list[tuple[int, bool]]) -> None:
    scores = np.array([row[0] for row in rows], dtype=np.float64)
    labels = np.array([row[1] for row in rows])
    if labels.all() or not labels.any():
        return
    assert roc_auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)


def test_bootstrap_error_is_the_spread_of_samples() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([True, False], 400)
    found = []
    for _ in range(60):
        scores = rng.normal(labels * 0.5, 1.0)
        found.append(bootstrap_auc(scores, labels, rng, n_bootstrap=50))
    spread = np.std([each.value for each in found])
    assert np.mean([each.error for each in found]) == pytest.approx(spread, rel=0.3)


def test_jsd_is_finite_and_that_of_the_likelihood() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([True, False], 20_000)
    x = rng.normal(labels * 1.0, 1.0)
    best = 1 / (1 + np.exp(0.5 - x))
    # The divergence of two unit Gaussians one apart, by quadrature.
    grid = np.linspace(-10, 11, 20_001)
    p, q = (np.exp(-0.5 * (grid - mean) ** 2) / np.sqrt(2 * np.pi) for mean in (0.0, 1.0))
    m = 0.5 * (p + q)
    truth = np.trapezoid(0.5 * (p * np.log2(p / m) + q * np.log2(q / m)), grid)
    found = divergence(best, labels, rng, n_bootstrap=30)
    assert abs(found.value - truth) < 4 * found.error
    assert jsd(labels.astype(float), labels) == pytest.approx(1.0, abs=1e-5)
    assert np.isfinite(jsd(1.0 - labels, labels))


def test_calibration() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([True, False], 4000)
    scores = 10 * rng.normal(labels * 1.0, 1.0)  # overconfident by a factor of ten
    probability = calibrate_scores(scores[::2], labels[::2], scores[1::2])
    assert ((probability > 0) & (probability < 1)).all()
    assert np.all(np.diff(probability[np.argsort(scores[1::2])]) >= 0)
    middle = (probability > 0.4) & (probability < 0.6)
    assert labels[1::2][middle].mean() == pytest.approx(0.5, abs=0.07)


# --- floor and sensitivity ----------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("particle", ["eplus", "gamma", "piplus"])
def test_floor(shared: Path, particle: str, name: str) -> None:
    showers = read_showers(shared / "data" / f"{particle}.h5", split="train")
    protocol = PROTOCOLS[name].quick()
    results = [
        classifier_test(*halves(showers, 800, seed), protocol, seed=seed) for seed in range(3)
    ]
    aucs = np.array([result.auc for result in results])
    errors = np.array([result.auc_error for result in results])
    assert abs(aucs.mean() - 0.5) < 3 * errors.mean() / np.sqrt(3)
    assert np.abs((aucs - 0.5) / errors).max() < 4


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), [("caloflow", 1000), ("calochallenge-high", 300)])
def test_floor_at_published_size(positrons: Showers, name: str, size: int) -> None:
    result = classifier_test(*halves(positrons, size, seed=1), name, seed=1)
    assert result.name == name
    assert result.repeats[0].epochs == PROTOCOLS[name].epochs
    assert abs(result.auc - 0.5) < 4 * result.auc_error


@pytest.mark.parametrize(
    ("name", "change", "at_least"),
    [
        ("calochallenge-high", "scale", 0.9),
        ("calochallenge-low", "scale", 0.6),
        ("calochallenge-high", "smear", 0.75),
        ("calochallenge-high", "mean", 0.99),
        ("calochallenge-low", "mean", 0.95),
        ("calochallenge-low-normalised", "mean", 0.99),
        ("caloflow", "mean", 0.99),
        ("caloflow-normalised", "mean", 0.99),
    ],
)
def test_sensitivity(positrons: Showers, name: str, change: str, at_least: float) -> None:
    reference, showers = halves(positrons, 1500, seed=3)
    deposits = showers.deposits
    if change == "scale":
        deposits = deposits * np.float32(1.01)
    elif change == "smear":
        factor = 1 + 0.05 * np.random.default_rng(1).standard_normal(deposits.shape)
        deposits = np.maximum(deposits * factor, 0).astype(np.float32)
    else:
        deposits = np.broadcast_to(deposits.mean(axis=0), deposits.shape)
    result = classifier_test(
        reference, changed(showers, deposits), find_protocol(name, quick=True), seed=1
    )
    assert result.auc > at_least
    assert result.auc - 0.5 > 4 * result.auc_error
