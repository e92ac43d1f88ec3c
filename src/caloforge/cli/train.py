"""``caloforge train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from caloforge.cli.console import Json, Overwrite, Quiet, Seed, bar, show
from caloforge.cli.numbers import whole
from caloforge.models.systems import SYSTEMS

__all__ = ["train"]

train = App(
    name="train",
    help="Make a generator of your own from Geant4 showers.",
    help_epilogue=(
        "**Example:** caloforge train fastcalosim --particle e+ --data eplus-voxels.h5 -o my-model"
    ),
)

for _name, (_, _line) in SYSTEMS.items():
    # By the path of the function: importing it imports PyTorch.
    train.command(
        f"caloforge.cli.train_network:{_name.replace('-', '_')}",
        name=_name,
        help=_line,
        help_epilogue=(
            f"**Example:** caloforge train {_name} --particle e+ --data eplus.h5 --preset cpu "
            "--budget 40m -o my-run"
        ),
    )


@train.command(
    help_epilogue=(
        "**Example:** caloforge train fastcalosim --particle e+ --data eplus-voxels.h5 "
        "--cells eplus.h5 --energy-range 1:100 -o my-model"
    )
)
def fastcalosim(
    *,
    particle: Annotated[str, Parameter(help="PDG name or identifier.")],
    data: Annotated[
        str, Parameter(help="Geant4 showers in cylindrical voxels, split (caloforge data split).")
    ],
    output: Annotated[str, Parameter(name=["--output", "-o"], help="Folder to make.")],
    cells: Annotated[
        str | None,
        Parameter(help="The same showers in cells, row by row: what the model is to fill."),
    ] = None,
    energy_range: Annotated[
        str | None, Parameter(help="GeV, LOW:HIGH; default: that of the showers.")
    ] = None,
    seed: Seed = 1,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Fit a FastCaloSim parametrisation on the train rows, judge it on the test rows."""
    from caloforge.export import train_fastcalosim
    from caloforge.incident.spectrum import parse_range
    from caloforge.models.fastcalosim.sampling import FastCaloSimConfig
    from caloforge.particles import particle_name
    from caloforge.runtime import load_card

    config = FastCaloSimConfig.preset(particle_name(particle))
    if energy_range is not None:
        config = config.model_copy(update={"energy_range": parse_range(energy_range)})
    with bar("energies", config.n_nodes, quiet=quiet or json, unit="nodes") as progress:
        path = train_fastcalosim(
            output,
            particle=particle,
            data=data,
            cells=cells,
            config=config,
            seed=seed,
            overwrite=overwrite,
            progress=progress,
        )
        progress(config.n_nodes)
    card = load_card(path)
    text = f"{path}: fitted on {card.training[0].rows:,} showers in {card.wall_time:.0f} s"
    show({"artefact": str(path)}, text, as_json=json, quiet=quiet)


@train.command(
    help_epilogue=(
        "**Example:** caloforge train library --particle e+ --data eplus.h5 --energy-range 1:100 "
        "-o my-library"
    )
)
def library(
    *,
    particle: Annotated[
        list[str],
        Parameter(help="PDG name or identifier; one per file, or one for all.", negative=""),
    ],
    data: Annotated[
        list[Path],
        Parameter(
            help="Geant4 showers, split (caloforge data split); may be given again.", negative=""
        ),
    ],
    output: Annotated[str, Parameter(name=["--output", "-o"], help="Folder to make.")],
    energy_range: Annotated[
        str | None, Parameter(help="GeV, LOW:HIGH; default: that of the showers.")
    ] = None,
    nearest: Annotated[
        int, Parameter(converter=whole, help="Showers that are near an energy, at least.")
    ] = 10,
    seed: Seed = 1,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Keep the train rows as a library: showers of Geant4 that come out again, scaled, mirrored."""
    from caloforge.explain import check_between
    from caloforge.export import train_library
    from caloforge.incident.spectrum import parse_range
    from caloforge.models.library import LibraryConfig
    from caloforge.particles import files_by_particle
    from caloforge.runtime import load_card

    check_between("nearest", nearest, 1, 1_000_000)
    path = train_library(
        output,
        files_by_particle(particle, data),
        energy_range=None if energy_range is None else parse_range(energy_range),
        config=LibraryConfig(nearest=nearest),
        seed=seed,
        overwrite=overwrite,
    )
    kept = sum(item.rows for item in load_card(path).training)
    show({"artefact": str(path)}, f"{path}: keeps {kept:,} showers", as_json=json, quiet=quiet)
