"""Samples that can be compared: the same detector, particle and spectrum of incident energies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import EnergyError
from caloforge.evaluation.comparable import check_alike
from caloforge.evaluation.distances.single import KolmogorovSmirnov, kolmogorov_smirnov
from caloforge.explain import option
from caloforge.showers import Showers

__all__ = ["energy_warnings", "match_energies", "require_comparable"]

_BIN = 0.02  # of matching, in log E
# Two spectra count as different below this probability: by chance once in ten thousand times.
_ALARM = 1e-4


def require_comparable(reference: Showers, showers: Showers, name: str) -> None:
    """Refuse showers that cannot be compared with the reference.

    Args:
        reference: Geant4 showers.
        showers: Showers to judge.
        name: What they are called, for the message.

    Raises:
        ShowersError: The detector or the particle is another one, or a sample is empty.
        EnergyError: The incident energies have another distribution (Kolmogorov-Smirnov test,
            probability below 1e-4).
    """
    check_alike(reference, showers, name)
    if _alarm(reference, showers):
        spans = [
            f"{sample.energy.min():.4g}-{sample.energy.max():.4g} GeV, mean "
            f"{sample.energy.mean():.4g}"
            for sample in (showers, reference)
        ]
        msg = (
            f"{name}: has other incident energies ({spans[0]}) than the reference ({spans[1]}); "
            f"compare those showers that have a partner ({option('match', 'match-energies')})"
        )
        raise EnergyError(msg)


def energy_warnings(first: Showers, second: Showers) -> list[str]:
    """What to say where two samples have different spectra of incident energies.

    The test of :func:`require_comparable`.
    """
    test = _alarm(first, second)
    if test is None:
        return []
    message = (
        f"energy: the spectra of incident energies differ (Kolmogorov-Smirnov distance "
        f"{test.statistic:.3g}, p-value {test.p_value:.2g}), which alone tells the classes apart; "
        "match the energies first"
    )
    return [message]


def _alarm(first: Showers, second: Showers) -> KolmogorovSmirnov | None:
    """The test of two spectra where they are different."""
    test = kolmogorov_smirnov(first.energy, second.energy)
    return test if test.p_value < _ALARM else None


def match_energies(
    reference: NDArray[np.float64], energies: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Choose showers of two samples such that their incident energies have the same distribution.

    In each bin of 2% in energy as many are drawn, at random, from one sample as from the other.

    Args:
        reference: Incident energies of the reference: shape (N,), GeV.
        energies: Incident energies of the other sample: shape (M,), GeV.
        rng: Random numbers.

    Returns:
        Rows of the reference and of the other sample, each of shape (P,), in increasing order.
    """
    bins = [np.floor(np.log(sample) / _BIN).astype(np.int64) for sample in (reference, energies)]
    chosen: tuple[list[NDArray[np.intp]], list[NDArray[np.intp]]] = ([], [])
    for index in np.intersect1d(bins[0], bins[1]):
        inside = [np.flatnonzero(sample == index) for sample in bins]
        count = min(map(len, inside))
        for rows, found in zip(inside, chosen, strict=True):
            found.append(rng.permutation(rows)[:count])
    first, second = (np.sort(np.concatenate([np.empty(0, np.intp), *found])) for found in chosen)
    return first, second
