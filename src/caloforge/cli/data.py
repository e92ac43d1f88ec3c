"""``caloforge data``: files of showers."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Group
from rich.table import Table
from rich.text import Text

from caloforge.cli.console import Json, Output, Overwrite, Quiet, Seed, bar, show
from caloforge.showers import Conversion, FileReport, FormatName
from caloforge.showers.cleaning import Kind

__all__ = ["data"]

data = App(
    name="data",
    help="Look into files of showers, convert, join and split them.",
    help_epilogue="**Example:** caloforge data info showers.h5",
)
Files = Annotated[
    list[str],
    Parameter(
        name="FILE",
        negative="",
        help="File of showers, or several that hold one sample: all by name, or as 'part_*.h5'.",
    ),
]
Readout = Annotated[
    str | None, Parameter(help="What the showers are recorded in, where the file does not say.")
]
Particle = Annotated[
    str | None, Parameter(help="PDG name of what they are of, where the file does not say.")
]


@data.command(help_epilogue="**Example:** caloforge data info showers.h5 --json")
def info(
    file: Files,
    /,
    *,
    detector: Readout = None,
    particle: Particle = None,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Tell what a file holds, and what is wrong with it."""
    from caloforge.showers import inspect_file, open_showers

    with open_showers(file, detector, particle) as opened:
        count = len(opened)
    with bar("looking", count, quiet=quiet or json) as progress:
        report = inspect_file(file, detector=detector, particle=particle, progress=progress)
    view = Group(Text(", ".join(file), "italic"), _table(report))
    show(report.to_dict(), view, as_json=json, quiet=quiet)


@data.command(
    help_epilogue=(
        "**Examples:**\n\n"
        "- caloforge data convert eplus-voxels.h5 --detector calogan -o eplus.h5\n"
        "- caloforge data convert denoised.h5 --clip --drop empty -o clean.h5\n"
        "- caloforge data convert dataset_1_pions_1.h5 --particle pi+ -o pions.h5"
    )
)
def convert(
    file: Files,
    /,
    *,
    output: Output,
    detector: Annotated[
        str | None, Parameter(help="Another readout: a shipped detector or a file.")
    ] = None,
    source_detector: Readout = None,
    particle: Particle = None,
    clip: Annotated[
        bool, Parameter(negative="", help="Set negative deposits to zero (noise was subtracted).")
    ] = False,
    threshold: Annotated[float, Parameter(help="Set deposits below this to zero, MeV.")] = 0.0,
    drop: Annotated[
        list[Kind] | None,
        Parameter(
            negative="", help="Leave out showers without a deposit, or with values that cannot be."
        ),
    ] = None,
    energy_range: Annotated[
        str | None, Parameter(help="Keep showers of these incident energies: LOW:HIGH, GeV.")
    ] = None,
    format: Annotated[  # noqa: A002
        FormatName | None, Parameter(help="Format of the new file.")
    ] = None,
    points: Annotated[int, Parameter(help="Points that stand for the area of a cell.")] = 400,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Convert to another format or readout: each cell's energy is spread evenly over its area.

    From voxels to cells energy is conserved; from coarse cells to fine voxels detail that was not
    recorded is not recovered. Readouts of different stacks of plates cannot be converted.
    """
    from caloforge.detector import load_detector
    from caloforge.incident.spectrum import parse_range
    from caloforge.showers import Cleaning, convert_file, open_showers

    cleaning = Cleaning(
        clip,
        threshold,
        tuple(drop or ()),
        None if energy_range is None else parse_range(energy_range),
    )
    with open_showers(file, source_detector, particle) as opened:
        count, known = len(opened), opened.particle
    with bar("converting", count, quiet=quiet or json) as progress:
        made = convert_file(
            file,
            output,
            detector=None if detector is None else load_detector(detector, known or None),
            source_detector=source_detector,
            particle=particle,
            cleaning=cleaning,
            format=format,
            points=points,
            overwrite=overwrite,
            progress=progress,
        )
    _show_conversion(made, as_json=json, quiet=quiet)


@data.command(
    help_epilogue="**Example:** caloforge data join dataset_2_1.h5 dataset_2_2.h5 -o dataset_2.h5"
)
def join(
    file: Files,
    /,
    *,
    output: Output,
    detector: Readout = None,
    particle: Particle = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Put several files of one sample together: all rows of the first, then of the second, ..."""
    from caloforge.showers import convert_file, open_showers

    with open_showers(file, detector, particle) as opened:
        count = len(opened)
    with bar("joining", count, quiet=quiet or json) as progress:
        made = convert_file(
            file,
            output,
            source_detector=detector,
            particle=particle,
            overwrite=overwrite,
            progress=progress,
        )
    _show_conversion(made, as_json=json, quiet=quiet)


@data.command(help_epilogue="**Example:** caloforge data split geant4.h5 -o data.h5 --seed 1")
def split(
    file: Files,
    /,
    *,
    output: Output,
    fractions: Annotated[
        tuple[float, float, float], Parameter(help="Shares of train, validation and test rows.")
    ] = (0.8, 0.1, 0.1),
    detector: Readout = None,
    particle: Particle = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Say of each row whether it is for training, validation or testing, once and for all."""
    from caloforge.showers import split_file

    counts = split_file(
        file,
        output,
        detector=detector,
        particle=particle,
        fractions=fractions,
        seed=seed,
        overwrite=overwrite,
    )
    text = ", ".join(f"{number:,} {name}" for name, number in counts.items())
    show({"file": output, "split": counts}, f"{output}: {text}", as_json=json, quiet=quiet)


@data.command(help_epilogue="**Example:** caloforge data example e+ -o geant4.h5")
def example(
    particle: Annotated[str, Parameter(help="PDG name or identifier: e+, gamma or pi+.")] = "e+",
    *,
    output: Output,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Write 1,000 Geant4 showers that come with caloforge, to try everything on."""
    from caloforge.atomic import SHOWERS, check_new, check_suffix, replacing
    from caloforge.showers import open_showers
    from caloforge.showers.examples import example_file

    source = example_file(particle)
    check_suffix(Path(output), SHOWERS)
    check_new(Path(output), overwrite=overwrite)
    with replacing(Path(output)) as beside:
        shutil.copyfile(source, beside)
    with open_showers(output) as file:
        count, name = len(file), file.particle
    text = f"{output}: {count:,} Geant4 showers of {name}"
    show({"file": output, "showers": count}, text, as_json=json, quiet=quiet)


def _show_conversion(made: Conversion, *, as_json: bool, quiet: bool) -> None:
    tally = made.tally
    lines = [f"{made.path}: {tally.kept:,} showers"]
    if tally.read > tally.kept:
        lines.append(f"{tally.read - tally.kept:,} showers were left out")
    if tally.cells:
        lines.append(f"{tally.cells:,} deposits were set to zero, {tally.energy:,.4g} MeV in all")
    if made.uncovered > _WORTH_SAYING:
        lines.append(
            f"{made.uncovered:.2%} of the energy lies at depths that the new readout does not "
            "cover, and is lost"
        )
    if made.beside > _WORTH_SAYING:
        lines.append(f"{made.beside:.2%} of the energy lies beside the new cells, in the overflow")
    result = {
        "file": str(made.path),
        "showers": tally.kept,
        "left_out": tally.read - tally.kept,
        "cleared_deposits": tally.cells,
        "cleared_energy": tally.energy,
        "uncovered_fraction": made.uncovered,
        "overflow_fraction": made.beside,
    }
    show(result, "\n".join(lines), as_json=as_json, quiet=quiet)


_WORTH_SAYING = 1e-4


@data.command(
    help_epilogue=(
        "**Examples:**\n\n"
        "- caloforge data page showers.h5 -o showers.html\n"
        "- caloforge data page vae.h5 geant4.h5 -o both.html"
    )
)
def page(
    file: Annotated[str, Parameter(name="FILE", help="File of showers.")],
    beside: Annotated[
        str | None,
        Parameter(name="BESIDE", help="Another file, of the same particle in the same detector."),
    ] = None,
    /,
    *,
    output: Annotated[
        str | None,
        Parameter(name=["--output", "-o"], help="Page to make; default: FILE with .html."),
    ] = None,
    detector: Readout = None,
    particle: Particle = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Write a page to look at: the showers of a file beside those of another, or beside Geant4."""
    from caloforge.atomic import PAGES, check_new, check_suffix
    from caloforge.showers import open_showers
    from caloforge.web.page import write_page

    path = Path(file).with_suffix(".html") if output is None else Path(output)
    check_suffix(path, PAGES)
    check_new(path, overwrite=overwrite)
    count = 0
    for name in (file, beside):
        if name is not None:
            with open_showers(name, detector, particle) as opened:
                count += len(opened)
    with bar("looking", count, quiet=quiet or json) as progress:
        write_page(
            path, file, beside=beside, detector=detector, particle=particle, progress=progress
        )
    result = {"page": str(path), "showers": count}
    show(result, f"{path}: open it in a browser", as_json=json, quiet=quiet)


def _table(report: FileReport) -> Table:
    table = Table(show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column()
    low, mean, high = report.energy
    average, q16, q50, q84 = report.response
    table.add_row("format", report.format)
    table.add_row("detector", report.detector)
    table.add_row("particle", report.particle or "not said")
    table.add_row("showers", f"{report.count:,}")
    for name, number in report.split.items():
        table.add_row("", f"{number:,} {name}")
    table.add_row("energy", f"{low:.4g} to {high:.4g} GeV, mean {mean:.4g} GeV")
    table.add_row("response", f"mean {average:.4f}, median {q50:.4f}, 68% in {q16:.4f}-{q84:.4f}")
    for i, layer in enumerate(report.layers):
        shape = " x ".join(map(str, layer.shape))
        text = (
            f"{shape} cells, {layer.fraction:.2%} of the energy, "
            f"{layer.occupancy:.1%} of the cells hit, up to {layer.maximum:,.4g} MeV"
        )
        table.add_row(f"layer {i}", text)
    if report.overflow:
        values = ", ".join(f"{value:.3g}" for value in report.overflow)
        table.add_row("overflow", f"{values} MeV per layer")
    for problem in report.problems or ("none found",):
        table.add_row("problems", problem)
    return table
