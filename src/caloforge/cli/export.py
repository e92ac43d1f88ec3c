"""``caloforge export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from caloforge.cli.console import Json, Overwrite, Quiet, need_training, show
from caloforge.export.profiles import PROFILES

__all__ = ["export"]

export = App(
    name="export",
    help_epilogue=(
        "**Examples:**\n\n"
        "- caloforge export my-run -o my-model\n"
        "- caloforge export my-run -o my-model --profile lwtnn --test-data eplus.h5\n"
        "- caloforge export three-particles -o pions --particle pi+ --half"
    ),
)


@export.default
def _export(
    run: Annotated[str, Parameter(help="Folder of a training (caloforge train).")],
    *,
    output: Annotated[str, Parameter(name=["--output", "-o"], help="Folder to make.")],
    profile: Annotated[
        list[str] | None,
        Parameter(
            negative="",
            help="What another host loads, beside the ONNX file; may be given again. "
            + " ".join(f"{name}: {line}" for name, (_, line) in PROFILES.items() if name != "onnx"),
        ),
    ] = None,
    particle: Annotated[
        str | None, Parameter(help="PDG name or identifier; default: all of the run.")
    ] = None,
    half: Annotated[
        bool, Parameter(negative="", help="Store large weights in half precision: half the file.")
    ] = False,
    test_data: Annotated[
        str | None,
        Parameter(help="Geant4 showers to compare with on the card; default: those trained on."),
    ] = None,
    energy_range: Annotated[
        str | None, Parameter(help="GeV, LOW:HIGH; default: that of the showers.")
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Make a generator for everyone of the best epoch of a training; it needs no PyTorch."""
    need_training()
    from caloforge.export.run import export_run
    from caloforge.incident.spectrum import parse_range
    from caloforge.runtime import load_card

    deviation = export_run(
        run,
        output,
        particle=particle,
        profiles=profile or (),
        half=half,
        test_data=test_data,
        energy_range=None if energy_range is None else parse_range(energy_range),
        overwrite=overwrite,
    )
    card = load_card(output)
    size = sum(file.stat().st_size for file in Path(output).iterdir())
    text = (
        f"{output}: {card.description}, {size / 1e6:.2f} MB; deviates from PyTorch by at most "
        f"{deviation:.1g} of the largest deposit"
    )
    if not card.metrics:
        text += "\nits card compares with no Geant4 showers: name a file (--test-data)"
    result = {"artefact": output, "name": card.name, "deviation": deviation, "bytes": size}
    show(result, text, as_json=json, quiet=quiet)
