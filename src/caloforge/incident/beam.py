"""Where the particles enter and where they fly to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import CaloforgeError
from caloforge.random import Purpose, Streams

__all__ = ["Beam"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Beam:
    """Entry points and directions; by default the centre of the front face, perpendicular to it.

    Attributes:
        spread: Entry points are uniform in the square of +-``spread`` mm around the centre: flat
            over cells, as a conditional generator wants it.
        theta: Lowest and highest polar angle to the normal of the front face, degrees, in [0, 90);
            uniform in the angle.
        phi: Lowest and highest azimuth, degrees, from +x towards +y; uniform.

    Raises:
        CaloforgeError: A number is out of range.
    """

    spread: float = 0.0
    theta: tuple[float, float] = (0.0, 0.0)
    phi: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        if not (np.isfinite(self.spread) and self.spread >= 0):
            msg = f"spread: got {self.spread} mm, must be finite and not negative"
            raise CaloforgeError(msg)
        if not 0 <= self.theta[0] <= self.theta[1] < 90:
            msg = f"theta: got {self.theta} degrees, must be LOW <= HIGH within [0, 90)"
            raise CaloforgeError(msg)
        if not -360 <= self.phi[0] <= self.phi[1] <= 360:
            msg = f"phi: got {self.phi} degrees, must be LOW <= HIGH within [-360, 360]"
            raise CaloforgeError(msg)

    @classmethod
    def parse(cls, spread: float = 0.0, theta: str = "0", phi: str = "0") -> Beam:
        """A beam as written on the command line.

        Args:
            spread: Half the side of the square of entry points, mm.
            theta: ``"10"`` or ``"0:20"``, degrees.
            phi: ``"90"`` or ``"0:360"``, degrees.

        Raises:
            CaloforgeError: A text is malformed or a number is out of range.

        Examples:
            >>> Beam.parse(5.0, "0:20", "0:360")
            Beam(spread=5.0, theta=(0.0, 20.0), phi=(0.0, 360.0))
        """
        return cls(spread, _interval("theta", theta), _interval("phi", phi))

    def options(self) -> dict[str, str]:
        """The beam as :meth:`parse` reads it and as options say it, without what is the usual.

        Examples:
            >>> Beam.parse(5.0, "0:20", "90").options()
            {'spread': '5', 'theta': '0:20', 'phi': '90'}
        """
        ends = {"spread": (self.spread,), "theta": self.theta, "phi": self.phi}
        return {
            name: ":".join(_text(value) for value in dict.fromkeys(values))
            for name, values in ends.items()
            if getattr(self, name) != getattr(Beam(), name)
        }

    @property
    def on_axis(self) -> bool:
        """Whether every particle enters at the centre and perpendicular."""
        return self.spread == 0 and self.theta[1] == 0

    def sample(self, seed: int, first: int, count: int) -> tuple[FloatArray, FloatArray]:
        """Entry points and directions of the showers ``first`` to ``first + count`` of a run.

        Args:
            seed: Seed of the run.
            first: Index of the first shower.
            count: Number of showers.

        Returns:
            Entry points on the front face, shape (count, 2), x and y in mm, and directions, shape
            (count, 3), unit vectors. They depend on the seed and the index of the shower alone.
        """
        u = Streams(seed, np.arange(first, first + count), Purpose.BEAM).uniform(4)
        points = self.spread * (2.0 * u[:, :2] - 1.0)
        theta = self.theta[0] + (self.theta[1] - self.theta[0]) * u[:, 2]
        return points, _directions(theta, self.phi[0] + (self.phi[1] - self.phi[0]) * u[:, 3])

    def extremes(self) -> tuple[FloatArray, FloatArray]:
        """Entry points and directions between which, component by component, all others are.

        Returns:
            Shapes (M, 2), mm, and (M, 3), for some small M.
        """
        # The components of a direction turn round at the axes alone.
        axes = [turn for turn in range(-360, 361, 90) if self.phi[0] < turn < self.phi[1]]
        points = self.spread * np.array([(-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0)])
        theta, phi = np.meshgrid(self.theta, [*self.phi, *axes])
        directions = _directions(theta.ravel(), phi.ravel())
        return (
            np.repeat(points, len(directions), axis=0),
            np.tile(directions, (len(points), 1)),
        )


def _directions(theta: FloatArray, phi: FloatArray) -> FloatArray:
    """Unit vectors, shape (N, 3), of angles in degrees, shape (N,)."""
    theta, phi = np.radians(theta), np.radians(phi)
    sine = np.sin(theta)
    return np.stack([sine * np.cos(phi), sine * np.sin(phi), np.cos(theta)], axis=1)


def _text(value: float) -> str:
    """A number with all its digits, but no more."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def _interval(what: str, text: str) -> tuple[float, float]:
    try:
        values = tuple(float(part) for part in text.split(":"))
    except ValueError:
        values = ()
    if len(values) not in (1, 2):
        msg = f"{what}: cannot read {text!r}; write an angle in degrees (10) or an interval (0:20)"
        raise CaloforgeError(msg)
    return values[0], values[-1]
