"""Geometry that cannot be meant is refused before Geant4 starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from caloforge.detector import (
    CylindricalLayer,
    Detector,
    Plate,
    RectangularLayer,
    Stack,
    detector_names,
    load_detector,
)
from caloforge.errors import DetectorError
from caloforge.fullsim import Beam, Geant4Source
from caloforge.incident.gun import Gun
from caloforge.incident.spectrum import Spectrum
from conftest import Cli

GUN = Gun("e-", Spectrum.parse("0.5"), Beam())


def stack(*sensitive: bool, thickness: float = 4.0, lateral: float = 100.0) -> Stack:
    """Ten plates, 30 mm deep, of lead and liquid argon in turn."""
    lead, argon = sensitive or (True, True)
    pair = (Plate("G4_Pb", 6.0 - thickness, lead), Plate("G4_lAr", thickness, argon))
    return Stack(pair * 5, lateral)


def cells(first: float, last: float, half: float = 50.0) -> RectangularLayer:
    return RectangularLayer((first, last), (-half, 0.0, half), (-half, 0.0, half))


def detector(plates: Stack, *depths: tuple[float, float], half: float = 50.0) -> Detector:
    return Detector("odd", tuple(cells(*depth, half) for depth in depths), plates)


def refusal(odd: Detector, readouts: Sequence[Detector] = ()) -> str:
    with pytest.raises(DetectorError) as error:
        Geant4Source(odd, GUN, 1, tuple(readouts))
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("depths", "words"),
    [
        ([(-15, 0), (0, 15)], "layer 0 is at -15 to 0 mm, but the stack is 30 mm deep"),
        ([(-1, 30)], "layer 0 is at -1 to 30 mm, but the stack is 30 mm deep"),
        ([(100, 200)], "layer 0 is at 100 to 200 mm, but"),
        ([(0, 20), (20, 40)], "layer 1 is at 20 to 40 mm, but"),
        ([(0, 30.1)], "layer 0 is at 0 to 30.1 mm, but"),
        ([(0, 3)], "hold 3 of the 30 mm of sensitive plates; lengths are in mm"),
        ([(0, 1.5), (1.5, 3)], "hold 3 of the 30 mm"),
        ([(0, 0.03)], "hold 0.03 of the 30 mm"),
    ],
)
def test_layers_outside_the_stack(depths: list[tuple[float, float]], words: str) -> None:
    odd = detector(stack(), *depths)
    assert words in refusal(odd)
    # As a readout of another detector it is no better.
    assert words in refusal(detector(stack(), (0, 30)), [odd])
    assert words in refusal(detector(stack(), (0, 30)), [replace(odd, stack=None)])


def test_nothing_sensitive() -> None:
    assert "none of its plates is sensitive" in refusal(detector(stack(False, False), (0, 30)))
    only_argon = stack(False, True)
    assert "layer 0 is at 0 to 2 mm, where no plate is sensitive" in refusal(
        detector(only_argon, (0, 2), (2, 30))
    )
    Geant4Source(detector(only_argon, (0, 2.5), (2.5, 30)), GUN, 1)


def test_cells_beside_the_plates() -> None:
    assert "beside the plates, whose side is 100 mm" in refusal(
        Detector("odd", (RectangularLayer((0, 30), (0, 50, 100), (-50, 50)),), stack())
    )
    assert "beside the plates" in refusal(
        Detector("odd", (CylindricalLayer((0, 30), (0, 10, 75, 100), 1),), stack())
    )
    # What reaches beyond the plates but begins above them is hit.
    Geant4Source(detector(stack(), (0, 30), half=60.0), GUN, 1)
    Geant4Source(Detector("fine", (CylindricalLayer((0, 30), (0, 70, 200), 3),), stack()), GUN, 1)


def test_plates_too_thin_for_geant4() -> None:
    thin = Stack((Plate("G4_Pb", 1e-9), Plate("G4_lAr", 4.0)) * 5, 100.0)
    assert "a plate of G4_Pb is 1e-09 mm thick, must be at least 1e-06 mm" in refusal(
        detector(thin, (0, 20))
    )
    assert "lateral is 1e-09 mm" in refusal(detector(stack(lateral=1e-9), (0, 30)))


def test_sums_of_thicknesses_are_rounded() -> None:
    """A layer may end where the plates end, though their sum is not exact."""
    plates = Stack((Plate("G4_W", 0.1), Plate("G4_Si", 0.2)) * 100, 100.0)
    assert plates.thickness != 30.0
    Geant4Source(detector(plates, (0, 10), (10, 30)), GUN, 1)


@pytest.mark.parametrize("name", detector_names())
def test_shipped_detectors_are_meant(name: str) -> None:
    shipped = load_detector(name)
    if shipped.stack is not None:
        Geant4Source(shipped, GUN, 1)


CENTRED = """
name = "centred"
[stack]
lateral = 100.0
groups = [
  { repeat = 5, plates = [
    { material = "G4_Pb", thickness = 2.0 },
    { material = "G4_lAr", thickness = 4.0 },
  ] },
]
[[layers]]
depth = [-15, 15]
x = { bins = 2, range = [-50, 50] }
y = { bins = 2, range = [-50, 50] }
"""


def test_command(cli: Cli, tmp_path: Path) -> None:
    file, out = tmp_path / "centred.toml", tmp_path / "out.h5"
    file.write_text(CENTRED, "utf-8")
    line = ["geant4", "--detector", file, "--particle", "e-", "--energy", 0.5, "-n", 4, "-o", out]
    result = cli(*line)
    assert result.code == 2
    assert result.err.startswith("caloforge: error: readout 'centred': layer 0 is at -15 to 15 mm")
    assert len(result.err.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("repeat = 5", "repeat = 1000000000", "2,000,000,000 plates, must have at most 100,000"),
        ("bins = 2", "bins = 1000000000", "layers.0.x.bins"),
        ("bins = 2", "bins = 100000", "10,000,000,000 cells, must have at most 10,000,000"),
        ("lateral = 100.0", "lateral = 1e300", "stack.lateral"),
        ("thickness = 4.0", "thickness = 1e300", "thickness"),
        ("depth = [-15, 15]", "depth = [0, 1e300]", "layers.0.depth"),
    ],
)
def test_absurdly_large(tmp_path: Path, old: str, new: str, words: str) -> None:
    file = tmp_path / "large.toml"
    assert old in CENTRED
    file.write_text(CENTRED.replace(old, new), "utf-8")
    with pytest.raises(DetectorError) as error:
        load_detector(file)
    assert words in str(error.value)
