"""``caloforge models``: the artefacts that come with caloforge."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Group
from rich.table import Table

from caloforge.cli.console import Json, show
from caloforge.runtime.card import Card, Measurement
from caloforge.showers import Showers

__all__ = ["models"]

_COLUMNS = {
    "headline_auc": "AUC",
    "trees_auc": "AUC, trees",
    "fpd": "FPD x 1000",
    "separation_mean": "separation",
}
"""What the list shows of the judge's numbers."""

models = App(
    name="models",
    help="The generators that come with caloforge.",
    help_epilogue="**Example:** caloforge models show fastcalosim-eplus",
)


@models.command(name="list", help_epilogue="**Example:** caloforge models list")
def list_(*, json: Json = False) -> None:
    """List them."""
    from caloforge.runtime import artefact_names, load_card

    cards = [load_card(name) for name in artefact_names()]
    table = Table(box=None)
    for column in ("model", "E / GeV", "showers/s", *_COLUMNS.values()):
        table.add_column(column, no_wrap=True)
    for card in cards:
        low, high = card.energy_range
        speed = card.speed.get("showers_per_second")
        table.add_row(
            card.name,
            f"{low:g}-{high:g}",
            "" if speed is None else f"{speed:,.0f}",
            *(_number(card, name) for name in _COLUMNS),
        )
    show({"models": [card.model_dump(mode="json") for card in cards]}, table, as_json=json)


@models.command(name="show", help_epilogue="**Example:** caloforge models show fastcalosim-eplus")
def show_(
    name: Annotated[str, Parameter(help="Name or folder of an artefact.")], *, json: Json = False
) -> None:
    """Show the card of one: what it is, what it was made from, how good it is."""
    from caloforge.runtime import find_artefact, load_card

    card = load_card(find_artefact(name))
    show(card.model_dump(mode="json"), _view(card), as_json=json)


@models.command(help_epilogue="**Example:** caloforge models judge my-model --test-data eplus.h5")
def judge(
    artefact: Annotated[str, Parameter(help="Folder of an artefact; its card is written anew.")],
    *,
    test_data: Annotated[
        list[str],
        Parameter(
            negative="",
            help="Geant4 showers, split, of which the test rows are compared with: one file for "
            "each particle. Further ones, in other readouts, are for pages.",
        ),
    ],
    json: Json = False,
) -> None:
    """Measure an artefact anew, on the test rows of files that it was not made from."""
    from caloforge.export.measure import judge_again
    from caloforge.runtime import load_card
    from caloforge.showers import open_showers, read_part

    particles = load_card(artefact).particles
    own: list[Showers] = []
    others: list[Showers] = []
    for path in test_data:
        with open_showers(path) as file:
            particle = file.particle or particles[0]
        showers = read_part(path, "test", particle)
        known = {item.particle for item in own}
        (others if particle in known else own).append(showers)
    card = judge_again(artefact, own, references=others)
    show(card.model_dump(mode="json"), _view(card), as_json=json)


def _number(card: Card, name: str) -> str:
    found = [score for score in card.scores if score.name == name]
    return f"{found[0].value:.3g}" if found else ""


def _view(card: Card) -> Group:
    low, high = card.energy_range
    facts = Table(title=card.name, show_header=False, title_justify="left", box=None)
    facts.add_column(style="bold")
    facts.add_column()
    rows = [
        ("", card.description),
        ("system", f"{card.system}, version {card.version}"),
        ("particles", f"{', '.join(card.particles)}, {low:g} to {high:g} GeV"),
        ("conditions", ", ".join(item.name for item in card.conditions)),
        ("detector", str(card.detector.get("name", ""))),
        *(
            ("trained on", f"{item.rows:,} {item.split} rows of {item.file}")
            for item in card.training
        ),
        ("made by", f"{card.command} (seed {card.seed}, {card.wall_time:.0f} s, {card.machine})"),
        *((key.replace("_", " "), f"{value:,.4g}") for key, value in card.speed.items()),
        *(("limit", limit) for limit in card.limits),
        *(("reference", reference) for reference in card.references),
        ("licence", card.licence),
    ]
    for row in rows:
        facts.add_row(*row)
    numbers = Table(title="against Geant4 (test rows)", title_justify="left", box=None)
    for column in ("quantity", "GeV", "here", "Geant4", "difference", "allowed", ""):
        numbers.add_column(
            column, justify="left" if column in {"quantity", ""} else "right", no_wrap=True
        )
    for item in card.metrics:
        numbers.add_row(
            item.quantity.replace("layer_fraction_", "fraction "),
            "all" if item.energy is None else f"{item.energy:g}",
            f"{item.value:.4g}",
            f"{item.reference:.4g}",
            f"{item.value - item.reference:+.2g} ± {item.error:.1g}",
            "" if item.tolerance is None else f"{item.tolerance:.2g}",
            _verdict(item),
        )
    judged = Table(title="judged", title_justify="left", box=None)
    for column in ("number", "value", "showers of each"):
        judged.add_column(column, justify="left" if column == "number" else "right", no_wrap=True)
    for score in card.scores:
        error = "" if score.error is None else f" ± {score.error:.1g}"
        judged.add_row(score.label, f"{score.value:.4g}{error}", f"{score.showers:,}")
    return Group(facts, "", numbers, *(("", judged) if card.scores else ()))


def _verdict(item: Measurement) -> str:
    if item.tolerance is None:
        return ""
    excess = abs(item.value - item.reference) - item.tolerance
    if excess <= 0:
        return "met"
    return "open" if excess <= 2 * item.error else "missed"
