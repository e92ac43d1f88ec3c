"""The separation powers that the public evaluation of the CaloChallenge prints, with its bins.

References:
    C. Krause et al., CaloChallenge 2022, arXiv:2410.21611; its public ``evaluate.py`` and
    ``evaluate_plotting_helper.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector, load_detector
from caloforge.errors import CaloforgeError, DetectorError
from caloforge.evaluation.comparable import check_alike
from caloforge.evaluation.distances.histograms import fill
from caloforge.evaluation.distances.single import separation
from caloforge.evaluation.features.blocks import above, row_blocks
from caloforge.evaluation.features.calochallenge import Features, binned_layers, features
from caloforge.evaluation.features.studied import once
from caloforge.showers import Showers
from caloforge.units import MEV_PER_GEV

__all__ = ["Dataset", "Separation", "calochallenge_separations", "find_dataset"]

FloatArray = NDArray[np.float64]
Dataset = Literal["1-photons", "1-pions", "2", "3"]

_THRESHOLDS: dict[Dataset, float] = {
    "1-photons": 1.0,
    "1-pions": 1.0,
    "2": 0.5e-3 / 0.033,
    "3": 0.5e-3 / 0.033,
}
# Numbers of the layers in the full ATLAS calorimeter, of which the datasets have some.
_ATLAS_LAYERS: dict[Dataset, tuple[int, ...]] = {
    "1-photons": (0, 1, 2, 3, 12),
    "1-pions": (0, 1, 2, 3, 12, 13, 14),
}
_ENERGIES = 2.0 ** np.arange(8, 24)  # MeV, of dataset 1


@dataclass(frozen=True)
class Separation:
    """Separation power of one histogram.

    Attributes:
        name: What is histogrammed: ``"response"``, ``"response_512MeV"``, ``"layer_energy_0"``,
            ``"centre_eta_1"``, ``"cell_energy"``, ...
        published: As the public evaluation has it: what lies outside the bins is dropped before
            the histograms are normalised.
        kept: With underflow and overflow as two more bins.
        outside: Shares of the reference and of the sample that lie outside the bins.
    """

    name: str
    published: float
    kept: float
    outside: tuple[float, float]


def find_dataset(detector: Detector) -> Dataset | None:
    """The dataset of the challenge that is recorded in this detector, if there is one."""
    datasets: tuple[Dataset, ...] = get_args(Dataset)
    for dataset in datasets:
        if detector.same_readout(load_detector(f"calochallenge-ds{dataset}")):
            return dataset
    return None


def calochallenge_separations(
    reference: Showers, showers: Showers, dataset: Dataset
) -> tuple[Separation, ...]:
    """Separation powers with the definitions, thresholds and bins of the CaloChallenge.

    Also for other detectors than those of the challenge, with the bins of the dataset that is
    closest: those of dataset 1 for at most five or seven layers.

    Args:
        reference: Geant4 showers.
        showers: Showers of the same detector.
        dataset: Whose thresholds and bins: ``"1-photons"``, ``"1-pions"``, ``"2"`` or ``"3"``.

    Returns:
        The response, in dataset 1 the response at each of its incident energies that both samples
        have, energies of layers, centres and widths in eta and phi of layers binned in alpha,
        sparsities, centres and widths in r, and the energies of the cells. (The public program has
        functions for sparsities and r, but does not call them.)

    Raises:
        CaloforgeError: There is no such dataset.
        DetectorError: The dataset has no bins for so many layers.
        ShowersError: The samples cannot be compared.
    """
    if dataset not in get_args(Dataset):
        msg = f"dataset: got {dataset!r}, must be one of {', '.join(get_args(Dataset))}"
        raise CaloforgeError(msg)
    check_alike(reference, showers)
    layers = _ATLAS_LAYERS.get(dataset)
    if layers is not None and reference.detector.n_layers > len(layers):
        msg = (
            f"dataset: {dataset!r} has bins for {len(layers)} layers, detector "
            f"{reference.detector.name!r} has {reference.detector.n_layers}; use '2'"
        )
        raise DetectorError(msg)
    threshold = _THRESHOLDS[dataset]
    pair = tuple(once(sample, features, threshold=threshold) for sample in (reference, showers))
    found = list(_responses((reference, showers), pair, dataset))
    for name, edges, values in _layer_histograms(pair, binned_layers(reference.detector), dataset):
        found.append(_separation(name, edges, values))
    found.append(_cell_energies((reference, showers), threshold))
    return tuple(found)


def _responses(
    samples: tuple[Showers, Showers], pair: tuple[Features, ...], dataset: Dataset
) -> Iterator[Separation]:
    energies = [MEV_PER_GEV * sample.energy for sample in samples]
    values = [
        each.energies.sum(axis=1) / energy for each, energy in zip(pair, energies, strict=True)
    ]
    yield _separation("response", np.linspace(0.5, 1.5, 101), values)
    if dataset not in _ATLAS_LAYERS:
        return
    for i, (low, high) in enumerate(pairwise(_ENERGIES.tolist())):
        narrow = dataset == "1-photons" and i > 3
        edges = np.linspace(0.9, 1.1, 21) if narrow else np.linspace(0.4, 1.4, 21)
        chosen = [v[(e >= low) & (e < high)] for v, e in zip(values, energies, strict=True)]
        if all(map(len, chosen)):
            yield _separation(f"response_{low:.0f}MeV", edges, chosen)


def _layer_histograms(
    pair: tuple[Features, ...], binned: list[int], dataset: Dataset
) -> Iterator[tuple[str, FloatArray | None, list[FloatArray]]]:
    """Name, edges and values of each histogram of a layer; edges of None where there are none."""
    n_layers = pair[0].energies.shape[1]
    for i in range(n_layers):
        energies = [each.energies[:, i] for each in pair]
        yield f"layer_energy_{i}", _log_edges(_THRESHOLDS[dataset], energies[0].max(), 40), energies
    for i in range(n_layers):
        limits = _limits(dataset, i)
        for direction in ("eta", "phi"):
            if i in binned:
                values = [each.centres[direction][:, i] for each in pair]
                edges = np.linspace(-limits.centre, limits.centre, 101)
                yield f"centre_{direction}_{i}", edges, values
                values = [each.widths[direction][:, i] for each in pair]
                yield f"width_{direction}_{i}", np.linspace(0.0, limits.width, 101), values
        yield f"sparsity_{i}", np.linspace(0.0, 1.0, 21), [each.sparsity[:, i] for each in pair]
        values = [each.centres["r"][:, i] for each in pair]
        yield f"centre_r_{i}", np.linspace(0.0, limits.centre_r, 101), values
        values = [each.widths["r"][:, i] for each in pair]
        yield f"width_r_{i}", np.linspace(0.0, limits.width_r, 101), values


@dataclass(frozen=True)
class _Limits:
    """Where the histograms of a layer end, mm."""

    centre: float
    width: float
    centre_r: float
    width_r: float


def _limits(dataset: Dataset, layer: int) -> _Limits:
    if dataset not in _ATLAS_LAYERS:
        return _Limits(30.0, 30.0, 42.0, 20.0)
    number = _ATLAS_LAYERS[dataset][layer]
    hadronic, far = number in {12, 13}, number in {12, 13, 14}
    return _Limits(
        500.0 if hadronic else 100.0,
        400.0 if hadronic else 100.0,
        1500.0 if far else 500.0,
        1500.0 if far else 500.0,
    )


def _log_edges(low: float, high: float, count: int) -> FloatArray | None:
    """The edges (not bins) of a logarithmic axis; None where there is nothing above its start.

    The last edge is the largest value up to rounding, so that this value is inside or not: to agree
    with the public evaluation the rounding must be the same (geomspace has another).
    """
    return np.logspace(np.log10(low), np.log10(high), count) if high > low else None


def _separation(name: str, edges: FloatArray | None, values: list[FloatArray]) -> Separation:
    if edges is None:
        return Separation(name, float("nan"), float("nan"), (1.0, 1.0))
    return _of_weights(name, [fill(sample, edges).weights for sample in values])


def _of_weights(name: str, weights: list[FloatArray]) -> Separation:
    reference, sample = weights
    outside = [float((w[0] + w[-1]) / w.sum()) for w in weights]
    return Separation(
        name,
        separation(reference[1:-1], sample[1:-1]),
        separation(reference, sample),
        (outside[0], outside[1]),
    )


def _cell_energies(samples: tuple[Showers, Showers], threshold: float) -> Separation:
    edges = _log_edges(threshold, float(samples[0].deposits.max()), 50)
    if edges is None:
        return _separation("cell_energy", None, [])
    weights = []
    for sample in samples:
        parts = [
            fill(above(sample.deposits[rows], threshold).ravel(), edges).weights
            for rows in row_blocks(sample)
        ]
        weights.append(np.sum(parts, axis=0))
    return _of_weights("cell_energy", weights)
