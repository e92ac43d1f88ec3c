"""The best epoch: chosen by what the judge measures, on validation rows, never on test rows.

References:
    ATLAS, AtlFast3, arXiv:2109.02551, and the public ``selectBestEpoch_Energy.py``: the epoch with
    the smallest chi2/NDF of the total energy over all incident energies.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from caloforge.errors import ShowersError, TrainingError
from caloforge.evaluation.classifiers.trees import trees_test
from caloforge.evaluation.distances.energy_chi2 import fastcalogan_energy_chi2
from caloforge.evaluation.distances.physics import gaussian_frechet
from caloforge.evaluation.distances.table import compare_observables
from caloforge.evaluation.features.calochallenge import high_level
from caloforge.models.system import Batch, GeneratorNetwork, Given, System
from caloforge.random import Purpose, shower_words, stream
from caloforge.showers import Showers

__all__ = ["Criterion", "sample", "score", "validation_loss"]

Criterion = Literal["energy-chi2", "frechet", "separation", "trees", "loss"]
"""What the best epoch is the smallest of. All but ``"loss"``, the sum of the system's losses on
validation rows, are taken from showers that are made at the energies of these."""

_BLOCK = 512


def sample(
    generator: GeneratorNetwork, like: Showers, label: int, *, seed: int
) -> NDArray[np.float32]:
    """Showers of a generator at the incident energies of others.

    Args:
        generator: The network; it is put into evaluation mode for as long as this takes.
        like: Showers to make one like each of.
        label: Index of the particle.
        seed: Seed of the noise.

    Returns:
        Deposits as the network gives them, shape (N, n_cells), MeV: with all that may be wrong
        with them.
    """
    device = next(generator.parameters()).device
    rng = stream(seed, Purpose.VALIDATION, label)
    given = Given(
        _tensor(like.energy.reshape(-1, 1)),
        torch.full((len(like),), label),
        _tensor(like.entry_point),
        _tensor(like.direction),
    )
    noise = torch.from_numpy(rng.standard_normal((len(like), generator.noise), dtype=np.float32))
    training = generator.training
    generator.eval()
    with torch.inference_mode():
        parts = [
            generator(noise[rows].to(device), given[rows].to(device)).cpu()
            for rows in _blocks(len(like))
        ]
    generator.train(training)
    return torch.cat(parts).float().numpy()


def validation_loss(system: System, rows: Batch, *, seed: int) -> float:
    """The sum of the losses of a system on validation rows: the mean over the rows.

    Args:
        system: Is put into evaluation mode for as long as this takes.
        rows: Validation rows.
        seed: Seed of what the loss draws; the same at each look.

    Raises:
        TrainingError: The system has no such loss.
    """
    device = next(system.parameters()).device
    rng = torch.Generator().manual_seed(int(shower_words(seed, 0, Purpose.LOSS, 1)[0]))
    training = system.training
    system.eval()
    total = 0.0
    with torch.inference_mode():
        for part in _blocks(len(rows)):
            losses = system.validation_losses(rows[part].to(device), rng)
            if losses is None:
                msg = f"choose_by: {system.config.system} has no loss on validation rows"
                raise TrainingError(msg)
            total += len(rows[part]) * float(sum(value.item() for value in losses.values()))
    system.train(training)
    return total / len(rows)


def _blocks(count: int) -> Iterator[slice]:
    return (slice(i, min(i + _BLOCK, count)) for i in range(0, count, _BLOCK))


def _tensor(values: NDArray[np.float64] | None) -> Any:
    return None if values is None else torch.from_numpy(values.astype(np.float32))


def score(
    validation: Sequence[Showers],
    generated: Sequence[NDArray[np.float32]],
    criteria: Sequence[Criterion],
    *,
    seed: int,
) -> dict[str, float]:
    """How far generated showers are from the validation rows: 0 or 1/2 or 1 is Geant4, see below.

    ``energy-chi2`` is chi2/NDF of the total energy at all incident energies (FastCaloGAN),
    ``frechet`` the Frechet distance of the high-level features, ``separation`` the mean separation
    power of the observables, ``trees`` the AUC of gradient-boosted trees. Smaller is better.

    Args:
        validation: Validation rows of each particle.
        generated: Deposits at their energies, shape (N, n_cells) each, MeV.
        criteria: What to measure.
        seed: Seed of what is random in that.

    Returns:
        Each criterion, the mean over the particles; infinite where showers are not finite,
        negative, or all empty.
    """
    found: dict[str, list[float]] = {name: [] for name in criteria}
    for reference, deposits in zip(validation, generated, strict=True):
        try:
            showers = Showers(reference.detector, reference.energy, deposits, reference.particle)
        except ShowersError:
            return dict.fromkeys(criteria, math.inf)
        if not showers.deposits.any():
            return dict.fromkeys(criteria, math.inf)
        for name in criteria:
            found[name].append(_MEASURES[name](reference, showers, seed))
    return {name: float(np.mean(values)) for name, values in found.items()}


def _energy_chi2(reference: Showers, showers: Showers, seed: int) -> float:  # noqa: ARG001
    return fastcalogan_energy_chi2(reference, showers).chi2.reduced


def _frechet(reference: Showers, showers: Showers, seed: int) -> float:  # noqa: ARG001
    features = [high_level(each) for each in (reference, showers)]
    scale = np.abs(features[0]).max(axis=0)
    scale[scale == 0] = 1.0
    mean, other_mean = (each.mean(axis=0) / scale for each in features)
    covariance, other = (np.cov(each / scale, rowvar=False) for each in features)
    return gaussian_frechet(mean, covariance, other_mean, other)


def _separation(reference: Showers, showers: Showers, seed: int) -> float:
    rng = stream(seed, Purpose.SELECTION)
    table = compare_observables(reference, showers, rng, replicas=2)
    return float(np.nanmean([row.distances.separation.value for row in table.rows]))


def _trees(reference: Showers, showers: Showers, seed: int) -> float:
    return trees_test(reference, showers, seed=seed).auc


_MEASURES: dict[Criterion, Callable[[Showers, Showers, int], float]] = {
    "energy-chi2": _energy_chi2,
    "frechet": _frechet,
    "separation": _separation,
    "trees": _trees,
}
