"""Generators: what makes showers fast, whatever is inside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from caloforge.detector import Detector
from caloforge.errors import CaloforgeError, DetectorError, EnergyError
from caloforge.incident.incident import Incident
from caloforge.particles import particle_name
from caloforge.random import Purpose, Streams, fresh_seed
from caloforge.runtime.card import Card
from caloforge.runtime.conservation import allowed_energy
from caloforge.showers import Showers

__all__ = ["Generator"]

BATCH = 512
"""Showers that are made at a time unless the caller says otherwise."""

ATTEMPTS = 100
"""How often a shower is drawn at most until it conserves energy."""


class Generator(ABC):
    """A loaded artefact.

    A new kind of generators is a class in a file of its own, and a line in
    :data:`caloforge.runtime.kinds.KINDS`.

    Attributes:
        threaded: Whether it makes a batch with several threads.
        needs: Files that its artefact must have.
        gives_overflow: Whether it makes the energy beside the cells.
        card: What it is.
        folder: Where it lies.
        detector: What it fills.
        particle: What showers are of where they are not asked for by name; empty where it makes
            showers of several and none was chosen.
    """

    threaded: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ()
    gives_overflow: bool = False

    def __init__(
        self,
        card: Card,
        folder: Path,
        *,
        particle: str | int = "",
        threads: int = 0,  # noqa: ARG002 (for those that are threaded)
    ) -> None:
        """Make a generator of an artefact whose files have been checked.

        Args:
            card: Its card.
            folder: Where it lies.
            particle: Which of its particles showers are of; by default the only one.
            threads: Threads that it may use; 0 for as many as there are cores.

        Raises:
            ArtefactError: A file of the artefact does not fit its card.
        """
        self.card = card
        self.folder = folder
        self.detector = card.load_detector()
        only = card.particles[0] if len(card.particles) == 1 else ""
        self.particle = particle_name(particle) if particle else only

    def __repr__(self) -> str:
        low, high = self.card.energy_range
        name, particles = type(self).__name__, ", ".join(self.card.particles)
        return f"{name}({self.card.name!r}, {particles}, {low:g}-{high:g} GeV)"

    def sample(
        self,
        energies: ArrayLike | Incident,
        *,
        seed: int | None = None,
        first: int = 0,
        detector: Detector | None = None,
        batch: int = BATCH,
        extrapolate: bool = False,
        conserve_energy: bool = False,
    ) -> Showers:
        """Make one shower for each particle.

        Args:
            energies: The particles, or their incident energies alone: shape (N,) or (N, 1), or one
                number, GeV. What is not said of them (particle, entry points, directions) is the
                usual: see :class:`~caloforge.incident.incident.Incident`.
            seed: Seed of the run. The same seed gives the same showers. None for a fresh one, so
                that no two calls give the same; ``seed`` of the showers says which it was.
            first: Index of the first shower within the run: ``sample(e[5:], first=5)`` are the last
                showers of ``sample(e)``.
            detector: Read the showers out in another detector, where the generator can.
            batch: Showers that are made at a time; it has no influence on them.
            extrapolate: Allow energies, entry points and directions outside the range that the
                generator was made for.
            conserve_energy: Draw again, from the shower's own random numbers, each shower that
                deposits more than its incident energy and what the mass of the particle can
                release (:func:`~caloforge.runtime.conservation.released_energy`). Deposits beside
                the cells count where the generator makes them.

        Returns:
            N showers, with the entry points and directions that were said or are conditions, and
            their seed.

        Raises:
            EnergyError: An energy is not positive and finite, or out of range; or none of 100
                attempts at a shower conserves energy.
            ParticleError: The generator does not make showers of that particle, or of several and
                none is named.
            DetectorError: The generator cannot fill that detector.
            CaloforgeError: Entry points or directions are out of range, or not the usual for a
                generator that does not know them; or another argument is out of range.
        """
        incident = energies if isinstance(energies, Incident) else Incident.of(energies)
        if not incident.particle:
            incident = replace(incident, particle=self.particle)
        incident = self.card.accept(incident, extrapolate=extrapolate)
        for name, value, least in (("batch", batch, 1), ("first", first, 0)):
            if value < least:
                msg = f"{name}: got {value}, must be at least {least}"
                raise CaloforgeError(msg)
        readout = self.readout(detector)
        seed = fresh_seed() if seed is None else seed
        parts = []
        for start in range(0, max(1, len(incident)), batch):
            part = incident[start : start + batch]
            showers = first + start + np.arange(len(part))
            streams = Streams(seed, showers, Purpose.GENERATOR)
            deposits, overflow = self.make(part, streams, readout, conserve_energy=conserve_energy)
            parts.append(part.showers(readout, deposits, overflow=overflow))
        return replace(Showers.concatenate(parts), seed=seed)

    def make(
        self, incident: Incident, streams: Streams, readout: Detector, *, conserve_energy: bool
    ) -> tuple[NDArray[np.floating], NDArray[np.float64] | None]:
        """Make showers of particles that have been accepted, for those that are made of others.

        Args:
            incident: N particles, as :meth:`~caloforge.runtime.card.Card.accept` gives them.
            streams: Their random numbers.
            readout: What to record them in.
            conserve_energy: Draw showers again that deposit too much.

        Returns:
            Deposits, shape (N, n_cells), MeV, and overflow, shape (N, n_layers), MeV, or None.

        Raises:
            EnergyError: No attempt at a shower conserves energy.
        """
        deposits, overflow = self._deposits(incident, streams, readout)
        if conserve_energy:
            self._draw_again(incident, streams, readout, deposits, overflow)
        return deposits, overflow

    def _draw_again(
        self,
        incident: Incident,
        streams: Streams,
        readout: Detector,
        deposits: NDArray[np.floating],
        overflow: NDArray[np.float64] | None,
    ) -> None:
        """Replace the showers that do not conserve energy, in place.

        Raises:
            EnergyError: No attempt at a shower conserves energy.
        """
        allowed = allowed_energy(incident.energy, incident.particle)
        rows = np.arange(len(incident))
        for attempt in range(1, ATTEMPTS + 1):
            total = deposits[rows].sum(axis=1, dtype=np.float64)
            if overflow is not None:
                total += overflow[rows].sum(axis=1)
            rows = rows[total > allowed[rows]]
            if not len(rows):
                return
            if attempt < ATTEMPTS:
                again = streams.rows(rows, attempt=attempt)
                deposits[rows], beside = self._deposits(incident[rows], again, readout)
                if overflow is not None and beside is not None:
                    overflow[rows] = beside
        first = rows[0]
        msg = (
            f"conserve_energy: {ATTEMPTS} attempts of {self.card.name} at shower "
            f"{streams.showers[first]} of {incident.energy[first]:g} GeV all deposit too much; "
            "leave the option out, or choose another model or other energies"
        )
        raise EnergyError(msg)

    def readout(self, detector: Detector | None) -> Detector:
        """The detector that showers are read out in.

        Args:
            detector: What the user asked for; None for the generator's own.

        Raises:
            DetectorError: The generator cannot fill that detector.
        """
        if detector is None:
            return self.detector
        self.check_stack(detector)
        if detector.same_readout(self.detector):
            return self.detector
        msg = (
            f"detector: {self.card.name} fills {self.detector.name!r}, not {detector.name!r}; "
            "convert the file afterwards (caloforge data convert)"
        )
        raise DetectorError(msg)

    def check_stack(self, detector: Detector) -> None:
        """Refuse a readout of other plates than those that the generator stands for.

        Raises:
            DetectorError: It is of another stack.
        """
        if not detector.same_stack(self.detector):
            msg = (
                f"detector: {detector.name!r} is made for another stack of plates than "
                f"{self.detector.name!r}, which {self.card.name} stands for; simulate showers "
                "there and train a generator on them"
            )
            raise DetectorError(msg)

    @abstractmethod
    def _deposits(
        self,
        incident: Incident,
        streams: Streams,
        readout: Detector,
    ) -> tuple[NDArray[np.floating], NDArray[np.float64] | None]:
        """Make showers.

        Args:
            incident: N particles, as :meth:`~caloforge.runtime.card.Card.accept` gives them.
            streams: Their random numbers: each shower draws from its own stream alone.
            readout: What to record them in.

        Returns:
            Deposits, shape (N, n_cells), MeV, and overflow, shape (N, n_layers), MeV, or None.
        """
