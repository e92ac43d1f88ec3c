"""The page of a file of showers that a generator made."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from pathlib import Path

import numpy as np

from caloforge.evaluation.summary.file import read_summary
from caloforge.evaluation.summary.summary import Summary, SummaryBuilder
from caloforge.runtime.artefacts import find_artefact, load_card
from caloforge.showers import open_showers
from caloforge.web.overview import RunInfo, write_overview

__all__ = ["write_page"]


def write_page(
    path: str | Path,
    showers: str | Path,
    *,
    model: str | Path,
    seconds: float | None = None,
    command: str = "",
    progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Write the page that shows a file of generated showers beside Geant4.

    The shower that is drawn in three dimensions is the one whose incident energy is the median.

    Args:
        path: HTML file to make or replace.
        showers: File of showers.
        model: What made them; its artefact has the Geant4 showers to compare with, if there are
            any for this readout.
        seconds: Wall time that making them took.
        command: How they were made.
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
        middle = int(np.argsort(energies, kind="stable")[len(energies) // 2])
        event = file.read(middle, middle + 1)
        seed = file.run.get("seed")
    folder = find_artefact(model, event.particle)
    card = load_card(folder)
    run = RunInfo(
        generator=card.name,
        version=card.version,
        seed=seed if isinstance(seed, int) else None,
        command=command,
        seconds_per_shower=None if seconds is None else seconds / done,
        machine=f"{os.cpu_count()} cores, {platform.machine()}",
    )
    write_overview(
        path,
        builder.result(),
        event,
        run,
        reference=_reference(folder / f"reference-{event.detector.name}.json"),
    )


def _reference(path: Path) -> Summary | None:
    return read_summary(path.read_text("utf-8"), str(path)) if path.is_file() else None
