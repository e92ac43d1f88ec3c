"""Detector files that are wrong: the message names the key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from caloforge.detector import Detector, detector_from_json, detector_to_json, load_detector
from caloforge.errors import DetectorError, ParticleError

GOOD = """
name = "box"
description = "two layers"

[stack]
lateral = 100.0
groups = [
  { repeat = 2, plates = [
    { material = "G4_Pb", thickness = 2.0, sensitive = false },
    { material = "Glue", thickness = 0.5 },
  ] },
]

[materials.Glue]
density = 1.1
state = "solid"
elements = { C = 1, H = 2 }

[[layers]]
depth = [0, 2]
x = { bins = 3, range = [-240, 240] }
y = { edges = [-1, 0, 2] }

[[layers]]
depth = [2, 5]
r_edges = [0, 5, 10]
n_alpha = 4
"""


def write(folder: Path, text: str, name: str = "box.toml") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(DetectorError) as error:
        load_detector(path)
    message = str(error.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_good_file(tmp_path: Path) -> None:
    detector = load_detector(write(tmp_path, GOOD))
    assert (detector.name, detector.n_cells) == ("box", 6 + 8)
    assert detector.stack is not None
    assert [plate.thickness for plate in detector.stack.plates] == [2.0, 0.5] * 2
    assert [plate.sensitive for plate in detector.stack.plates] == [False, True] * 2
    assert detector.stack.materials[0].elements == (("C", 1), ("H", 2))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('name = "box"\n', 'nmae = "box"\n', ["nmae", "did you mean name?"]),
        ('name = "box"\n', "", ["name", "missing"]),
        ("lateral", "latreal", ["stack.latreal", "did you mean lateral?"]),
        ("n_alpha = 4", "n_aplha = 4", ["layers.1.n_aplha", "did you mean n_alpha?"]),
        ("edges = [-1", "edgse = [-1", ["layers.0.y", "edgse", "did you mean edges?"]),
        ("thickness = 2.0", "thicknes = 2.0", ["thicknes", "did you mean thickness?"]),
        ("state", "stat", ["materials.Glue.stat", "did you mean state?"]),
        ("density = 1.1\n", "", ["materials.Glue.density", "missing"]),
        ("lateral = 100.0", 'lateral = "wide"', ["stack.lateral", "'wide'"]),
        ("lateral = 100.0", "lateral = nan", ["stack.lateral"]),
        ("n_alpha = 4", 'n_alpha = "four"', ["layers.1.n_alpha", "'four'"]),
        ("n_alpha = 4", "n_alpha = 0", ["layers.1.n_alpha"]),
        ("bins = 3", "bins = 0", ["layers.0.x.bins"]),
        ("bins = 3", 'bins = "three"', ["layers.0.x.bins", "'three'"]),
        ("bins = 3", "bins = 2.5", ["layers.0.x.bins"]),
        ("[-240, 240]", "[240, -240]", ["layers.0.x_edges", "increasing"]),
        ("[-1, 0, 2]", "[-1, 3, 2]", ["layers.0.y_edges", "increasing"]),
        ("r_edges = [0, 5, 10]", "r_edges = [0, 10, 5]", ["layers.1.r_edges", "increasing"]),
        ("r_edges = [0, 5, 10]", "r_edges = [0, inf]", ["layers.1.r_edges"]),
        ("r_edges = [0, 5, 10]", "r_edges = []", ["layers.1.r_edges"]),
        ("depth = [2, 5]", "depth = [1, 5]", ["layers[1].depth", "inside the layer before"]),
        ("depth = [2, 5]", "depth = [5, 2]", ["layers.1.depth", "increasing"]),
        ("depth = [2, 5]", "depth = [2]", ["layers.1.depth"]),
        ("depth = [2, 5]\n", "", ["layers", "depth", "some layers only"]),
        ("n_alpha = 4", "x = { edges = [0, 1] }", ["layers.1", "x and y", "r_edges and n_alpha"]),
        ("n_alpha = 4\n", "", ["layers.1", "r_edges and n_alpha"]),
        ('"G4_Pb"', '"Lead"', ["Lead", "G4_", "[materials]"]),
        ("thickness = 0.5", "thickness = -0.5", ["thickness"]),
        ('"solid"', '"plasma"', ["materials.Glue.state", "plasma"]),
        ("C = 1, ", 'C = "one", ', ["materials.Glue.elements.C"]),
        ("[[layers]]", "[[layer]]", ["layer", "did you mean layers?"]),
        ("[[layers]]", "[[layers", ["not valid TOML"]),
        ('"box"', '"box', ["not valid TOML"]),
    ],
)
def test_wrong_toml(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    assert old in GOOD
    message = refusal(write(tmp_path, GOOD.replace(old, new)))
    for word in words:
        assert word in message


def test_both_cells_and_voxels(tmp_path: Path) -> None:
    text = GOOD.replace(
        "n_alpha = 4", "n_alpha = 4\nx = { edges = [0, 1] }\ny = { edges = [0, 1] }"
    )
    assert "layers.1" in refusal(write(tmp_path, text))


@pytest.mark.parametrize("name", ["box.toml", "box.xml"])
def test_not_text(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b'name = "\xff\xfe\x00"')
    refusal(path)
    path.write_bytes(b"")
    refusal(path)


def test_unknown_detector(tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match="did you mean calogan"):
        load_detector("calogn")
    with pytest.raises(DetectorError, match="there are calochallenge-ds1-photons, "):
        load_detector("xyzzy")
    with pytest.raises(DetectorError, match="there is no file"):
        load_detector(tmp_path / "none.toml")
    with pytest.raises(DetectorError):
        load_detector(tmp_path)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{", "not valid JSON"),
        ("[]", "here"),
        ("null", "here"),
        ('{"name": "x", "layers": []}', "layers"),
        ('{"name": "x", "layers": [{"r_edges": [0, 1], "n_alpha": 1, "n": 1}]}', "layers.0.n"),
    ],
)
def test_wrong_json(text: str, word: str) -> None:
    with pytest.raises(DetectorError, match=word) as error:
        detector_from_json(text, "here")
    assert "\n" not in str(error.value)


XML = """<Bins>
<Bin pid="22" name="photon">
<Layer id="0" r_edges="0,5,10" n_bin_alpha="1" />
<Layer id="4" r_edges="0" n_bin_alpha="1" />
<Layer id="12" r_edges="0,2,4" n_bin_alpha="10" />
</Bin>
</Bins>"""


def test_xml_with_a_layer_that_is_not_used(tmp_path: Path) -> None:
    detector = load_detector(write(tmp_path, XML, "a.xml"))
    assert [layer.shape for layer in detector.layers] == [(1, 2), (10, 2)]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("</Bins>", "", ["not valid XML"]),
        ('n_bin_alpha="10"', "", ["id=12", "n_bin_alpha", "missing"]),
        ('r_edges="0,2,4"', 'r_edges="0,4,2"', ["id=12", "r_edges", "increasing"]),
        ('r_edges="0,2,4"', 'r_edges="0,two"', ["id=12", "two"]),
        ('n_bin_alpha="10"', 'n_bin_alpha="0"', ["id=12", "n_alpha"]),
        ("Bin pid", "Bim pid", ["not valid XML"]),
        ("<Bins>", "<Bins><Bin/>", ["layers", "has none"]),
        (XML, "<Bins/>", ["has no <Bin>"]),
    ],
)
def test_wrong_xml(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    message = refusal(write(tmp_path, XML.replace(old, new), "a.xml"))
    for word in words:
        assert word in message


TWO = XML.replace(
    "</Bins>", '<Bin pid="211"><Layer id="1" r_edges="0,1" n_bin_alpha="3"/></Bin></Bins>'
)


def test_xml_of_several_particles(tmp_path: Path) -> None:
    path = write(tmp_path, TWO, "two.xml")
    assert "has 2 <Bin> elements that fit (pid=22, pid=211); name the particle" in refusal(path)
    assert load_detector(path, "pi+").n_cells == 3
    assert load_detector(path, -211).n_cells == 3
    assert load_detector(path, "gamma").n_cells == 22
    assert load_detector(path, n_cells=3).n_cells == 3
    with pytest.raises(
        DetectorError, match=r"has 0 <Bin> elements for e- \(pid 11\), only for pid 22, 211"
    ):
        load_detector(path, "e-")
    with pytest.raises(ParticleError):
        load_detector(path, "quark")


def test_xml_of_one_particle_and_several_directions(tmp_path: Path) -> None:
    same = '<Bin pid="22" etaMin="5"><Layer id="0" r_edges="0,5" n_bin_alpha="2"/></Bin>'
    path = write(tmp_path, f"<Bins>{same}{same}</Bins>", "same.xml")
    assert load_detector(path).n_cells == 2  # nothing to choose between
    other = same.replace("0,5", "0,5,9").replace('"5"', '"10"')
    path = write(tmp_path, f"<Bins>{same}{other}</Bins>", "eta.xml")
    with pytest.raises(DetectorError, match=r"pid=22 etaMin=5, pid=22 etaMin=10\); keep one"):
        load_detector(path, "gamma")
    assert load_detector(path, "gamma", n_cells=4).n_cells == 4


def test_xml_of_one_binning_is_for_every_particle(tmp_path: Path) -> None:
    assert load_detector(write(tmp_path, XML, "one.xml"), "pi+").n_cells == 22


@pytest.mark.parametrize("change", [str.lower, str.upper, str.title])
def test_suffix_in_any_case(tmp_path: Path, change: Callable[[str], str]) -> None:
    assert load_detector(write(tmp_path, XML, f"a.{change('xml')}")).n_cells == 22
    assert load_detector(write(tmp_path, GOOD, f"a.{change('toml')}")).n_cells == 14


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("binning with space.xml", "binning-with-space"),
        ("two\n\tlines.xml", "two-lines"),
        (" .xml", "detector"),
    ],
)
def test_name_of_an_xml_file_becomes_legal(tmp_path: Path, file: str, name: str) -> None:
    detector = load_detector(write(tmp_path, XML, file))
    assert detector.name == name
    assert detector_from_json(detector_to_json(detector), "here") == detector


def test_xml_with_layers_out_of_order(tmp_path: Path) -> None:
    lines = XML.splitlines()
    lines[2], lines[4] = lines[4], lines[2]
    detector = load_detector(write(tmp_path, "\n".join(lines), "turned.xml"))
    assert [layer.shape for layer in detector.layers] == [(1, 2), (10, 2)]
    without = XML.replace(' id="0"', "").replace(' id="4"', "").replace(' id="12"', "")
    assert load_detector(write(tmp_path, without, "without.xml")).n_cells == 22
    for wrong in ("12", "x", "1.5", ""):
        text = XML.replace('id="0"', f'id="{wrong}"')
        message = refusal(write(tmp_path, text, "wrong.xml"))
        assert "each must have its own whole number" in message


@pytest.mark.parametrize("name", ["a b", "a/b", "", "a\nb"])
def test_name_that_no_file_may_have(name: str) -> None:
    layers = load_detector("calogan").layers
    with pytest.raises(DetectorError, match="cannot be kept in a file: name"):
        detector_to_json(Detector(name, layers))


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5000])
def test_absurd_texts(tmp_path: Path, text: str) -> None:
    refusal(write(tmp_path, f"a = {text}"))
    with pytest.raises(DetectorError):
        detector_from_json(text, "here")
