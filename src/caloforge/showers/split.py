"""Splitting a file into train, validation and test rows, once and for all."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from caloforge.atomic import SHOWERS, check_new, check_suffix, replacing
from caloforge.detector import Detector
from caloforge.errors import CaloforgeError, FileFormatError
from caloforge.random import Purpose, stream
from caloforge.showers.fields import BLOCK
from caloforge.showers.opening import Paths
from caloforge.showers.reading import ShowerFile
from caloforge.showers.writing import ShowerSink

__all__ = ["split_file"]


def split_file(
    source: Paths,
    target: str | Path,
    *,
    detector: str | Path | Detector | None = None,
    particle: str | int | None = None,
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    overwrite: bool = False,
) -> dict[str, int]:
    """Copy a file of showers and say of each row which part it belongs to.

    Args:
        source: File to read, or several, which become one; must not be split yet.
        target: File to make.
        detector: What its showers are recorded in, where the file does not say.
        particle: What its showers are of, where the file does not say.
        fractions: Shares of train, validation and test rows; must sum to one.
        seed: Seed of the choice; a row's part depends on the seed and its index, not on how many
            rows follow.
        overwrite: Replace a file that is there.

    Returns:
        Number of rows of each part.

    Raises:
        CaloforgeError: The fractions are wrong, the file is split already, or a file cannot be read
            or written.
    """
    target = Path(target)
    if not (min(fractions) >= 0 and abs(sum(fractions) - 1) <= 1e-9):
        msg = f"fractions: got {fractions}, must not be negative and sum to 1"
        raise CaloforgeError(msg)
    check_suffix(target, SHOWERS)
    check_new(target, overwrite=overwrite)
    with ShowerFile(source, detector, particle) as file:
        if file.split is not None:
            msg = f"file {file.path}: is split already; a row's part must not change"
            raise FileFormatError(msg)
        # Drawn row by row from one stream, so rows that are added later do not move the others.
        u = stream(seed, Purpose.SPLIT).random(len(file))
        part = np.searchsorted(np.cumsum(fractions)[:2], u, side="right").astype(np.int8)
        with replacing(target) as beside, ShowerSink(beside, format=file.format.name) as sink:
            for showers in file.blocks(BLOCK):
                sink.append(showers)
            sink.write_split(part)
    names = ("train", "validation", "test")
    return {name: int((part == i).sum()) for i, name in enumerate(names)}
