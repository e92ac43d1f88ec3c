"""Classifier tests: how well a network tells generated showers from Geant4 showers.

A classifier is trained on a part of both samples, the best epoch is chosen on a second part, and
a third part, which nothing was chosen on, gives the area under the ROC curve (AUC): 0.5 where the
network cannot tell the two apart, 1 where it always can. An AUC depends on how many showers the
network could learn from, so that the result holds their numbers.

References:
    C. Krause and D. Shih, *CaloFlow*, arXiv:2106.05285.
    C. Krause et al., *CaloChallenge 2022*, arXiv:2410.21611.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from time import perf_counter
from types import ModuleType
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from caloforge.errors import CaloforgeError
from caloforge.evaluation.classifiers.parts import cut, part_sizes
from caloforge.evaluation.classifiers.protocols import PROTOCOLS, AnyProtocol, Protocol
from caloforge.evaluation.classifiers.scores import (
    AUCResult,
    bootstrap_auc,
    calibrate_scores,
    divergence,
    roc_auc,
)
from caloforge.evaluation.comparable import check_alike
from caloforge.evaluation.estimate import Estimate
from caloforge.evaluation.matching import energy_warnings
from caloforge.explain import check_between
from caloforge.random import Purpose, check_seed, stream
from caloforge.showers import Showers

if TYPE_CHECKING:
    import torch

__all__ = ["ClassifierResult", "Repeat", "classifier_test", "find_protocol"]

Part = Literal["train", "validation", "test"]
Rows = NDArray[np.intp]

PARTS: tuple[Part, ...] = ("train", "validation", "test")
# No input of a protocol is larger than some hundred for a shower that conserves energy.
_LARGEST = 1000.0


class Repeat(BaseModel):
    """One training.

    Attributes:
        auc: Area under the ROC curve on the test part.
        auc_error: Its bootstrap error: the statistics of the test part; of the scores before
            calibration, also where the AUC is that after it.
        jsd: Jensen-Shannon divergence, in units of ln 2, of the calibrated probabilities.
        jsd_error: Its bootstrap error.
        accuracy: Share of the test part that is classified rightly.
        best_epoch: The epoch that was kept, counted from 1.
        epochs: Epochs that were run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    auc: float
    auc_error: float
    jsd: float
    jsd_error: float
    accuracy: float
    best_epoch: int
    epochs: int


class ClassifierResult(AUCResult):
    """What a classifier test with a network found.

    The AUC is the mean over the repeats. Its error is that of the test part (bootstrap, not reduced
    by repeats, as they share showers) and that of the training (spread of the repeats) in
    quadrature.

    Attributes:
        name: Name of the protocol.
        protocol: All its settings.
        jsd: Mean Jensen-Shannon divergence in units of ln 2 over the repeats.
        jsd_error: Its error, made up like that of the AUC.
        accuracy: Mean accuracy over the repeats.
        repeats: The single trainings.
        calibrated: Whether AUC and accuracy are those of the calibrated probabilities.
        n_showers: Showers of each of the two classes in each part.
        n_parameters: Trained parameters of the network.
        device: Where it was trained.
    """

    name: str
    protocol: AnyProtocol
    jsd: float
    jsd_error: float
    accuracy: float
    repeats: tuple[Repeat, ...]
    calibrated: bool
    n_showers: Mapping[Part, int]
    n_parameters: int
    device: str


def find_protocol(protocol: str | AnyProtocol, *, quick: bool = False) -> AnyProtocol:
    """A protocol by its name.

    Args:
        protocol: A name in :data:`~caloforge.evaluation.classifiers.protocols.PROTOCOLS`, or a
            protocol.
        quick: Whether to take its quick variant.

    Raises:
        CaloforgeError: There is no protocol of that name.
    """
    if isinstance(protocol, str):
        if protocol not in PROTOCOLS:
            msg = f"protocol: got {protocol!r}, must be one of {', '.join(PROTOCOLS)}"
            raise CaloforgeError(msg)
        protocol = PROTOCOLS[protocol]
    return protocol.quick() if quick else protocol


def classifier_test(
    reference: Showers,
    showers: Showers,
    protocol: str | AnyProtocol,
    *,
    seed: int,
    repeats: int = 1,
    device: str = "cpu",
    calibrate: bool | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> ClassifierResult:
    """Train classifiers that tell showers from reference showers, and judge them.

    Both classes are made equally large: of the larger sample as many showers as the smaller one has
    are drawn at random. Each repeat draws anew which showers are in which part, the parameters that
    the training begins with, and the order of the rows. Where the two samples have the same
    incident energies row by row, rows of the same energy stay in the same part.

    Nothing but the training part is trained on, nothing but the validation part chooses the epoch
    and fits the calibration, and the test part is looked at once.

    Inputs beyond +-1000, which only showers that break energy conservation by far can have, are set
    to that limit, and their showers are counted in a warning.

    Args:
        reference: Geant4 showers; label 1.
        showers: Showers to judge, of the same readout and particle and with the same spectrum of
            incident energies; label 0.
        protocol: A protocol, or the name of a published one.
        seed: Seed of everything that is random.
        repeats: Number of trainings.
        device: Where to train: ``"cpu"``, ``"cuda"``, ...
        calibrate: Whether AUC and accuracy are those of the calibrated probabilities; None as the
            protocol says. The divergence always is.
        progress: Called with the number of epochs done, of at most ``repeats * protocol.epochs``.

    Raises:
        ShowersError: The samples are of different readouts or particles, or too small.
        CaloforgeError: The protocol, seed, number of repeats or device is not valid, or PyTorch is
            not installed.
    """
    started = perf_counter()
    protocol = find_protocol(protocol)
    check_seed(seed)
    torch_device = check_training(repeats, device)
    check_alike(reference, showers)
    size = min(len(reference), len(showers))
    sizes = part_sizes(size, protocol.split)
    if calibrate is None:
        calibrate = protocol.calibrate
    inputs = [protocol.inputs(sample) for sample in (reference, showers)]
    warnings = energy_warnings(reference, showers)
    warnings += [
        f"{name}: {count} of {len(part)} showers have inputs beyond {_LARGEST:g}, set to that limit"
        for name, part in zip(("reference", "showers"), inputs, strict=True)
        if (count := limit_inputs(part))
    ]
    paired = np.array_equal(reference.energy, showers.energy)
    done: list[Repeat] = []
    for repeat in range(repeats):
        rng = stream(seed, Purpose.CLASSIFIER, repeat)
        first = rng.permutation(len(reference))[:size]
        second = first if paired else rng.permutation(len(showers))[:size]
        parts = {
            part: (np.concatenate([inputs[0][a], inputs[1][b]]), np.repeat([True, False], len(a)))
            for part, a, b in zip(PARTS, cut(first, sizes), cut(second, sizes), strict=True)
        }
        before = sum(each.epochs for each in done)
        done.append(
            _one_repeat(
                protocol,
                parts,
                rng,
                torch_device,
                calibrate=calibrate,
                progress=partial(_later, progress, before),
            )
        )
    auc = _combined([each.auc for each in done], [each.auc_error for each in done])
    jsd = _combined([each.jsd for each in done], [each.jsd_error for each in done])
    return ClassifierResult(
        name=protocol.name,
        protocol=protocol,
        auc=auc.value,
        auc_error=auc.error,
        jsd=jsd.value,
        jsd_error=jsd.error,
        accuracy=float(np.mean([each.accuracy for each in done])),
        repeats=tuple(done),
        calibrated=calibrate,
        n_showers=dict(zip(PARTS, sizes, strict=True)),
        n_available=(len(reference), len(showers)),
        n_parameters=protocol.n_parameters(inputs[0].shape[1]),
        device=device,
        seed=seed,
        seconds=perf_counter() - started,
        warnings=tuple(warnings),
    )


def check_training(repeats: int, device: str) -> torch.device:
    """The device to train on.

    Raises:
        CaloforgeError: It or the number of repeats is not valid, or PyTorch is not installed.
    """
    check_between("repeats", repeats, 1, 1000)
    found: torch.device = import_network().find_device(device)
    return found


def import_network() -> ModuleType:
    """The module of the network, which needs PyTorch.

    Raises:
        CaloforgeError: PyTorch is not installed.
    """
    try:
        return import_module("caloforge.evaluation.classifiers.network")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        msg = (
            "torch: is not installed, and classifier tests need it; install it with "
            "pip install 'caloforge[torch]'"
        )
        raise CaloforgeError(msg) from None


def limit_inputs(inputs: NDArray[np.float32]) -> int:
    """Set inputs beyond +-1000 to that limit, in place; return how many showers had any."""
    beyond = int((np.abs(inputs).max(axis=1) > _LARGEST).sum())
    if beyond:
        np.clip(inputs, -_LARGEST, _LARGEST, out=inputs)
    return beyond


def _one_repeat(
    protocol: Protocol,
    parts: Mapping[Part, tuple[NDArray[np.float32], NDArray[np.bool_]]],
    rng: np.random.Generator,
    device: torch.device,
    *,
    calibrate: bool,
    progress: Callable[[int], None],
) -> Repeat:
    from caloforge.evaluation.classifiers.network import Sample, train_network

    trained = train_network(
        protocol,
        Sample.of(*parts["train"]),
        Sample.of(*parts["validation"]),
        seed=int(rng.integers(2**63)),
        device=device,
        progress=progress,
    )
    labels = parts["test"][1]
    scores = trained.scores(parts["test"][0])
    validation_scores = trained.scores(parts["validation"][0])
    probability = calibrate_scores(validation_scores, parts["validation"][1], scores)
    # Calibration can merge all scores into a few steps, whose bootstrap says nothing: the error is
    # that of the raw scores, which is never smaller but by chance.
    auc = bootstrap_auc(scores, labels, rng)
    jsd = divergence(probability, labels, rng)
    chosen = probability > 0.5 if calibrate else scores > 0
    return Repeat(
        auc=roc_auc(probability, labels) if calibrate else auc.value,
        auc_error=auc.error,
        jsd=jsd.value,
        jsd_error=jsd.error,
        accuracy=float(np.mean(chosen == labels)),
        best_epoch=trained.epoch,
        epochs=trained.epochs,
    )


def _later(progress: Callable[[int], None], before: int, epoch: int) -> None:
    progress(before + epoch)


def _combined(values: list[float], errors: list[float]) -> Estimate:
    """Mean of the repeats; see the errors of :class:`ClassifierResult`."""
    training = np.var(values, ddof=1) / len(values) if len(values) > 1 else 0.0
    return Estimate(float(np.mean(values)), float(np.sqrt(np.mean(np.square(errors)) + training)))
