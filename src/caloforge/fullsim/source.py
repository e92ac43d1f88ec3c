"""Full simulation as a source of showers."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import CylindricalLayer, Detector, Hits
from caloforge.errors import CaloforgeError, DetectorError
from caloforge.fullsim.engine import Primaries, Shot, ShotError, random_index, shoot
from caloforge.fullsim.geometry import require_readable, require_stack
from caloforge.fullsim.physics import PhysicsSettings
from caloforge.incident.beam import Beam
from caloforge.incident.gun import Gun
from caloforge.incident.incident import Incident
from caloforge.particles import pdg_id
from caloforge.random import check_seed
from caloforge.showers.source import Block

__all__ = ["Geant4Source"]

FloatArray = NDArray[np.float64]

# A shot of 50 GeV holds some 30 MB of deposits; below, the overhead of a shot (0.2 ms) vanishes.
_SHOT_ENERGY = 50.0
_SHOT_SHOWERS = 100
_BLOCK_ENERGY = 500.0  # GeV, ten seconds or so of one core
_BLOCK_SHOWERS = 1000
_ATTEMPTS = 5

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Geant4Source:
    """Showers of Geant4 11.4, recorded in one or several readouts at once.

    A shower depends on the seed and its index alone. Geant4 runs in the process that calls
    :meth:`block`, which it binds to one :class:`PhysicsSettings`.

    Voxels (cylindrical layers) are around the particle's line of flight: position is counted from
    where that line is at the depth of the deposit. Cells (rectangular layers) stay where they are.

    Attributes:
        detector: What the particles fly through; must have a stack.
        gun: The particles; without a beam they enter at the centre, perpendicular.
        seed: Seed of the run.
        readouts: What the showers are recorded in; by default the detector's own layers.
        physics: Physics list and cut.

    Raises:
        DetectorError: There is no stack, a readout belongs to another stack, does not say how deep
            its layers are or cannot be meant for the stack, or the beam misses the front face.
        CaloforgeError: The seed is out of range.
    """

    detector: Detector
    gun: Gun
    seed: int
    readouts: tuple[Detector, ...] = ()
    physics: PhysicsSettings = field(default_factory=PhysicsSettings)

    def __post_init__(self) -> None:
        stack = require_stack(self.detector)
        check_seed(self.seed)
        beam = self.gun.beam or Beam()
        if not self.readouts:
            object.__setattr__(self, "readouts", (self.detector,))
        for readout in self.readouts:
            if not readout.has_depth:
                msg = (
                    f"readout: {readout.name!r} does not say at which depth its layers are; "
                    "give one whose file has depths"
                )
                raise DetectorError(msg)
            if readout.stack not in (None, stack):
                msg = (
                    f"readout: {readout.name!r} is made for another stack of plates than that of "
                    f"{self.detector.name!r}; give one with the same stack, or without"
                )
                raise DetectorError(msg)
            require_readable(stack, readout)
            if not beam.on_axis and len(set(map(type, readout.layers))) > 1:
                msg = (
                    f"readout: {readout.name!r} has both cells and voxels, which is for particles "
                    "at the centre and perpendicular only; give two readouts instead"
                )
                raise DetectorError(msg)
        if beam.spread >= 0.5 * stack.lateral:
            msg = (
                f"spread: got {beam.spread} mm, must be less than half the side of the "
                f"plates, {0.5 * stack.lateral} mm"
            )
            raise DetectorError(msg)

    @property
    def block_size(self) -> int:
        """Showers that take about ten seconds: a good block for workers and for resuming."""
        return int(np.clip(_BLOCK_ENERGY / self.gun.spectrum.mean, 1, _BLOCK_SHOWERS))

    def primaries(self, incident: Incident, first: int) -> Primaries:
        """What Geant4 is given.

        Args:
            incident: N particles that follow each other in the run.
            first: Index of the first one's shower.
        """
        index = [random_index(self.seed, i) for i in range(first, first + len(incident))]
        return Primaries(
            pdg_id(incident.particle),
            incident.energy,
            incident.points,
            incident.directions,
            np.array(index, dtype=np.uint64).reshape(len(incident), 2),
        )

    def block(self, first: int, count: int) -> Block:
        """Simulate the showers ``first`` to ``first + count`` of the run.

        Args:
            first: Index of the first shower.
            count: Number of showers.

        Returns:
            The showers, a part for each readout, with overflow, entry points, directions and
            leakage: the kinetic energy of everything that left the stack, neutrinos included. What
            is neither deposit, overflow nor leakage went into nuclear binding, into plates that are
            not sensitive, or is rest mass; antiparticles bring theirs in.

        Raises:
            Geant4DataError: calzone or the data tables are missing.
            CaloforgeError: Geant4 does not know the particle, complains about one shower again and
                again, or runs with other physics in this process already.
        """
        incident = self.gun.sample(self.seed, first, count).explicit()
        primaries = self.primaries(incident, first)
        deposits = [np.zeros((count, readout.n_cells), np.float32) for readout in self.readouts]
        overflow = [np.zeros((count, readout.n_layers)) for readout in self.readouts]
        leakage = np.zeros(count)
        for rows in _shots(primaries.energy):
            for part, made in self._simulate(primaries, rows, first):
                leakage[part] = made.leakage
                for i, readout in enumerate(self.readouts):
                    left = _digitise(readout, made.hits, primaries[part])
                    deposits[i][part], overflow[i][part] = left
        showers = [
            incident.showers(readout, deposits[i], overflow=overflow[i], leakage=leakage)
            for i, readout in enumerate(self.readouts)
        ]
        return Block(count, tuple(showers))

    def _simulate(
        self, primaries: Primaries, rows: slice, first: int, attempt: int = 0
    ) -> Iterator[tuple[slice, Shot]]:
        """Shoot some rows of a block; where Geant4 complains, one by one with other numbers.

        A shower that makes Geant4 complain would do so for ever, since its random numbers are
        its own. Its replacement, too, depends on the seed and its index alone.
        """
        shot = primaries[rows]
        shower = first + rows.start
        if attempt:
            shot = replace(shot, index=random_index(self.seed, shower, attempt)[np.newaxis])
        try:
            made = shoot(require_stack(self.detector), self.physics, shot)
        except ShotError as warning:
            if rows.stop - rows.start > 1:
                for row in range(rows.start, rows.stop):
                    yield from self._simulate(primaries, slice(row, row + 1), first)
                return
            if attempt + 1 == _ATTEMPTS:
                msg = f"Geant4 cannot simulate shower {shower} ({self.gun.particle}): {warning}"
                raise CaloforgeError(msg) from None
            _log.warning("shower %d is simulated again, Geant4 said: %s", shower, warning)
            yield from self._simulate(primaries, rows, first, attempt + 1)
        else:
            yield rows, made


def _shots(energy: FloatArray) -> Iterator[slice]:
    """Consecutive rows that are shot together: up to 50 GeV or 100 showers, but at least one."""
    start, total = 0, 0.0
    for row, value in enumerate(energy):
        full = total + value > _SHOT_ENERGY or row - start == _SHOT_SHOWERS
        if full and row > start:
            yield slice(start, row)
            start, total = row, 0.0
        total += float(value)
    if len(energy):
        yield slice(start, len(energy))


def _digitise(readout: Detector, hits: Hits, primaries: Primaries) -> tuple[FloatArray, FloatArray]:
    if any(isinstance(layer, CylindricalLayer) for layer in readout.layers):
        slope = primaries.direction[:, :2] / primaries.direction[:, 2:]
        if slope.any() or primaries.entry_point.any():
            axis = primaries.entry_point[hits.shower].T + slope[hits.shower].T * hits.z
            x, y = hits.x - axis[0], hits.y - axis[1]
            hits = Hits(x, y, hits.z, hits.energy, hits.shower)
    return readout.digitise(hits, len(primaries.energy))
