"""Sum up the Geant4 showers that pages compare with anew, in every shipped artefact.

Usage: python docs/make_references.py [FOLDER]

FOLDER (default ../shared/data) holds eplus.h5 and eplus-voxels.h5, and so on; taken are the test
rows of each. Nothing else changes in an artefact but the hashes on its card. ``caloforge models
judge`` does the same, and judges the generator anew besides.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

from caloforge.export.card import write_reference
from caloforge.provenance import file_sha256
from caloforge.runtime import artefact_names, find_artefact
from caloforge.runtime.card import CARD, Card
from caloforge.showers import Showers, read_part
from caloforge.showers.examples import EXAMPLES


@cache
def showers(path: Path, particle: str) -> Showers:
    return read_part(path, "test", particle)


def main(folder: Path) -> None:
    for name in artefact_names():
        artefact = find_artefact(name)
        card = Card.read(artefact)
        (particle,) = card.particles
        stem = EXAMPLES[particle].removesuffix(".h5")
        for readout, file in (("calogan", f"{stem}.h5"), ("lar-voxels", f"{stem}-voxels.h5")):
            if (artefact / f"reference-{readout}.json").is_file():
                write_reference(artefact, showers(folder / file, particle))
        files = {name: file_sha256(artefact / name) for name in card.files}
        text = card.model_copy(update={"files": files}).to_json()
        (artefact / CARD).write_text(text, "utf-8")
        print(f"{name}: {sum(name.startswith('reference') for name in files)} references")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data"))
