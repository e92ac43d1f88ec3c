"""Finding and loading artefacts."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import resources
from pathlib import Path

from caloforge.errors import ArtefactError, ParticleError
from caloforge.particles import particle_name
from caloforge.runtime.card import CARD, Card
from caloforge.runtime.generator import Generator

__all__ = ["DEFAULT_SYSTEM", "artefact_names", "find_artefact", "load", "load_card"]

DEFAULT_SYSTEM = "fastcalosim"
"""What makes the showers when the user does not choose: the best that is shipped."""


def artefact_names() -> list[str]:
    """Names of the artefacts that come with caloforge."""
    return sorted(file.parent.name for file in _zoo().glob(f"*/{CARD}"))


def find_artefact(model: str | Path, particle: str | int | None = None) -> Path:
    """Where an artefact lies.

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
    path = Path(model)
    folders = [path] if (path / CARD).is_file() else []
    if not folders:
        cards = {name: load_card(_zoo() / name) for name in artefact_names()}
        names = [name for name, card in cards.items() if str(model) in {name, card.system}]
        if not names:
            known = sorted({*cards, *(card.system for card in cards.values())})
            near = get_close_matches(str(model), known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"shipped are {', '.join(known)}"
            msg = (
                f"model: {str(model)!r} is neither a shipped artefact nor a folder with one; {hint}"
            )
            raise ArtefactError(msg)
        folders = [_zoo() / name for name in names]
    if wanted is None:
        if len(folders) > 1:
            msg = f"model: {str(model)!r} is there for several particles; name the particle"
            raise ArtefactError(msg)
        return folders[0]
    particles = {load_card(folder).particle: folder for folder in folders}
    if wanted not in particles:
        msg = (
            f"particle: there is no {str(model)!r} for {wanted}, only for "
            f"{', '.join(sorted(particles))}"
        )
        raise ParticleError(msg)
    return particles[wanted]


def load_card(artefact: str | Path) -> Card:
    """The card of an artefact, given its name or folder.

    Raises:
        ArtefactError: There is no such artefact, or its card or files are wrong.
    """
    path = Path(artefact)
    if not (path / CARD).is_file() and str(artefact) in artefact_names():
        path = _zoo() / str(artefact)
    return Card.read(path)


def load(model: str | Path, particle: str | int | None = None, *, threads: int = 0) -> Generator:
    """Load a generator.

    Args:
        model: Name of an artefact or system, or a folder; see :func:`find_artefact`.
        particle: The particle that it must be for.
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
    if card.runtime == "onnx":
        from caloforge.runtime.onnx import MODEL, OnnxGenerator

        _check_names(card, folder, MODEL)
        return OnnxGenerator(card, folder, threads=threads)
    from caloforge.runtime.parametric import PARAMETERS, ParametricGenerator

    _check_names(card, folder, PARAMETERS)
    return ParametricGenerator(card, folder)


def _check_names(card: Card, folder: Path, file: str) -> None:
    # What the card does not name has not been checked against a hash.
    if file not in card.files:
        msg = f"artefact {folder}: its card does not name {file} among its files"
        raise ArtefactError(msg)


def _zoo() -> Path:
    return Path(str(resources.files("caloforge.zoo")))
