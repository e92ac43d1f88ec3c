"""Make the Geant4 showers that come with caloforge: src/caloforge/showers/examples/*.h5.

Usage: python docs/make_examples.py [FOLDER]

FOLDER (default ../shared/data) holds eplus.h5, gamma.h5 and piplus.h5; README.md beside them says
how they were made. Taken are the first 1,000 test rows of each.
"""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np

from caloforge.provenance import file_sha256
from caloforge.showers import open_showers
from caloforge.showers.examples import EXAMPLES, example_file
from caloforge.showers.writing import ShowerSink

ROWS = 1000
PHYSICS = {"hadronic": "FTFP_BERT", "em": "option1", "cut_mm": 0.7}


def main(folder: Path) -> None:
    for particle, name in EXAMPLES.items():
        source = folder / name
        with open_showers(source) as file:
            rows = np.flatnonzero(file.rows_of("test"))[:ROWS]
            showers = file.read_rows(rows)
        run = {
            "generator": "Geant4 11.4.0",
            "physics": PHYSICS,
            "particle": particle,
            "energy": "1:100",
            "file": name,
            "sha256": file_sha256(source),
            "rows": f"the first {ROWS} test rows",
        }
        path = example_file(particle)
        beside = path.with_suffix(".tmp")
        with ShowerSink(beside, run=run) as sink:
            sink.append(showers)
        _squeeze(beside, path)
        beside.unlink()
        print(f"{path}: {showers!r}, {path.stat().st_size / 1e6:.2f} MB")


def _squeeze(source: Path, path: Path) -> None:
    """The same file as small as gzip makes it."""
    with h5py.File(source) as old, h5py.File(path, "w") as new:
        for name, value in old.attrs.items():
            new.attrs[name] = value
        for name, values in old.items():
            new.create_dataset(
                name, data=values[:], compression="gzip", compression_opts=9, shuffle=True
            )


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data"))
