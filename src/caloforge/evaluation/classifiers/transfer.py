"""Transfer: does what is learnt on generated showers hold on Geant4 showers, and the other way?

Classifiers of particles (e+ or pi+, e+ or gamma) are trained on Geant4 showers or on generated
ones, and tested on both, as in Table II of the CaloGAN paper. A generator that has learnt what
makes the particles different gives the same accuracy in all four cases. A higher accuracy where
generated showers are both trained and tested on means that the generators have put differences
there which Geant4 does not have.

References:
    M. Paganini, L. de Oliveira and B. Nachman, *CaloGAN*, arXiv:1712.10321, section V C, Table II.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt

from caloforge.errors import CaloforgeError, ShowersError
from caloforge.evaluation.classifiers.network_test import PARTS, Part, import_network
from caloforge.evaluation.classifiers.parts import cut, part_sizes
from caloforge.evaluation.classifiers.protocols import NetworkTraining
from caloforge.evaluation.comparable import check_readout
from caloforge.evaluation.matching import energy_warnings
from caloforge.random import Purpose, stream
from caloforge.showers import Showers

__all__ = ["PAIRS", "TransferCell", "TransferProtocol", "TransferResult", "transfer_test"]

Domain = Literal["geant4", "generated"]

PAIRS = (("e+", "pi+"), ("e+", "gamma"))
"""The pairs of particles of the paper."""
DOMAINS: tuple[Domain, ...] = ("geant4", "generated")


class TransferProtocol(NetworkTraining):
    """The classifier of particles: six fully connected layers with dropout.

    That is all the paper says. Ours: five hidden layers of falling width and the output layer,
    LeakyReLU with a slope of 0.3 as in the other networks of the paper; of the showers 60% to train
    on, 20% to choose the epoch with the lowest loss, 20% to test.

    Attributes:
        split: Shares of the training, validation and test part.

    References:
        arXiv:1712.10321, Table II.
    """

    hidden: tuple[PositiveInt, ...] = (512, 256, 128, 64, 32)
    negative_slope: float = 0.3
    dropout: float = 0.2
    batch_size: PositiveInt = 128
    learning_rate: PositiveFloat = 1e-3
    epochs: PositiveInt = 50
    choose_by: Literal["accuracy", "loss"] = "loss"
    patience: PositiveInt | None = 7
    split: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = (0.6, 0.2, 0.2)

    def inputs(self, showers: Showers) -> NDArray[np.float32]:
        """What the network sees: log10(1 + E / MeV) of each cell, shape (N, n_cells).

        Not the incident energy: a classifier of particles does not know it.
        """
        found: NDArray[np.float32] = np.log10(1.0 + showers.deposits)
        return found

    def quick(self) -> Self:
        """A narrower network with larger batches and fewer epochs, for a few thousand showers."""
        return self.changed(hidden=(64, 64, 32, 32, 16), batch_size=256, epochs=12, patience=3)


class TransferCell(BaseModel):
    """One cell of the table.

    Attributes:
        first: First particle.
        second: Second particle.
        train_on: Where the training showers are from.
        test_on: Where the test showers are from.
        accuracy: Mean accuracy over the trials.
        deviation: Standard deviation of the trials.
        trials: Accuracy of each trial.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: str
    second: str
    train_on: Domain
    test_on: Domain
    accuracy: float
    deviation: float
    trials: tuple[float, ...]


class TransferResult(BaseModel):
    """Table II of the CaloGAN paper.

    Attributes:
        protocol: The settings.
        cells: Per pair of particles four cells: trained on and tested on either domain.
        n_showers: Per pair, written ``"e+/pi+"``, showers of each particle in each part.
        seed: Seed of everything that is random.
        device: Where the networks were trained.
        seconds: Wall time.
        warnings: What makes the numbers doubtful.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol: TransferProtocol
    cells: tuple[TransferCell, ...]
    n_showers: Mapping[str, Mapping[Part, int]]
    seed: int
    device: str
    seconds: float
    warnings: tuple[str, ...]

    def cell(self, first: str, second: str, train_on: Domain, test_on: Domain) -> TransferCell:
        """One cell of the table.

        Raises:
            CaloforgeError: The pair of particles is not in the table.
        """
        for cell in self.cells:
            if (cell.first, cell.second, cell.train_on, cell.test_on) == (
                first,
                second,
                train_on,
                test_on,
            ):
                return cell
        msg = (
            f"first, second: {first}/{second} is not in the table, has {', '.join(self.n_showers)}"
        )
        raise CaloforgeError(msg)


def transfer_test(
    geant4: Mapping[str, Showers],
    generated: Mapping[str, Showers],
    protocol: TransferProtocol | None = None,
    *,
    seed: int,
    pairs: tuple[tuple[str, str], ...] = PAIRS,
    trials: int = 10,
    device: str = "cpu",
    progress: Callable[[int], None] = lambda _: None,
) -> TransferResult:
    """Train classifiers of particles on either domain and test them on both.

    Within a pair all four samples are made equally large. Each trial draws anew which showers are
    in which part, and the parameters that the training begins with; so the deviation is that of
    the training and of the statistics of the showers together. A classifier's epoch is chosen on
    showers of the domain that it is trained on.

    Args:
        geant4: Geant4 showers by particle.
        generated: Generated showers by particle, with the same spectra of incident energies.
        protocol: The classifier.
        seed: Seed of everything that is random.
        pairs: Pairs of particles to tell apart.
        trials: Number of trainings for each pair and domain.
        device: Where to train: ``"cpu"``, ``"cuda"``, ...
        progress: Called with the number of trainings done, of ``2 * trials * len(pairs)``.

    Raises:
        ShowersError: A particle is missing or not what it is given as, or samples are of different
            readouts or too small.
        CaloforgeError: The seed, number of trials or device is not valid, or PyTorch is not
            installed.
    """
    started = perf_counter()
    protocol = protocol or TransferProtocol()
    if trials < 1:
        msg = f"trials: got {trials}, must be at least 1"
        raise CaloforgeError(msg)
    network = import_network()
    torch_device = network.find_device(device)
    rng = stream(seed, Purpose.TRANSFER)
    cells: list[TransferCell] = []
    counts: dict[str, Mapping[Part, int]] = {}
    warnings: list[str] = []
    done = 0
    for pair in pairs:
        samples = _samples(geant4, generated, pair)
        sizes = part_sizes(
            min(len(each) for two in samples.values() for each in two), protocol.split
        )
        counts["/".join(pair)] = dict(zip(PARTS, sizes, strict=True))
        for domain, two in samples.items():
            found = energy_warnings(*two)
            warnings += [f"{domain}, {'/'.join(pair)}: {warning}" for warning in found]
        inputs = {
            domain: [protocol.inputs(each) for each in two] for domain, two in samples.items()
        }
        accuracies: dict[tuple[Domain, Domain], list[float]] = {}
        for _ in range(trials):
            parts = {domain: _parts(inputs[domain], sizes, rng) for domain in DOMAINS}
            for train_on in DOMAINS:
                trained = network.train_network(
                    protocol,
                    network.Sample.of(*parts[train_on]["train"]),
                    network.Sample.of(*parts[train_on]["validation"]),
                    seed=int(rng.integers(2**63)),
                    device=torch_device,
                )
                for test_on in DOMAINS:
                    rows, labels = parts[test_on]["test"]
                    right = (trained.scores(rows) > 0) == labels
                    accuracies.setdefault((train_on, test_on), []).append(float(right.mean()))
                done += 1
                progress(done)
        cells += [
            TransferCell(
                first=pair[0],
                second=pair[1],
                train_on=train_on,
                test_on=test_on,
                accuracy=float(np.mean(values)),
                deviation=float(np.std(values, ddof=1)) if len(values) > 1 else 0.0,
                trials=tuple(values),
            )
            for (train_on, test_on), values in accuracies.items()
        ]
    return TransferResult(
        protocol=protocol,
        cells=tuple(cells),
        n_showers=counts,
        seed=seed,
        device=device,
        seconds=perf_counter() - started,
        warnings=tuple(warnings),
    )


def _samples(
    geant4: Mapping[str, Showers], generated: Mapping[str, Showers], pair: tuple[str, str]
) -> dict[Domain, tuple[Showers, Showers]]:
    """The two samples of each domain, checked."""
    found: dict[Domain, tuple[Showers, Showers]] = {}
    for domain, showers in zip(DOMAINS, (geant4, generated), strict=True):
        if missing := [particle for particle in pair if particle not in showers]:
            msg = f"{domain}: has no showers of {', '.join(missing)}, needs {' and '.join(pair)}"
            raise ShowersError(msg)
        found[domain] = (showers[pair[0]], showers[pair[1]])
        for particle, each in zip(pair, found[domain], strict=True):
            if each.particle not in {"", particle}:
                msg = f"{domain}: the showers given as {particle} are of {each.particle}"
                raise ShowersError(msg)
            check_readout(found["geant4"][0], each)
    return found


def _parts(
    inputs: list[NDArray[np.float32]], sizes: tuple[int, int, int], rng: np.random.Generator
) -> dict[Part, tuple[NDArray[np.float32], NDArray[np.bool_]]]:
    """Inputs and labels (the first particle has 1) of each part."""
    rows = [cut(rng.permutation(len(each))[: sum(sizes)], sizes) for each in inputs]
    return {
        part: (np.concatenate([inputs[0][a], inputs[1][b]]), np.repeat([True, False], len(a)))
        for part, a, b in zip(PARTS, *rows, strict=True)
    }
