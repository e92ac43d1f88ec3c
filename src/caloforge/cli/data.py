"""``caloforge data``: files of showers."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.table import Table

from caloforge.cli.console import Json, Output, Overwrite, Quiet, Seed, bar, show
from caloforge.cli.numbers import whole
from caloforge.showers import FileReport, FormatName

__all__ = ["data"]

data = App(
    name="data",
    help="Look into files of showers, convert and split them.",
    help_epilogue="**Example:** caloforge data info showers.h5",
)
Source = Annotated[str, Parameter(help="File of showers.")]
Readout = Annotated[
    str | None, Parameter(help="What the showers are recorded in, where the file does not say.")
]


@data.command(help_epilogue="**Example:** caloforge data info showers.h5 --json")
def info(
    file: Source, *, detector: Readout = None, quiet: Quiet = False, json: Json = False
) -> None:
    """Tell what a file holds, and what is wrong with it."""
    from caloforge.showers import inspect_file, open_showers

    with open_showers(file, detector) as opened:
        count = len(opened)
    with bar("looking", count, quiet=quiet or json) as progress:
        report = inspect_file(file, detector=detector, progress=progress)
    show(report.to_dict(), _table(report), as_json=json, quiet=quiet)


@data.command(
    help_epilogue=(
        "**Example:** caloforge data convert eplus-voxels.h5 --detector calogan -o eplus.h5"
    )
)
def convert(
    file: Source,
    *,
    output: Output,
    detector: Annotated[
        str | None, Parameter(help="Another readout: a shipped detector or a file.")
    ] = None,
    source_detector: Readout = None,
    format: Annotated[  # noqa: A002
        FormatName | None, Parameter(help="Format of the new file.")
    ] = None,
    points: Annotated[
        int, Parameter(converter=whole, help="Points that stand for the area of a cell.")
    ] = 400,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Convert to another format or readout: each cell's energy is spread evenly over its area.

    From voxels to cells energy is conserved; from coarse cells to fine voxels detail that was not
    recorded is not recovered.
    """
    from caloforge.detector import load_detector
    from caloforge.showers import convert_file, open_showers

    with open_showers(file, source_detector) as opened:
        count = len(opened)
    with bar("converting", count, quiet=quiet or json) as progress:
        path = convert_file(
            file,
            output,
            detector=None if detector is None else load_detector(detector),
            source_detector=source_detector,
            format=format,
            points=points,
            overwrite=overwrite,
            progress=progress,
        )
    result = {"file": str(path), "showers": count}
    show(result, f"{path}: {count:,} showers", as_json=json, quiet=quiet)


@data.command(help_epilogue="**Example:** caloforge data split geant4.h5 -o data.h5 --seed 1")
def split(
    file: Source,
    *,
    output: Output,
    fractions: Annotated[
        tuple[float, float, float], Parameter(help="Shares of train, validation and test rows.")
    ] = (0.8, 0.1, 0.1),
    seed: Seed = 0,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Say of each row whether it is for training, validation or testing, once and for all."""
    from caloforge.showers import split_file

    counts = split_file(file, output, fractions=fractions, seed=seed, overwrite=overwrite)
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
    from caloforge.atomic import check_new, replacing
    from caloforge.showers import open_showers
    from caloforge.showers.examples import example_file

    source = example_file(particle)
    check_new(Path(output), overwrite=overwrite)
    with replacing(Path(output)) as beside:
        shutil.copyfile(source, beside)
    with open_showers(output) as file:
        count, name = len(file), file.particle
    text = f"{output}: {count:,} Geant4 showers of {name}, all test rows"
    show({"file": output, "showers": count}, text, as_json=json, quiet=quiet)


def _table(report: FileReport) -> Table:
    table = Table(title=report.path, show_header=False, title_justify="left", box=None)
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
