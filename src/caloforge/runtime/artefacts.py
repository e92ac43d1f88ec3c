"""Finding and loading artefacts."""

from __future__ import annotations

import json
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from caloforge.detector import Detector, detector_from_json
from caloforge.errors import ArtefactError, ParticleError
from caloforge.particles import particle_name
from caloforge.runtime.card import CARD, Card, Score, read_content
from caloforge.runtime.generator import Generator
from caloforge.runtime.kinds import find_kind

__all__ = [
    "HEADLINES",
    "Quality",
    "artefact_names",
    "best_artefact",
    "find_artefact",
    "is_shipped",
    "load",
    "load_card",
    "verdict",
]

HEADLINES = ("headline_auc", "trees_auc")
"""What the judge's verdict is called on cards, the strongest first: the smaller, the better."""


def artefact_names() -> list[str]:
    """Names of the artefacts that come with caloforge."""
    return sorted(file.parent.name for file in _zoo().glob(f"*/{CARD}"))


def is_shipped(folder: Path) -> bool:
    """Whether an artefact is one that comes with caloforge."""
    return folder.parent == _zoo()


def find_artefact(model: str | Path, particle: str | int | None = None) -> Path:
    """Where an artefact lies.

    Of cards it looks at names, systems and particles alone, and at no other file.

    Args:
        model: Path of an artefact, name of a shipped one (``"fastcalosim-eplus"``), or name of a
            system (``"fastcalosim"``), of which the particle then chooses one.
        particle: The particle that it must be for; None for any.

    Returns:
        The folder.

    Raises:
        ArtefactError: There is no such artefact, or several.
        ParticleError: It is not for that particle.
    """
    wanted = None if particle is None else particle_name(particle)
    cards = _candidates(model)
    if wanted is None:
        if len(cards) > 1:
            msg = f"model: {str(model)!r} is there for several particles; name the particle"
            raise ArtefactError(msg)
        return next(iter(cards))
    particles = {folder: _particles(folder, card) for folder, card in cards.items()}
    fitting = [folder for folder, names in particles.items() if wanted in names]
    if not fitting:
        known = sorted({name for names in particles.values() for name in names})
        msg = (
            f"particle: there is no {str(model)!r} for {wanted}, only for {', '.join(known)}; ask "
            f"for one of these by name, or train your own"
        )
        raise ParticleError(msg)
    if len(fitting) > 1:
        names = ", ".join(folder.name for folder in fitting)
        msg = f"model: {str(model)!r} is there several times for {wanted}: {names}; name one"
        raise ArtefactError(msg)
    return fitting[0]


Quality = Literal["best", "fast"]
"""What counts among shipped artefacts: the verdict alone, or time first."""

_FAST = 0.5  # of the showers per second of the quickest


def best_artefact(
    particle: str | int, detector: Detector | None = None, quality: Quality = "best"
) -> Path:
    """The shipped artefact that Geant4 is told from least, by what the cards say.

    Args:
        particle: What the showers are of.
        detector: What they are read out in; None for the artefact's own.
        quality: ``"best"`` of all, or of those that are ``"fast"``: make at least half as many
            showers a second as the quickest.

    Returns:
        The folder.

    Raises:
        ParticleError: There is none for that particle.
    """
    wanted = particle_name(particle)
    cards = {_zoo() / name: read_content(_zoo() / name) for name in artefact_names()}
    fitting = {folder: card for folder, card in cards.items() if wanted in card["particles"]}
    if not fitting:
        known = sorted({name for card in cards.values() for name in card["particles"]})
        msg = (
            f"particle: there is no generator for {wanted}, only for {', '.join(known)}; ask for "
            "one of these by name, or train your own"
        )
        raise ParticleError(msg)
    if detector is not None:
        fitting = {
            folder: card for folder, card in fitting.items() if _fills(folder, card, detector)
        } or fitting
    if quality == "fast":
        least = _FAST * max(_speed(card) for card in fitting.values())
        fitting = {folder: card for folder, card in fitting.items() if _speed(card) >= least}
    return min(fitting, key=lambda folder: _rank(folder, fitting[folder], wanted))


def verdict(artefact: Path, particle: str | int) -> Score | None:
    """What the judge says of an artefact, on its card; None where it was not judged.

    Args:
        artefact: Its folder.
        particle: What the showers are of.
    """
    return _verdict(read_content(artefact), particle_name(particle))


def _verdict(card: dict[str, Any], particle: str) -> Score | None:
    scores = [Score.model_validate(score) for score in card["scores"]]
    for name in HEADLINES:
        for score in scores:
            if score.name == name and score.particle in {None, particle}:
                return score
    return None


def _speed(card: dict[str, Any]) -> float:
    return float(card["speed"].get("showers_per_second", 0.0))


def _rank(folder: Path, card: dict[str, Any], particle: str) -> tuple[int, float, str]:
    """The strongest verdict counts first: another test's number is no match for it."""
    score = _verdict(card, particle)
    if score is None:
        return len(HEADLINES), 0.0, folder.name
    return HEADLINES.index(score.name), score.value, folder.name


def _fills(folder: Path, card: dict[str, Any], detector: Detector) -> bool:
    """Whether a generator has showers of Geant4 to compare with in a readout, or is made for it."""
    own = detector_from_json(json.dumps(card["detector"]), "detector")
    return own.same_readout(detector) or any(folder.glob(f"reference*-{detector.name}.json"))


def load_card(artefact: str | Path) -> Card:
    """The card of an artefact, given its name or folder; its other files are not looked at.

    Raises:
        ArtefactError: There is no such artefact, or its card is wrong.
    """
    path = Path(artefact)
    if not (path / CARD).is_file() and str(artefact) in artefact_names():
        path = _zoo() / str(artefact)
    return Card.read(path)


def load(model: str | Path, particle: str | int | None = None, *, threads: int = 0) -> Generator:
    """Load a generator.

    Args:
        model: Name of an artefact or system, or a folder; see :func:`find_artefact`.
        particle: The particle that it must be for; where it is for several, the one that showers
            are of.
        threads: Threads that a network may use; 0 for as many as there are cores.

    Raises:
        ArtefactError: There is no such artefact, or its files do not fit its card.
        ParticleError: It is not for that particle.

    Examples:
        >>> load("fastcalosim-eplus").sample([10.0, 50.0], seed=1)
        Showers(2 e+, 10-50 GeV, 'calogan')
    """
    folder = find_artefact(model, particle)
    card = Card.read(folder)
    try:
        kind = find_kind(card.runtime)
    except ArtefactError as error:
        msg = f"artefact {folder}: {CARD}: {error}"
        raise ArtefactError(msg) from None
    card.check_files(folder)
    for file in kind.needs:
        if file not in card.files:  # what it does not name has no hash to check it against
            msg = f"artefact {folder}: its card does not name {file} among its files"
            raise ArtefactError(msg)
    return kind(card, folder, particle=particle or "", threads=threads)


def _candidates(model: str | Path) -> dict[Path, dict[str, Any] | None]:
    """The artefacts that a model may be, one or all of a system, with their cards if it read them.

    Raises:
        ArtefactError: There are none.
    """
    path, shipped = Path(model), artefact_names()
    if (path / CARD).is_file():
        return {path: None}
    if str(model) in shipped:
        return {_zoo() / str(model): None}
    cards = {name: read_content(_zoo() / name) for name in shipped}
    names = [name for name, card in cards.items() if card.get("system") == str(model)]
    if not names:
        known = sorted({*cards, *(str(card.get("system")) for card in cards.values())})
        near = get_close_matches(str(model), known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"shipped are {', '.join(known)}"
        msg = f"model: {str(model)!r} is neither a shipped artefact nor a folder with one; {hint}"
        raise ArtefactError(msg)
    return {_zoo() / name: cards[name] for name in names}


def _particles(folder: Path, card: dict[str, Any] | None) -> list[str]:
    """The particles of an artefact, its card otherwise unchecked.

    Raises:
        ArtefactError: The card is missing or names none.
    """
    names = (card or read_content(folder)).get("particles")
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        msg = f"artefact {folder}: {CARD}: particles: must be a list of names"
        raise ArtefactError(msg)
    return [particle_name(name) for name in names]


def _zoo() -> Path:
    return Path(str(resources.files("caloforge.zoo")))
