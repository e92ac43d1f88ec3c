"""``caloforge benchmark``."""

from __future__ import annotations

import json as json_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter
from rich.console import Group
from rich.table import Table

from caloforge.atomic import check_new, check_suffix, write_text
from caloforge.cli.console import Json, Overwrite, Quiet, Seed, bar, show
from caloforge.cli.numbers import whole

if TYPE_CHECKING:
    from caloforge.speed.benchmark import Benchmark

__all__ = ["benchmark"]

benchmark = App(
    name="benchmark",
    help_epilogue=(
        "**Examples:**\n\n"
        "- caloforge benchmark fastcalosim --particle e+\n"
        "- caloforge benchmark fastcalosim-eplus my-model --geant4 -o benchmark.json\n"
        "- caloforge benchmark my-model --energy 50 --batch 1 --batch 100 --json"
    ),
)


@benchmark.default
def _benchmark(
    models: Annotated[
        list[str],
        Parameter(name="MODEL", negative="", help="Systems, artefacts or folders with one."),
    ],
    /,
    *,
    particle: Annotated[
        str | None, Parameter(help="PDG name or identifier; chooses the artefact of a system.")
    ] = None,
    energy: Annotated[
        str | None,
        Parameter(
            help="GeV: 50 | 1,2,4 | 1:100 (uniform) | log:1:1000; default: the models' range."
        ),
    ] = None,
    batch: Annotated[
        list[int] | None,
        Parameter(
            negative="",
            converter=whole,
            help="Showers made together; may be given again. Default: 1 to 10000.",
        ),
    ] = None,
    threads: Annotated[
        list[int] | None,
        Parameter(
            negative="",
            converter=whole,
            help="Threads of networks; may be given again. Default: 1 and 2.",
        ),
    ] = None,
    budget: Annotated[
        float, Parameter(help="Seconds for each batch, besides three repeats.")
    ] = 5.0,
    geant4: Annotated[
        bool | None, Parameter(help="Time Geant4, too; default: where its data tables are there.")
    ] = None,
    geant4_showers: Annotated[
        int, Parameter(converter=whole, help="Showers of Geant4 in each repeat.")
    ] = 10,
    output: Annotated[
        str | None, Parameter(name=["--output", "-o"], help="JSON file to make.")
    ] = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Time generators, and Geant4 beside them on the same machine."""
    from caloforge.speed.benchmark import BATCHES, THREADS
    from caloforge.speed.benchmark import benchmark as time_models

    if output is not None:
        check_suffix(Path(output), (".json",))
        check_new(Path(output), overwrite=overwrite)  # before the work, not after it
    with bar("timing", len(models) + 1, quiet=quiet or json, unit="models") as progress:
        result = time_models(
            models,
            particle=particle,
            energy=energy,
            batches=batch or BATCHES,
            threads=threads or THREADS,
            budget=budget,
            geant4=geant4,
            geant4_showers=geant4_showers,
            seed=seed,
            progress=progress,
        )
    found = result.to_dict()
    if output is not None:
        write_text(Path(output), json_.dumps(found, indent=1, allow_nan=False) + "\n")
    show(found, _view(result), as_json=json, quiet=quiet)


def _view(result: Benchmark) -> Group:
    first, *rows = result.table()
    title = f"{result.particle}, {result.energy} GeV, {result.machine['processor']}"
    table = Table(title=title, title_justify="left", box=None)
    for column in first:
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    without = f"Geant4 was not timed: {result.geant4_problem}" if result.geant4_problem else ""
    return Group(table, *([without] if without else []))
