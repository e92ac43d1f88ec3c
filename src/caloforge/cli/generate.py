"""``caloforge generate``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from caloforge.atomic import check_different
from caloforge.cli.console import (
    Json,
    Output,
    Overwrite,
    Phi,
    Quiet,
    Resume,
    Seed,
    Spread,
    Theta,
    bar,
    show,
)
from caloforge.cli.numbers import whole
from caloforge.cores import available_cores
from caloforge.errors import CaloforgeError
from caloforge.runtime.artefacts import Quality
from caloforge.runtime.generator import BATCH
from caloforge.showers import FormatName

__all__ = ["generate"]

generate = App(
    name="generate",
    help_epilogue=(
        "**Examples:**\n\n"
        "- caloforge generate --particle e+ --energy 1:100 -n 10000 --seed 1 -o showers.h5\n"
        "- caloforge generate --particle pi+ --energy 50 -n 1000 -o pions.h5 --page pions.html\n"
        "- caloforge generate --particle e+ --energy 50 -n 1000000 --quality fast -o many.h5\n"
        "- caloforge generate --particle gamma --energy file:events.h5 -n 500 -o again.h5\n"
        "- caloforge generate --particle e+ --energy 1:5 -n 500 --conserve-energy -o soft.h5"
    ),
)


def _file(energy: str) -> str | None:
    """The file that energies are read from, if they are."""
    return energy.strip().removeprefix("file:") if energy.strip().startswith("file:") else None


@generate.default
def _generate(
    *,
    particle: Annotated[str, Parameter(help="PDG name or identifier: e+, gamma, pi+, 211.")],
    energy: Annotated[
        str,
        Parameter(help="GeV: 50 | 1,2,4 | 1:100 (uniform) | log:1:1000 | file:PATH."),
    ],
    count: Annotated[
        int, Parameter(name=["--count", "-n"], converter=whole, help="Number of showers.")
    ],
    output: Output,
    seed: Seed = 0,
    model: Annotated[
        str | None,
        Parameter(
            help="System, artefact or folder (caloforge models list); default: the best of them."
        ),
    ] = None,
    quality: Annotated[
        Quality | None,
        Parameter(help="Where no model is named: best of all, or best of the fast ones."),
    ] = None,
    spread: Spread = 0.0,
    theta: Theta = "0",
    phi: Phi = "0",
    detector: Annotated[
        str | None, Parameter(help="Readout: a shipped detector or a file; default: the model's.")
    ] = None,
    format: Annotated[  # noqa: A002
        FormatName | None, Parameter(help="Format of the file; default: the usual of the readout.")
    ] = None,
    page: Annotated[
        str | None, Parameter(help="Also write a page to look at, beside Geant4 (HTML).")
    ] = None,
    workers: Annotated[
        int | None,
        Parameter(converter=whole, help="Processes; default: as many as there are cores."),
    ] = None,
    batch: Annotated[int, Parameter(converter=whole, help="Showers made at a time.")] = BATCH,
    extrapolate: Annotated[
        bool, Parameter(negative="", help="Allow particles that the model was not made for.")
    ] = False,
    conserve_energy: Annotated[
        bool, Parameter(negative="", help="Draw showers again that deposit more than came in.")
    ] = False,
    resume: Resume = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Make showers with a fast generator."""
    from caloforge import runtime
    from caloforge.detector import load_detector
    from caloforge.incident.beam import Beam

    check_different(output=output, page=page, energy=_file(energy))
    if page is not None:
        from caloforge.atomic import PAGES, check_new, check_suffix

        check_suffix(Path(page), PAGES)
        # Before the work, not after it. A run that is resumed may have made its page.
        check_new(Path(page), overwrite=overwrite or resume)
    beam = Beam.parse(spread, theta, phi)
    readout = None if detector is None else load_detector(detector, particle)
    if model is not None and quality is not None:
        msg = "quality: chooses a model, and one is named; leave out --quality or --model"
        raise CaloforgeError(msg)
    chosen = runtime.best_artefact(particle, readout, quality or "best") if model is None else None
    processes = available_cores() if workers is None else workers
    start = time.perf_counter()
    with bar(f"{particle} showers", count, quiet=quiet or json) as progress:
        path = runtime.generate(
            output,
            particle=particle,
            energy=energy,
            count=count,
            seed=seed,
            model=model if chosen is None else chosen.name,
            beam=None if beam == Beam() else beam,
            detector=readout,
            format=format,
            workers=processes,
            batch=batch,
            extrapolate=extrapolate,
            conserve_energy=conserve_energy,
            resume=resume,
            overwrite=overwrite,
            progress=progress,
        )
    seconds = time.perf_counter() - start
    if page is not None:
        from caloforge.web.page import write_page

        with bar("page", count, quiet=quiet or json) as progress:
            # Of a run that went on it is not known how long all of it took.
            took = None if resume else seconds
            write_page(page, path, seconds=took, processes=processes, progress=progress)
    result = {
        "file": str(path),
        "model": model if chosen is None else chosen.name,
        "showers": count,
        "seconds": seconds,
        "page": page,
    }
    text = f"{path}: {count:,} showers in {seconds:.1f} s ({count / seconds:,.0f} per second)"
    if chosen is not None:
        text += f"\n{_reason(chosen, particle)}"
    if page is not None:
        text += f"\n{page}: open it in a browser"
    show(result, text, as_json=json, quiet=quiet)


def _reason(artefact: Path, particle: str) -> str:
    """Why this generator was taken, where none was asked for."""
    from caloforge.runtime.artefacts import verdict

    score = verdict(artefact, particle)
    told = "" if score is None else f" ({score.label}: {score.value:.2f})"
    return (
        f"made by {artefact.name}: of the shipped generators the one that is least told from "
        f"Geant4{told}; --model takes another"
    )
