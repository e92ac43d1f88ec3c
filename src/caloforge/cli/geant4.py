"""``caloforge geant4``."""

from __future__ import annotations

import time
from typing import Annotated

from cyclopts import App, Parameter
from rich.prompt import Confirm

from caloforge.atomic import check_different
from caloforge.cli.console import (
    Json,
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
from caloforge.fullsim.physics import EmPhysics, HadronicPhysics
from caloforge.showers import FormatName

__all__ = ["geant4"]

geant4 = App(
    name="geant4",
    help_epilogue=(
        "**Examples:**\n\n"
        "- caloforge geant4 --particle gamma --energy 10 -n 20 --seed 1 -o g.h5\n"
        "- caloforge geant4 --detector my.toml --particle e- --energy log:1:100 -n 1000 -o e.h5\n"
        "- caloforge geant4 --particle pi+ --energy 1:100 -n 500 --readout calogan "
        "--readout lar-voxels -o pi.h5\n"
        "- caloforge geant4 --download-data"
    ),
)


@geant4.default
def _geant4(
    *,
    particle: Annotated[
        str | None, Parameter(help="PDG name or identifier: e+, gamma, pi+, 211.")
    ] = None,
    energy: Annotated[
        str | None, Parameter(help="GeV: 50 | 1,2,4 | 1:100 (uniform) | log:1:1000 | file:PATH.")
    ] = None,
    count: Annotated[
        int | None,
        Parameter(name=["--count", "-n"], converter=whole, help="Number of showers."),
    ] = None,
    output: Annotated[str | None, Parameter(name=["--output", "-o"], help="File to make.")] = None,
    seed: Seed = 0,
    detector: Annotated[
        str, Parameter(help="What the particles fly through: a shipped detector or a file.")
    ] = "calogan",
    readout: Annotated[
        list[str] | None,
        Parameter(
            negative="",
            help="What is recorded; may be given again for more. Default: the detector's.",
        ),
    ] = None,
    format: Annotated[  # noqa: A002
        FormatName | None,
        Parameter(help="Format of the files; default: the usual of each readout."),
    ] = None,
    physics_list: Annotated[HadronicPhysics, Parameter(help="Hadronic physics.")] = "FTFP_BERT",
    em: Annotated[EmPhysics, Parameter(help="Electromagnetic physics.")] = "standard",
    fast_em: Annotated[
        bool, Parameter(negative="", help="Short for --em option1: longer steps, faster.")
    ] = False,
    cut: Annotated[float, Parameter(help="Production cut, mm.")] = 0.7,
    spread: Spread = 0.0,
    theta: Theta = "0",
    phi: Phi = "0",
    workers: Annotated[
        int | None,
        Parameter(converter=whole, help="Processes; default: as many as there are cores."),
    ] = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
    download_data: Annotated[
        bool, Parameter(negative="", help="Get the data tables of Geant4; shows the size and asks.")
    ] = False,
    yes: Annotated[bool, Parameter(negative="", help="Do not ask.")] = False,
) -> None:
    """Simulate showers with Geant4."""
    from caloforge.detector import load_detector
    from caloforge.fullsim import Beam, PhysicsSettings, simulate

    if download_data:
        _download(yes=yes, quiet=quiet or json)
        return
    if particle is None or energy is None or count is None or output is None:
        given = (particle, energy, count, output)
        names = ("--particle", "--energy", "-n", "--output")
        missing = [name for name, value in zip(names, given, strict=True) if value is None]
        msg = f"{', '.join(missing)} must be given (caloforge geant4 --help shows examples)"
        raise CaloforgeError(msg)
    if fast_em and em != "standard":
        msg = f"--fast-em is short for --em option1 and cannot go with --em {em}"
        raise CaloforgeError(msg)
    if energy.strip().startswith("file:"):
        check_different(output=output, energy=energy.strip().removeprefix("file:"))
    start = time.perf_counter()
    with bar(f"{particle} in Geant4", count, quiet=quiet or json) as progress:
        paths = simulate(
            output,
            detector=load_detector(detector, particle),
            particle=particle,
            energy=energy,
            count=count,
            seed=seed,
            readouts=[load_detector(name, particle) for name in readout or ()],
            physics=PhysicsSettings("option1" if fast_em else em, physics_list, cut),
            beam=Beam.parse(spread, theta, phi),
            format=format,
            workers=available_cores() if workers is None else workers,
            resume=resume,
            overwrite=overwrite,
            progress=progress,
        )
    seconds = time.perf_counter() - start
    names_made = ", ".join(map(str, paths))
    show(
        {"files": [str(path) for path in paths], "showers": count, "seconds": seconds},
        f"{names_made}: {count:,} showers in {seconds:.1f} s ({count / seconds:.2g} per second)",
        as_json=json,
        quiet=quiet,
    )


def _download(*, yes: bool, quiet: bool) -> None:
    from caloforge import fullsim

    folder = fullsim.data_directory()
    missing = fullsim.missing_datasets(folder)
    if not missing:
        show({}, f"{folder}: has all data tables of Geant4", as_json=False, quiet=quiet)
        return
    size = fullsim.download_size(missing)
    question = f"Download {size / 1e6:,.0f} MB of Geant4 data tables to {folder}?"
    try:
        agreed = yes or Confirm.ask(question, default=False)
    except EOFError:
        agreed = False
    if not agreed:
        msg = "nothing was downloaded (--yes agrees without being asked)"
        raise CaloforgeError(msg)
    with bar("data tables", len(missing), quiet=quiet, unit="sets") as progress:
        fullsim.download_data(folder, missing, lambda data: progress(missing.index(data)))
        progress(len(missing))
    show({}, f"{folder}: has all data tables of Geant4 now", as_json=False, quiet=quiet)
