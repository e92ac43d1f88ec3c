"""Files of showers with one thing wrong, and a word that the complaint must have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from caloforge.detector import load_detector

SHAPES = [layer.shape for layer in load_detector("calogan").layers]


def arrays(n: int = 4) -> dict[str, Any]:
    """A sound file."""
    images = {f"layer_{i}": np.ones((n, *shape), np.float32) for i, shape in enumerate(SHAPES)}
    return {"energy": np.full((n, 1), 5.0), "overflow": np.ones((n, 3)), **images}


def write(path: Path, content: dict[str, Any], **attributes: object) -> None:
    with h5py.File(path, "w") as file:
        for key, value in content.items():
            if isinstance(value, str) and value == "group":
                file.create_group(key)
            else:
                file[key] = value
        file.attrs.update(attributes)


def changed(**changes: Any) -> Callable[[Path], None]:
    """A file with other arrays; None takes one away."""
    content = {k: v for k, v in (arrays() | changes).items() if v is not None}
    return lambda path: write(path, content)


def spoilt(key: str, value: float) -> Callable[[Path], None]:
    """A file with one value that cannot be."""
    content = arrays()
    content[key] = np.array(content[key], dtype=np.float64)
    content[key].flat[-1] = value
    return lambda path: write(path, content)


def damaged(path: Path) -> None:
    """A file whose compressed data are garbage, though all of it is there."""
    content = arrays(64)
    with h5py.File(path, "w") as file:
        for key, value in content.items():
            file.create_dataset(
                key, data=np.random.default_rng(1).random(value.shape), compression=1
            )
        offsets = [file[key].id.get_chunk_info(0) for key in content]
    text = bytearray(path.read_bytes())
    for chunk in offsets:
        text[chunk.byte_offset : chunk.byte_offset + chunk.size] = b"\xa5" * chunk.size
    path.write_bytes(text)


def truncated(path: Path) -> None:
    write(path, arrays(64))
    path.write_bytes(path.read_bytes()[:20000])


def calochallenge(**changes: Any) -> Callable[[Path], None]:
    content = {"incident_energies": np.full((2, 1), 5000.0), "showers": np.ones((2, 363))} | changes
    return lambda path: write(path, content)


# What is wrong with the file itself or with its layout: FileFormatError.
LAYOUT: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "does not exist"),
    "folder": (lambda path: path.mkdir(), "is a folder"),
    "empty": (lambda path: path.write_bytes(b""), "is empty"),
    "text": (lambda path: path.write_text("energy\n1\n" * 99), "is not an HDF5 file"),
    "short": (lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n"), "file"),
    "truncated": (truncated, "is truncated"),
    "no datasets": (lambda path: write(path, {}), "has nothing"),
    "no energy": (changed(energy=None), "must be in the format"),
    "no layers": (changed(layer_0=None), "must be in the format"),
    "no layer_1": (changed(layer_1=None), "name the detector"),
    "no layer_2": (changed(layer_2=None), "name the detector"),
    "energy of another length": (changed(energy=np.ones((3, 1))), "shape"),
    "energy of two columns": (changed(energy=np.ones((4, 2))), "'energy' has shape (4, 2)"),
    "energy without rows": (changed(energy=5.0), "'energy' has shape ()"),
    "layer of another length": (changed(layer_1=np.ones((5, 12, 12))), "'layer_1' has shape"),
    "layer transposed": (changed(layer_0=np.ones((4, 96, 3))), "layer_0 (4, 96, 3)"),
    "layer flat": (changed(layer_0=np.ones((4, 288))), "layer_0 (4, 288)"),
    "overflow too wide": (changed(overflow=np.ones((4, 4))), "'overflow' has shape (4, 4)"),
    "energies are words": (changed(energy=[["a"]] * 4), "must be a dataset of numbers"),
    "energies are complex": (changed(energy=np.ones((4, 1), complex)), "must be a dataset of"),
    "energy is a group": (changed(energy="group"), "must be a dataset of numbers"),
    "layer is a group": (changed(layer_1="group"), "must be a dataset of numbers"),
    "layer_0 is a group": (changed(layer_0="group"), "must be a dataset of numbers"),
    "overflow is a group": (changed(overflow="group"), "must be a dataset of numbers"),
    "showers is a group": (calochallenge(showers="group"), "must be a dataset of numbers"),
    "voxels of nobody": (calochallenge(showers=np.ones((2, 364))), "showers (2, 364)"),
    "split too short": (changed(split=np.zeros(3, np.int8)), "'split' must"),
    "split is a group": (changed(split="group"), "'split' must"),
    "split of unknown part": (changed(split=np.full(4, 7, np.int8)), "'split' must"),
    "run is not JSON": (lambda path: write(path, arrays(), caloforge_run="{"), "caloforge_run"),
}
# What is wrong with the values: ShowersError once they are read.
VALUES: dict[str, tuple[Callable[[Path], None], str]] = {
    "deposit NaN": (spoilt("layer_1", np.nan), "deposits: shower 3 has the value nan"),
    "deposit infinite": (spoilt("layer_1", np.inf), "deposits: shower 3 has the value inf"),
    "deposit too large": (spoilt("layer_1", 1e39), "deposits: shower 3 has the value inf"),
    "deposit negative": (spoilt("layer_0", -0.1), "deposits: shower 3 has the value -0.1"),
    "energy NaN": (spoilt("energy", np.nan), "energy: shower 3 has the value nan"),
    "energy infinite": (spoilt("energy", np.inf), "energy: shower 3 has the value inf"),
    "energy negative": (spoilt("energy", -5.0), "energy: shower 3 has the value -5.0"),
    "energy zero": (spoilt("energy", 0.0), "energy: shower 3 has 0.0 GeV"),
    "overflow NaN": (spoilt("overflow", np.nan), "overflow: shower 3 has the value nan"),
    "damaged": (damaged, "is damaged"),
}
