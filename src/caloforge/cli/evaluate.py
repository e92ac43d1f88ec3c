"""``caloforge evaluate`` and ``caloforge compare``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.table import Table
from rich.text import Text

from caloforge.cli.console import Json, Overwrite, Quiet, Seed, bar, show
from caloforge.cli.numbers import whole
from caloforge.errors import CaloforgeError
from caloforge.evaluation.ranking import Cell
from caloforge.provenance import command_line
from caloforge.showers import Split

__all__ = ["compare", "evaluate"]

evaluate = App(
    name="evaluate",
    help_epilogue=(
        "**Examples:**\n\n"
        "- caloforge evaluate --reference geant4.h5 --showers model.h5 --quick -o evaluation\n"
        "- caloforge evaluate --reference geant4.h5 --showers a.h5 --showers b.h5 -o evaluation\n"
        "- caloforge evaluate --transfer --reference eplus.h5 --reference gamma.h5 "
        "--reference piplus.h5 --showers e.h5 --showers g.h5 --showers pi.h5 -o transfer"
    ),
)
compare = App(
    name="compare",
    help_epilogue="**Example:** caloforge compare evaluation-a evaluation-b -o leaderboard.md",
)


@evaluate.default
def _evaluate(
    *,
    reference: Annotated[
        list[str],
        Parameter(
            negative="",
            help="Geant4 showers; of a file that is split, the test rows. Several files are one "
            "sample; with --transfer one for each particle.",
        ),
    ],
    showers: Annotated[
        list[str], Parameter(negative="", help="Showers to judge; may be given again for more.")
    ],
    output: Annotated[str, Parameter(name=["--output", "-o"], help="Folder for the report.")],
    quick: Annotated[
        bool, Parameter(negative="", help="Small classifiers: a minute instead of an hour.")
    ] = False,
    rows: Annotated[
        Split | None, Parameter(help="Which rows of a split file are the reference.")
    ] = None,
    detector: Annotated[
        str | None, Parameter(help="What showers are recorded in, where their file does not say.")
    ] = None,
    particle: Annotated[
        str | None, Parameter(help="PDG name of what they are of, where their file does not say.")
    ] = None,
    match_energies: Annotated[
        bool, Parameter(negative="", help="Compare showers of equal energy, leave out the rest.")
    ] = False,
    model: Annotated[
        list[str] | None,
        Parameter(negative="", help="Also ask this generator for single energies."),
    ] = None,
    transfer: Annotated[
        bool,
        Parameter(
            negative="", help="Instead: do classifiers of particles carry over to Geant4 and back?"
        ),
    ] = False,
    repeats: Annotated[int, Parameter(converter=whole, help="Trainings of each classifier.")] = 1,
    device: Annotated[str, Parameter(help="Where classifiers are trained: cpu, cuda.")] = "cpu",
    seed: Seed = 1,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Judge showers against Geant4, beside Geant4 against itself."""
    from caloforge import evaluation as judge
    from caloforge.runtime import load
    from caloforge.web.report import write_report

    folder = judge.prepare_folder(output, overwrite=overwrite)
    if transfer:
        others = {
            "--rows": rows is not None,
            "--particle": particle is not None,
            "--match-energies": match_energies,
            "--model": bool(model),
            "--repeats": repeats != 1,
        }
        if unused := [name for name, given in others.items() if given]:
            msg = f"{unused[0]}: got it beside --transfer, which has no use for it; leave it out"
            raise CaloforgeError(msg)
        _transfer(folder, reference, showers, quick, device, seed, detector, quiet=quiet, json=json)
        return
    truth = judge.load_reference(
        reference, seed=seed, rows=rows, detector=detector, particle=particle
    )
    samples = [
        judge.load_sample(path, seed=seed, detector=detector, particle=particle) for path in showers
    ]
    name = truth.sample.showers.particle
    steps = len(judge.SECTIONS) * (1 + len(showers))
    with bar("evaluating", steps, quiet=quiet or json, unit="steps") as progress:
        found, shown = judge.evaluate(
            truth,
            samples,
            seed=seed,
            quick=quick,
            match=match_energies,
            repeats=repeats,
            device=device,
            models=[load(item, name or None) for item in model or ()],
            command=command_line(*sys.argv[1:]),
            progress=lambda done, _what: progress(done),
        )
        progress(steps)
        page = write_report(folder, found, shown, truth.sample.showers.detector)
    show(
        found.model_dump(mode="json"),
        _table(judge.leaderboard([found]), f"{page}: open it in a browser"),
        as_json=json,
        quiet=quiet,
    )


def _transfer(
    folder: Path,
    reference: list[str],
    showers: list[str],
    quick: bool,
    device: str,
    seed: int,
    detector: str | None,
    *,
    quiet: bool,
    json: bool,
) -> None:
    """Table II of the CaloGAN paper, into ``transfer.json``."""
    from caloforge.atomic import write_text
    from caloforge.evaluation import load_reference, load_sample
    from caloforge.evaluation.classifiers.transfer import PAIRS, TransferProtocol, transfer_test
    from caloforge.evaluation.results import TRANSFER

    geant4 = [
        load_reference(path, seed=seed, detector=detector).sample.showers for path in reference
    ]
    generated = [load_sample(path, seed=seed, detector=detector).showers for path in showers]
    trials = 3 if quick else 10
    protocol = TransferProtocol()
    with bar(
        "transfer", 2 * trials * len(PAIRS), quiet=quiet or json, unit="trainings"
    ) as progress:
        found = transfer_test(
            {item.particle: item for item in geant4},
            {item.particle: item for item in generated},
            protocol.quick() if quick else protocol,
            seed=seed,
            trials=trials,
            device=device,
            progress=progress,
        )
    folder.mkdir(exist_ok=True)
    write_text(folder / TRANSFER, found.model_dump_json(indent=1) + "\n")
    table = Table(box=None)
    for column in ("particles", "trained on", "tested on", "accuracy"):
        table.add_column(column)
    for cell in found.cells:
        accuracy = f"{cell.accuracy:.1%} ± {cell.deviation:.1%}"
        table.add_row(f"{cell.first}/{cell.second}", cell.train_on, cell.test_on, accuracy)
    show(found.model_dump(mode="json"), table, as_json=json, quiet=quiet)


@compare.default
def _compare(
    folders: Annotated[list[str], Parameter(negative="", help="Folders that evaluations made.")],
    *,
    output: Annotated[
        str | None, Parameter(name=["--output", "-o"], help="Also write the table as Markdown.")
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """One table over many evaluations: the best in bold, the floor as a row."""
    from caloforge.atomic import check_new, check_suffix, write_text
    from caloforge.evaluation import leaderboard, markdown, read_evaluation
    from caloforge.evaluation.ranking import ranked_numbers

    if output is not None:
        check_suffix(Path(output), (".md",))
        check_new(Path(output), overwrite=overwrite)
    found = [read_evaluation(folder) for folder in folders]
    rows = leaderboard(found)
    if output is not None:
        write_text(Path(output), markdown(rows))
    show({"samples": ranked_numbers(found)}, _table(rows), as_json=json, quiet=quiet)


def _table(rows: list[list[Cell]], caption: str = "") -> Table:
    """A column per sample: there are more numbers than samples."""
    table = Table(box=None, caption=caption or None, caption_justify="left")
    for i, cell in enumerate(column[0] for column in rows):
        table.add_column(cell.text, justify="left" if i == 0 else "right", no_wrap=True)
    for line in list(zip(*rows, strict=True))[1:]:
        table.add_row(
            *(
                Text(f"{cell.text} {cell.error}".strip(), "bold" if cell.best else "")
                for cell in line
            )
        )
    return table
