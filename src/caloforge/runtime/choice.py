"""The runtime of a choice among artefacts: each shower is made by the one that is best for it.

References:
    ATLAS, AtlFast3: the next generation of fast simulation in ATLAS, arXiv:2109.02551, which
    chooses FastCaloSim or FastCaloGAN by particle and energy.
"""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import Detector
from caloforge.errors import ArtefactError, DetectorError
from caloforge.incident.incident import Incident
from caloforge.provenance import file_sha256
from caloforge.random import Streams
from caloforge.runtime.artefacts import artefact_names, find_artefact, load
from caloforge.runtime.card import CARD, Card, Domain, Member
from caloforge.runtime.generator import Generator

__all__ = ["ChoiceGenerator"]


class ChoiceGenerator(Generator):
    """Other generators, each in its domain of particles and incident energies.

    A shower is, bit by bit, what its member alone makes for that seed and index. Where domains
    overlap or meet, the member that the card names first makes it; showers beyond all domains
    (extrapolation) are made by the member whose domain is nearest in the logarithm of the energy.

    Attributes:
        members: The generators, in the order of the card.
    """

    threaded = True

    def __init__(
        self, card: Card, folder: Path, *, particle: str | int = "", threads: int = 0
    ) -> None:
        """Load the members; see :class:`~caloforge.runtime.generator.Generator`."""
        super().__init__(card, folder, particle=particle, threads=threads)
        self._domains = tuple(self._domain(member) for member in card.members)
        self._check_cover()
        self.members = tuple(self._load(member, threads) for member in card.members)
        self.gives_overflow = all(member.gives_overflow for member in self.members)

    def readout(self, detector: Detector | None) -> Detector:
        """The detector that showers are read out in: any that all members can fill.

        Raises:
            DetectorError: A member cannot fill that detector.
        """
        wanted = detector or self.detector
        for member in self.members:
            member.readout(wanted)
        return wanted

    def make(
        self, incident: Incident, streams: Streams, readout: Detector, *, conserve_energy: bool
    ) -> tuple[NDArray[np.floating], NDArray[np.float64] | None]:
        """Let each member make its showers; see :meth:`Generator.make`."""
        deposits = np.empty((len(incident), readout.n_cells), dtype=np.float32)
        overflow = np.empty((len(incident), readout.n_layers)) if self.gives_overflow else None
        chosen = self.choose(incident)
        for i, member in enumerate(self.members):
            rows = np.flatnonzero(chosen == i)
            if len(rows):
                deposits[rows], beside = member.make(
                    incident[rows],
                    streams.rows(rows),
                    readout,
                    conserve_energy=conserve_energy,
                )
                if overflow is not None and beside is not None:
                    overflow[rows] = beside
        return deposits, overflow

    def choose(self, incident: Incident) -> NDArray[np.intp]:
        """Which member makes each shower: shape (N,), indices into ``members``."""
        chosen = np.zeros(len(incident), dtype=np.intp)
        nearest = np.full(len(incident), np.inf)
        for i, domain in enumerate(self._domains):
            if incident.particle in domain.particles:
                low, high = domain.energy
                beyond = np.maximum(incident.energy / high, low / incident.energy)
                distance = np.maximum(beyond, 1.0)  # a ratio of energies, which is 1 inside
                nearer = distance < nearest
                chosen[nearer], nearest[nearer] = i, distance[nearer]
        return chosen

    def _deposits(
        self, incident: Incident, streams: Streams, readout: Detector
    ) -> tuple[NDArray[np.floating], NDArray[np.float64] | None]:
        return self.make(incident, streams, readout, conserve_energy=False)

    def _domain(self, member: Member) -> Domain:
        if member.domain is None or member.weight is not None:
            self._refuse(f"member {member.artefact!r} must have a domain, and no weight")
        return member.domain

    def _check_cover(self) -> None:
        """Refuse a card with showers that no member makes."""
        low, high = self.card.energy_range
        for particle in self.card.particles:
            reached = low
            spans = sorted(item.energy for item in self._domains if particle in item.particles)
            for start, stop in spans:
                if start > reached:
                    break
                reached = max(reached, stop)
            if not spans or reached < high:
                self._refuse(f"no member makes {particle} just above {reached:g} GeV")

    def _load(self, member: Member, threads: int) -> Generator:
        """Load a member, once it is the one that the card describes and knows its domain."""
        name = member.artefact
        folder = self.folder / name
        if Path(name).is_absolute() or not (folder / CARD).is_file():
            if name not in artefact_names():
                self._refuse(
                    f"member {name!r} is neither a shipped artefact nor a folder beside it"
                )
            folder = find_artefact(name)
        if file_sha256(folder / CARD) != member.sha256:
            self._refuse(f"member {name!r} is not the one that its card describes (SHA-256)")
        found = load(folder, threads=threads)
        domain, (low, high) = self._domain(member), found.card.energy_range
        if not set(domain.particles) <= set(found.card.particles) or not (
            low <= domain.energy[0] <= domain.energy[1] <= high
        ):
            self._refuse(
                f"member {name!r} is of {', '.join(found.card.particles)} of {low:g}-{high:g} GeV, "
                "its domain must be within that"
            )
        asked, known = (
            {item.name for item in card.conditions} - {"label"} for card in (self.card, found.card)
        )
        if asked != known:
            self._refuse(f"member {name!r} has other conditions: {', '.join(sorted(known))}")
        for condition in self.card.conditions:
            other = found.card.condition(condition.name)
            if condition.name not in {"energy", "label"} and other is not None:
                (low_here, high_here), (low_there, high_there) = condition.bounds, other.bounds
                if (low_here < low_there).any() or (high_here > high_there).any():
                    self._refuse(f"member {name!r} has narrower bounds of {condition.name} than it")
        try:
            found.readout(self.detector)
        except DetectorError as error:
            self._refuse(f"member {name!r}: {error}")
        return found

    def _refuse(self, what: str) -> NoReturn:
        msg = f"artefact {self.folder}: {what}"
        raise ArtefactError(msg)
