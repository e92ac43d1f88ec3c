"""From one readout to another: voxels to cells, and back as well as can be.

Each cell's energy is spread evenly over its area and depth and summed into the cells of the other
readout. Energy is conserved: what falls beside the other's cells is its overflow.

From fine voxels to coarse cells this is what the FastCaloGAN of ATLAS does with its voxels. The
other way, and wherever a cell is larger than the structure inside it, detail that the first
readout did not record is not recovered: the CaloGAN cells of layer 0 are 160 mm long, so voxels
made from them show a band and not a core. Train and judge on the readout that you need.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caloforge.atomic import SHOWERS, check_new, check_suffix, replacing
from caloforge.detector import CylindricalLayer, Detector, RectangularLayer
from caloforge.errors import DetectorError, ShowersError
from caloforge.showers.cleaning import Cleaning, Tally
from caloforge.showers.container import Showers
from caloforge.showers.fields import BLOCK, FormatName
from caloforge.showers.opening import Paths
from caloforge.showers.reading import ShowerFile
from caloforge.showers.writing import ShowerSink

__all__ = ["Conversion", "convert", "convert_file", "spread_matrix"]

POINTS = 400
"""Points per cell: enough for the shares of the shipped readouts to be right to about 1%."""
MOST_POINTS = 10_000
_POINTS_AT_ONCE = 1 << 20
_MOST_SHARES = 1 << 29  # pairs of cells, of 8 bytes each

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]


@dataclass(frozen=True)
class Conversion:
    """What :func:`convert_file` did.

    Attributes:
        path: The new file.
        tally: How many showers it has, and what was changed in them.
        uncovered: Share of the energy that lies at depths that the new readout does not cover.
        beside: Share of the energy that lies beside its cells, in its overflow.
    """

    path: Path
    tally: Tally
    uncovered: float = 0.0
    beside: float = 0.0


def convert(showers: Showers, detector: Detector, *, points: int = POINTS) -> Showers:
    """The same showers in another readout.

    Args:
        showers: What to convert.
        detector: The other readout, of the same stack.
        points: Points per cell that stand for its area; rounded up to a square number.

    Returns:
        The showers in ``detector``; deposits and overflow sum to the deposits of ``showers``
        wherever the depths of ``detector`` cover those of the other readout. The overflow that
        ``showers`` have is dropped: nobody knows where it was.

    Raises:
        DetectorError: The depths of a readout's layers are not known, or the readouts are of
            different stacks.
        ShowersError: ``points`` is out of range, or showers that do not fly along the axis are to
            be converted from voxels to cells or back.
    """
    _require_same_stack(showers.detector, detector)
    return _apply(showers, detector, spread_matrix(showers.detector, detector, points=points))


def convert_file(
    source: Paths,
    target: str | Path,
    *,
    detector: Detector | None = None,
    source_detector: str | Path | Detector | None = None,
    particle: str | int | None = None,
    cleaning: Cleaning | None = None,
    format: FormatName | None = None,  # noqa: A002
    points: int = POINTS,
    overwrite: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> Conversion:
    """Convert a file to another format, another readout, or both, in constant memory.

    Args:
        source: File to read, or several, which become one.
        target: File to make.
        detector: The other readout; None to keep the one that it has.
        source_detector: What the showers of ``source`` are recorded in, where it does not say.
        particle: What they are of, where it does not say.
        cleaning: What to do to the showers before; nothing by default.
        format: Format of the new file; None for the usual one of its detector.
        points: See :func:`convert`.
        overwrite: Replace a file that is there.
        progress: Called with the number of showers converted so far.

    Returns:
        What was done.

    Raises:
        CaloforgeError: A file or an argument is wrong, or no shower is left.
    """
    target = Path(target)
    check_suffix(target, SHOWERS)
    check_new(target, overwrite=overwrite)
    cleaning = cleaning or Cleaning()
    with ShowerFile(source, source_detector, particle) as file:
        readout = file.detector if detector is None else detector
        matrix = None
        _require_same_stack(file.detector, readout)
        if not readout.same_readout(file.detector):
            matrix = spread_matrix(file.detector, readout, points=points)
        tally, kept = Tally(), []
        energy = np.zeros(3)  # of the showers, of their cells and of the overflow afterwards
        with replacing(target) as beside, ShowerSink(beside, format=format) as sink:
            for start, stop in file.spans(BLOCK):
                arrays, rows, changed = cleaning.apply(file.raw(slice(start, stop)))
                showers = file.checked(arrays, start)
                if matrix is None:
                    made = replace(showers, detector=readout)
                else:
                    made = _apply(showers, readout, matrix)
                    overflow = 0.0 if made.overflow is None else made.overflow.sum()
                    energy += showers.total_energy.sum(), made.total_energy.sum(), overflow
                sink.append(made)
                kept.append(rows)
                tally += changed
                progress(tally.read)
            if tally.read and not tally.kept:
                msg = f"file {file.path}: none of its {tally.read} showers is left; choose more"
                raise ShowersError(msg)
            if file.split is not None:
                sink.write_split(file.split[np.concatenate(kept)])
    if not energy[0] > 0:
        return Conversion(target, tally)
    lost = float(1 - (energy[1] + energy[2]) / energy[0])
    return Conversion(target, tally, max(0.0, lost), float(energy[2] / energy[0]))


def spread_matrix(source: Detector, target: Detector, *, points: int = POINTS) -> FloatArray:
    """The share of each cell of one readout that lies in each cell of another.

    Args:
        source: The one readout.
        target: The other readout.
        points: Points per cell that stand for its area; rounded up to a square number.

    Returns:
        Shape (source.n_cells, target.n_cells + target.n_layers): columns are the cells, then the
        overflow of each layer. A row sums to the share of the cell's depth that ``target`` covers.

    Raises:
        DetectorError: The depths of a readout's layers are not known.
        ShowersError: ``points`` is out of range.
    """
    if not 1 <= points <= MOST_POINTS:
        msg = f"points: got {points}, must be from 1 to {MOST_POINTS:,} (400 are right to about 1%)"
        raise ShowersError(msg)
    for detector in (source, target):
        if not detector.has_depth:
            msg = (
                f"detector: the depths of the layers of {detector.name!r} are not known, "
                "so it cannot be converted; give them in a detector file"
            )
            raise DetectorError(msg)
    if source.n_cells * target.n_cells > _MOST_SHARES:
        msg = (
            f"detector: {source.name!r} has {source.n_cells:,} cells and {target.name!r} "
            f"{target.n_cells:,}, which is too much to convert; take a coarser readout"
        )
        raise DetectorError(msg)
    side = int(np.ceil(np.sqrt(points)))
    at_once = max(1, _POINTS_AT_ONCE // side**2)
    matrix = np.zeros((source.n_cells, target.n_cells + target.n_layers))
    for layer, part in zip(source.layers, source.slices, strict=True):
        reach = [
            (j, other, where.start, overlap / (layer.z_max - layer.z_min) / side**2)
            for j, (other, where) in enumerate(zip(target.layers, target.slices, strict=True))
            if (overlap := min(layer.z_max, other.z_max) - max(layer.z_min, other.z_min)) > 0
        ]
        for first in range(0, layer.n_cells, at_once):
            cells = np.arange(first, min(first + at_once, layer.n_cells))
            x, y = _points(layer, cells, side)
            row = np.repeat(part.start + cells, side**2)
            for j, other, start, share in reach:
                cell = other.find(x, y)
                column = np.where(cell >= 0, start + cell, target.n_cells + j)
                np.add.at(matrix, (row, column), share)
    return matrix


def _require_same_stack(source: Detector, target: Detector) -> None:
    """Showers of one stack say nothing of another.

    Raises:
        DetectorError: Both readouts say their stack, and these are different.
    """
    if not source.same_stack(target):
        msg = (
            f"detector: {target.name!r} is made for another stack of plates than "
            f"{source.name!r}, in which the showers are; simulate or generate them there"
        )
        raise DetectorError(msg)


def _require_on_axis(showers: Showers, detector: Detector) -> None:
    """Voxels are around the line of flight, cells are not: off the axis they do not match.

    Raises:
        ShowersError: Showers off the axis are to be converted from one kind to the other.
    """
    kinds = {type(layer) for part in (showers.detector, detector) for layer in part.layers}
    points, directions = showers.entry_point, showers.direction
    moved = points is not None and points.any()
    tilted = directions is not None and directions[:, :2].any()
    if len(kinds) > 1 and (moved or tilted):
        msg = (
            f"showers: some do not fly along the axis, so {showers.detector.name!r} "
            f"cannot be converted to {detector.name!r}; simulate them with both readouts"
        )
        raise ShowersError(msg)


def _apply(showers: Showers, detector: Detector, matrix: FloatArray) -> Showers:
    _require_on_axis(showers, detector)
    both = showers.deposits.astype(np.float64) @ matrix
    deposits, overflow = both[:, : detector.n_cells], both[:, detector.n_cells :]
    return replace(
        showers, detector=detector, deposits=deposits.astype(np.float32), overflow=overflow
    )


def _points(
    layer: RectangularLayer | CylindricalLayer, cells: IndexArray, side: int
) -> tuple[FloatArray, FloatArray]:
    """Points that stand for equal areas: x and y in mm, ``side**2`` for each cell in order."""
    middle = (np.arange(side) + 0.5) / side
    slow, fast = np.divmod(cells, layer.shape[1])
    shape = (len(cells), side, side)
    if isinstance(layer, RectangularLayer):
        x, y = (_between(np.asarray(edges), middle) for edges in (layer.x_edges, layer.y_edges))
        x = np.broadcast_to(x[slow][:, :, None], shape)
        y = np.broadcast_to(y[fast][:, None, :], shape)
    else:
        r = np.sqrt(_between(np.asarray(layer.r_edges) ** 2, middle))
        alpha = _between(np.linspace(0, 2 * np.pi, layer.n_alpha + 1), middle)
        radius, angle = r[fast][:, None, :], alpha[slow][:, :, None]
        x, y = radius * np.cos(angle), radius * np.sin(angle)
    return x.ravel(), y.ravel()


def _between(edges: FloatArray, at: FloatArray) -> FloatArray:
    """Points within each bin: shape (n_bins, len(at))."""
    points: FloatArray = edges[:-1, None] + np.diff(edges)[:, None] * at
    return points
