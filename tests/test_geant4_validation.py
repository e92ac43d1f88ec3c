"""Geant4 against showers of the CaloGAN authors' own Geant4 program."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caloforge.detector import Detector, RectangularLayer
from caloforge.errors import ShowersError
from caloforge.evaluation.paired import compare_matched
from caloforge.fullsim import Geant4Source
from caloforge.incident.gun import Gun
from caloforge.incident.spectrum import Spectrum
from caloforge.showers import Showers, read_showers
from caloforge.showers.production import blocks

TOY = Detector("toy", (RectangularLayer((0.0, 1.0), (0.0, 1.0, 2.0), (0.0, 1.0, 2.0, 3.0)),))

# The reduced tables attenuate photons of a few MeV in lead too strongly, which thins the far tails
# by about this share: see docs/geant4-validation.md.
KNOWN = {"width": 0.05, "occupancy": 0.1}


def toy(images: list[list[list[float]]]) -> Showers:
    deposits = np.array(images).reshape(len(images), -1)
    return Showers(TOY, np.arange(1.0, len(images) + 1), deposits.astype(np.float32))


def test_comparison_by_hand() -> None:
    reference = toy([[[100, 0, 100], [0, 0, 0]], [[0, 0, 300], [0, 0, 300]]])
    found = {item.quantity: item for item in compare_matched(reference, reference)}
    assert found["response"].reference == pytest.approx((0.2 + 0.3) / 2)
    assert found["width of layer 0 along y"].reference == pytest.approx((1.0 + 0.0) / 2)
    assert found["width of layer 0 along x"].reference == pytest.approx((0.0 + 0.5) / 2)
    assert found["occupancy of layer 0"].reference == pytest.approx(1 / 3)
    assert all(item.pull == 0 for item in found.values())
    other = toy([[[100, 0, 100], [0, 0, 100]], [[0, 0, 300], [0, 0, 310]]])
    response = compare_matched(reference, other)[0]
    difference = np.array([0.1, 0.005])
    assert response.showers - response.reference == pytest.approx(difference.mean())
    assert response.error == pytest.approx(difference.std(ddof=1) / np.sqrt(2))


def test_energies_must_match() -> None:
    showers = toy([[[1, 0, 0], [0, 0, 0]]] * 4)
    with pytest.raises(ShowersError, match="energies"):
        compare_matched(showers[:3], showers)
    with pytest.raises(ShowersError, match="energies"):
        compare_matched(showers, showers[::-1])


@pytest.mark.slow
def test_against_the_calogan_authors(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEANT4_DATA_DIR", str(shared / "geant4-data-lite"))
    reference = read_showers(shared / "data" / "calogan-geant4-eplus-51.h5")
    spectrum = Spectrum("list", tuple(reference.energy.tolist()), "energies of the reference")
    source = Geant4Source(reference.detector, Gun("e+", spectrum), seed=7)
    made = blocks(source, 0, 2 * len(reference), block_size=8, workers=2, isolated=True)
    showers = Showers.concatenate([block.parts[0] for block in made])
    for item in compare_matched(reference, showers):
        known = next((share for name, share in KNOWN.items() if name in item.quantity), 0.0)
        difference = abs(item.showers - item.reference)
        assert difference < known * item.reference + 4 * item.error, item
