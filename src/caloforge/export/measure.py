"""What a card states of a generator that is measured: closure, the judge's headlines, speed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from caloforge.errors import ExportError, ShowersError
from caloforge.export.card import scores, speed, write_reference
from caloforge.export.closure import closure
from caloforge.export.folder import artefact_folder
from caloforge.provenance import file_sha256
from caloforge.runtime import load
from caloforge.runtime.card import CARD, Card, Measurement, Score
from caloforge.runtime.generator import Generator
from caloforge.showers import Showers

__all__ = ["inside", "judge_again", "measure"]


def measure(
    makers: Mapping[str, Generator], tests: Sequence[Showers], *, seed: int
) -> dict[str, Any]:
    """Measure a generator, on one thread's time and Geant4 showers that nothing was fitted on.

    Args:
        makers: The loaded artefact, by particle.
        tests: Geant4 showers of each particle that it is compared with, in its own readout.
        seed: Seed of its showers and of the judge.

    Returns:
        Fields of the card: ``speed``, ``metrics`` and ``scores``.
    """
    first = next(iter(makers.values()))
    metrics: list[Measurement] = []
    judged: list[Score] = []
    for test in tests:
        maker = makers[test.particle]
        low, high = maker.card.energy_range
        known = test[(test.energy >= low) & (test.energy <= high)]
        particle = test.particle if len(makers) > 1 else None
        found = (
            closure(maker, known, seed=seed),
            scores(maker, known, seed=seed),
        )
        metrics += (item.model_copy(update={"particle": particle}) for item in found[0])
        judged += (item.model_copy(update={"particle": particle}) for item in found[1])
    return {
        "speed": speed(first, seed),
        "metrics": tuple(metrics),
        "scores": tuple(judged),
    }


def judge_again(
    artefact: str | Path, tests: Sequence[Showers], *, references: Sequence[Showers] = ()
) -> Card:
    """Measure an artefact anew, and write what was found on its card: all else stays as it is.

    Args:
        artefact: Its folder.
        tests: Geant4 showers of each of its particles that nothing was fitted, chosen or tuned on,
            in its own readout.
        references: Further showers that pages compare with, in other readouts that it can fill.

    Returns:
        The new card.

    Raises:
        ExportError: There are no showers of one of its particles, or none at all.
        CaloforgeError: The folder is no artefact, the showers are in another readout, or the folder
            cannot be written.
    """
    folder = Path(artefact)
    card = Card.read(folder)
    missing = [name for name in card.particles if name not in {test.particle for test in tests}]
    if missing:
        msg = f"tests: has no showers of {missing[0]}, which {card.name} makes; give their file"
        raise ExportError(msg)
    with artefact_folder(folder, overwrite=True) as beside:
        for name in card.files:
            shutil.copy2(folder / name, beside / name)
        for showers in (*tests, *references):
            write_reference(beside, showers)
        makers = {name: load(folder, name) for name in card.particles}
        for test in tests:
            makers[test.particle].readout(test.detector)
        files = {path.name: file_sha256(path) for path in sorted(beside.iterdir())}
        found = measure(makers, tests, seed=card.seed)
        card = card.model_copy(update={**found, "files": files})
        (beside / CARD).write_text(card.to_json(), "utf-8")
    return card


def inside(test: Showers, energies: tuple[float, float]) -> Showers:
    """The test rows of energies that a generator is for.

    Args:
        test: Test rows.
        energies: Lowest and highest, GeV.

    Raises:
        ShowersError: There are none.
    """
    low, high = energies
    found = test[(test.energy >= low) & (test.energy <= high)]
    if not len(found):
        msg = (
            f"showers: none of the {len(test)} test rows has an energy within the {low:g} to "
            f"{high:g} GeV that is fitted; split the file anew, or fit another range"
        )
        raise ShowersError(msg)
    return found
