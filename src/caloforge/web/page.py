"""The page of a file of showers, whatever made them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from caloforge.errors import ArtefactError
from caloforge.evaluation.summary.file import read_summary
from caloforge.evaluation.summary.summary import Summary, SummaryBuilder
from caloforge.provenance import file_sha256, machine
from caloforge.runtime import find_artefact
from caloforge.showers import Showers, open_showers
from caloforge.web.overview import RunInfo, write_overview

__all__ = ["write_page"]


def write_page(
    path: str | Path,
    showers: str | Path,
    *,
    seconds: float | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Write the page that shows a file of showers, beside Geant4 where a generator made them.

    What made them is in the file, where caloforge wrote it; the artefact of that generator has the
    Geant4 showers to compare with, if there are any for this readout. The shower that is drawn in
    three dimensions is the one whose incident energy is the median.

    Args:
        path: HTML file to make or replace.
        showers: File of showers.
        seconds: Wall time that making them took, here and now.
        progress: Called with the number of showers looked at so far.

    Raises:
        CaloforgeError: A file cannot be read or written.
    """
    with open_showers(showers) as file:
        builder = SummaryBuilder(file.detector, file.particle)
        done = 0
        for block in file.blocks():
            builder.add(block)
            done += len(block)
            progress(done)
        energies = file.energies()
        middle = int(np.argsort(energies, kind="stable")[len(energies) // 2]) if done else 0
        event = file.read(middle, middle + 1)
        made = file.run
    seed = made.get("seed")
    run = RunInfo(
        generator=_maker(made) or Path(showers).name,
        version=str(made.get("version", "")),
        seed=seed if isinstance(seed, int) else None,
        command=str(made.get("command", "")),
        seconds_per_shower=None if seconds is None else seconds / max(1, done),
        machine="" if seconds is None else machine(),
    )
    write_overview(path, builder.result(), event, run, reference=_reference(made, event))


def _maker(run: Mapping[str, object]) -> str:
    """Name of what made the showers of a run; empty where it does not say."""
    return "Geant4" if "physics" in run else str(run.get("model", ""))


def _reference(run: Mapping[str, object], event: Showers) -> Summary | None:
    """Geant4 showers beside those of a run, as the artefact has them that made these.

    There are none if the artefact is no longer there, or no longer the same.
    """
    name, files = run.get("artefact") or run.get("model"), run.get("files")
    if not (isinstance(name, str) and isinstance(files, dict)):
        return None
    try:
        folder = find_artefact(name)
    except ArtefactError:
        return None
    for path in sorted(folder.glob(f"reference*-{event.detector.name}.json")):
        if file_sha256(path) == files.get(path.name):
            summary = read_summary(path.read_text("utf-8"), str(path))
            if summary.particle == event.particle:
                return summary
    return None
