"""The page of a file of showers, whatever made them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from caloforge.atomic import PAGES, check_suffix
from caloforge.errors import ArtefactError
from caloforge.evaluation.summary.file import read_summary
from caloforge.evaluation.summary.summary import Summary, SummaryBuilder
from caloforge.provenance import file_sha256, machine
from caloforge.runtime import find_artefact
from caloforge.showers import Showers, open_showers
from caloforge.showers.examples import EXAMPLES, example_showers
from caloforge.web.overview import Beside, RunInfo, write_overview

__all__ = ["write_page"]

# Where the showers that are drawn lie among all, ordered by incident energy.
_QUANTILES = (0.05, 0.275, 0.5, 0.725, 0.95)


def write_page(
    path: str | Path,
    showers: str | Path,
    *,
    beside: str | Path | None = None,
    detector: str | Path | None = None,
    particle: str | int | None = None,
    seconds: float | None = None,
    processes: int = 1,
    progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Write the page that shows a file of showers beside another, or beside Geant4.

    What made them is in the file, where caloforge wrote it; where nothing else is given, the
    artefact of that generator has the Geant4 showers to compare with, if there are any for this
    readout. Some showers, from low to high incident energies, are drawn in three dimensions.

    Args:
        path: HTML file to make or replace.
        showers: File of showers.
        beside: File of showers to compare them with, of the same particle in the same detector.
        detector: What the showers of both are recorded in, where the files do not say.
        particle: What they are showers of, where the files do not say.
        seconds: Wall time that making them took, here and now.
        processes: How many made them side by side.
        progress: Called with the number of showers looked at so far.

    Raises:
        CaloforgeError: A file cannot be read or written, or the two cannot be compared.
    """
    check_suffix(Path(path), PAGES)
    sample = _look(showers, detector, particle, progress)
    seed = sample.run.get("seed")
    run = RunInfo(
        generator=_maker(sample.run) or Path(showers).name,
        version=str(sample.run.get("version", "")),
        seed=seed if isinstance(seed, int) else None,
        command=str(sample.run.get("command", "")),
        seconds_per_shower=None if seconds is None else seconds / max(1, sample.summary.count),
        processes=processes,
        machine="" if seconds is None else machine(),
        file=Path(showers).name,
    )
    if beside is None:
        other = _reference(sample)
    else:
        count = sample.summary.count
        found = _look(beside, detector, particle, lambda done: progress(count + done))
        name = _maker(found.run) or Path(beside).name
        if name == run.generator:  # told apart by their files
            name, run = Path(beside).name, replace(run, generator=Path(showers).name)
        about = f"{found.summary.count:,} showers of {Path(beside).name}"
        other = Beside(found.summary, found.events, name, about)
    write_overview(path, sample.summary, sample.events, run, beside=other)


@dataclass(frozen=True)
class _Sample:
    """What a page shows of a file."""

    summary: Summary
    events: Showers
    run: Mapping[str, object]


def _look(
    path: str | Path,
    detector: str | Path | None,
    particle: str | int | None,
    progress: Callable[[int], None],
) -> _Sample:
    with open_showers(path, detector, particle) as file:
        builder = SummaryBuilder(file.detector, file.particle)
        done = 0
        for block in file.blocks():
            builder.add(block)
            done += len(block)
            progress(done)
        order = np.argsort(file.energies(), kind="stable")
        # Sorted, as files are read; the showers then again by energy.
        rows = np.unique(order[[int(q * len(order)) for q in _QUANTILES if len(order)]])
        events = file.read_rows(rows)
        return _Sample(builder.result(), events[np.argsort(events.energy)], file.run)


def _maker(run: Mapping[str, object]) -> str:
    """Name of what made the showers of a run; empty where it does not say."""
    return "Geant4" if "physics" in run else str(run.get("model", ""))


def _reference(sample: _Sample) -> Beside | None:
    """Geant4 showers beside those of a run, as the artefact has them that made these.

    There are none if the artefact is no longer there, or no longer the same.
    """
    name, files = sample.run.get("artefact") or sample.run.get("model"), sample.run.get("files")
    if not (isinstance(name, str) and isinstance(files, dict)):
        return None
    try:
        folder = find_artefact(name)
    except ArtefactError:
        return None
    for path in sorted(folder.glob(f"reference*-{sample.summary.detector.name}.json")):
        if file_sha256(path) == files.get(path.name):
            summary = read_summary(path.read_text("utf-8"), str(path))
            if summary.particle == sample.summary.particle:
                about = f"{summary.count:,} showers that the generator's artefact sums up"
                return Beside(summary, _alike(sample.events), about=about)
    return None


def _alike(events: Showers) -> Showers | None:
    """Geant4 showers that come with caloforge, each of nearly the energy of one of some others."""
    if events.particle not in EXAMPLES:
        return None
    examples = example_showers(events.particle)
    if not examples.detector.same_readout(events.detector):
        return None
    chosen: list[int] = []
    for energy in events.energy:
        order = np.argsort(np.abs(np.log(examples.energy / energy)), kind="stable")
        chosen.append(int(next(i for i in order if i not in chosen)))
    return examples[np.array(chosen)]
