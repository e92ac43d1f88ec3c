"""Make docs/artefact-vector.json: showers of a shipped network, to check a program in C++ with.

Usage: python docs/make_artefact_vector.py [ARTEFACT]

ONNX Runtime alone makes them, as a program in another language would.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from caloforge.random import Purpose, Streams
from caloforge.runtime import find_artefact, load_card

SHOWERS = ((1, 0, 50.0), (1, 7, 5.0))  # seed, index, incident energy in GeV


def vector(artefact: str) -> dict[str, Any]:
    folder = find_artefact(artefact)
    card = load_card(folder)
    detector = card.load_detector()
    noise = int(card.inputs[0].shape[1])
    session = onnxruntime.InferenceSession(folder / "generator.onnx")
    showers = []
    for seed, index, energy in SHOWERS:
        z = Streams(seed, np.array([index]), Purpose.GENERATOR).normal(noise).astype(np.float32)
        inputs = {"z": z, "energy": np.array([[energy]], np.float32)}
        (deposits,) = session.run(["deposits"], inputs)
        hottest = np.argsort(deposits[0])[::-1][:3]
        showers.append(
            {
                "seed": seed,
                "shower": index,
                "energy": energy,
                "z": [round(float(value), 6) for value in z[0, :4]],
                "layers": [round(float(x), 3) for x in detector.layer_sums(deposits)[0]],
                "cells": {str(cell): round(float(deposits[0, cell]), 3) for cell in hottest},
            }
        )
    return {
        "artefact": card.name,
        "sha256": card.files["generator.onnx"],
        "noise": noise,
        "cells": detector.n_cells,
        "tolerance": 1e-4,
        "showers": showers,
    }


if __name__ == "__main__":
    found = vector(sys.argv[1] if len(sys.argv) > 1 else "atlas-vae-eplus")
    path = Path(__file__).with_name("artefact-vector.json")
    path.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    print(path.read_text("utf-8"))
