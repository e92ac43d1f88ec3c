"""What people of the field do every day and once ended badly, as they do it: on the command line.

Files that HDF5 opens but cannot give, other stacks, odd names, noise, empty showers, several files.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from caloforge.detector import CylindricalLayer, Detector, Plate, Stack, load_detector
from caloforge.errors import DetectorError, FileFormatError, ParticleError, ShowersError
from caloforge.showers import Showers, convert, open_showers, read_showers, write_showers
from conftest import Cli, Result

CALOGAN = load_detector("calogan")
VOXELS = load_detector("lar-voxels")
N = 20


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def voxels(n: int = N, seed: int = 1) -> tuple[Any, Any]:
    """Incident energies and deposits of a file in the format of the CaloChallenge, MeV."""
    rng = np.random.default_rng(seed)
    energy = rng.uniform(1e3, 1e5, (n, 1)).astype("f4")
    return energy, 0.9 * rng.dirichlet(np.full(363, 0.1), n).astype("f4") * energy


def write(path: str | Path, energy: Any, showers: Any, **attributes: object) -> None:
    with h5py.File(path, "w") as file:
        file["incident_energies"], file["showers"] = energy, showers
        file.attrs.update(attributes)


def complaint(result: Result) -> str:
    """The sentence of a command that refused."""
    assert result.code == 2, result
    assert result.out == ""
    assert len(result.err.splitlines()) == 1, result.err
    assert result.err.startswith("caloforge: error: ")
    return result.err


def made(result: Result) -> Any:
    assert (result.code, result.err) == (0, "")
    return json.loads(result.out)


def stack(material: str) -> Stack:
    return Stack((Plate(material, 2.0), Plate("G4_Si", 4.0)) * 80, 1000.0)


def in_calogan(n: int = 8) -> Showers:
    rng = np.random.default_rng(1)
    deposits = rng.exponential(1, (n, 504)).astype(np.float32)
    return Showers(CALOGAN, rng.uniform(1, 100, n), deposits, "e+")


# Another stack (3)


def test_conversion_to_another_stack_is_refused(cli: Cli) -> None:
    write_showers("a.h5", in_calogan())
    before = sorted(Path().iterdir())
    sentence = complaint(cli("data", "convert", "a.h5", "--detector", "siw", "-o", "b.h5"))
    assert "'siw' is made for another stack of plates than 'calogan'" in sentence
    with pytest.raises(DetectorError, match="another stack"):
        convert(in_calogan(), load_detector("siw"))
    # The same layers around other plates are no better.
    tungsten = Detector("tungsten", CALOGAN.layers, stack("G4_W"))
    with pytest.raises(DetectorError, match="another stack"):
        convert(in_calogan(), tungsten)
    assert sorted(Path().iterdir()) == before


def test_what_a_readout_does_not_cover_is_said(cli: Cli) -> None:
    write_showers("a.h5", in_calogan())
    line = ("data", "convert", "a.h5", "--detector", "calochallenge-ds2", "-o", "b.h5")
    said = made(cli(*line, "--json"))
    new, old = read_showers("b.h5"), in_calogan()
    assert new.overflow is not None
    lost = 1 - (new.total_energy.sum() + new.overflow.sum()) / old.total_energy.sum()
    assert lost > 0.3
    assert said["uncovered_fraction"] == pytest.approx(lost, rel=1e-5)
    assert said["overflow_fraction"] > 0.1
    text = cli(*line, "--overwrite").out
    assert f"{lost:.2%} of the energy lies at depths that the new readout does not cover" in text
    assert "% of the energy lies beside the new cells" in text
    full = cli("data", "convert", "a.h5", "--detector", "lar-voxels", "-o", "c.h5").out
    assert "does not cover" not in full


# Binning files (7, 8)

LAYERS = "".join(
    f'<Layer id="{i}" r_edges="{",".join(f"{edge:g}" for edge in layer.r_edges)}" '
    f'n_bin_alpha="{layer.n_alpha}"/>'
    for i, layer in enumerate(VOXELS.layers)
    if isinstance(layer, CylindricalLayer)
)


def test_binning_files(cli: Cli, here: Path) -> None:
    write("tiny.h5", *voxels())
    one, other = f'<Bin pid="11">{LAYERS}</Bin>', '<Bin pid="22"><Layer r_edges="0,5"/></Bin>'
    other = other.replace("/></Bin>", ' n_bin_alpha="1"/></Bin>')
    (here / "with space.XML").write_text(f"<Bins>{one}</Bins>", "utf-8")
    (here / "two.xml").write_text(f"<Bins>{other}{one}</Bins>", "utf-8")
    for file, name in (("with space.XML", "with-space"), ("two.xml", "two")):
        line = (
            "data",
            "convert",
            "tiny.h5",
            "--source-detector",
            file,
            "--overwrite",
            "-o",
            "b.h5",
        )
        assert made(cli(*line, "--json"))["showers"] == N
        assert read_showers("b.h5").detector.name == name
    third = f'<Bin pid="22">{LAYERS.replace("0,50,100", "0,40,100")}</Bin>'
    (here / "three.xml").write_text(f"<Bins>{one}{third}</Bins>", "utf-8")
    line = ("data", "convert", "tiny.h5", "--source-detector", "three.xml", "-o", "c.h5", "--quiet")
    assert "(pid=11, pid=22); name the particle" in complaint(cli(*line))
    assert cli(*line, "--particle", "gamma").code == 0
    assert read_showers("c.h5").particle == "gamma"
    # Where the file says its particle, nobody needs to.
    write("photons.h5", *voxels(), particle="gamma")
    said = made(cli("data", "info", "photons.h5", "--detector", "three.xml", "--json"))
    assert said["detector"] == "three"


# Files that HDF5 opens but cannot give (12, 13, 21)


def unknown_filter(code: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        energy, showers = voxels()
        with h5py.File(path, "w") as file:
            file["incident_energies"] = energy
            settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            settings.set_chunk((N, 363))
            settings.set_filter(code, h5py.h5z.FLAG_OPTIONAL, (2, 2, 4, 29040, 5, 1, 0))
            space = h5py.h5s.create_simple(showers.shape)
            new = h5py.h5d.create(file.id, b"showers", h5py.h5t.NATIVE_FLOAT, space, settings)
            new.write_direct_chunk((0, 0), showers.tobytes())

    return make


def with_showers(showers: Callable[[], Any], energy: Callable[[], Any] | None = None) -> Any:
    return lambda path: write(path, energy() if energy else voxels()[0], showers())


def virtual(*parts: str) -> Callable[[Path], None]:
    """A dataset put together of parts, of which only ``part0.h5`` is there."""

    def make(path: Path) -> None:
        energy, showers = voxels()
        with h5py.File(path.with_name("part0.h5"), "w") as file:
            file["showers"] = showers
        layout = h5py.VirtualLayout((N * len(parts), 363), "f4")
        for i, part in enumerate(parts):
            layout[i * N : (i + 1) * N] = h5py.VirtualSource(part, "showers", (N, 363))
        with h5py.File(path, "w") as file:
            file["incident_energies"] = np.concatenate([energy] * len(parts))
            file.create_virtual_dataset("showers", layout)

    return make


def unwritten(path: Path) -> None:
    energy, showers = voxels()
    with h5py.File(path, "w") as file:
        file["incident_energies"] = energy
        file.create_dataset("showers", showers.shape, "f4", chunks=(5, 363))[:10] = showers[:10]


def no_plain_file(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["incident_energies"] = voxels()[0]
        file.create_dataset(
            "showers", (N, 363), "f4", external=[("gone.bin", 0, h5py.h5f.UNLIMITED)]
        )


CANNOT_GIVE: dict[str, tuple[Callable[[Path], Any], list[str]]] = {
    "blosc": (unknown_filter(32001), ["'showers'", "Blosc (filter 32001)", "install hdf5plugin"]),
    "nobody": (unknown_filter(999), ["'showers'", "filter 999", "install hdf5plugin"]),
    "soft link": (
        with_showers(lambda: h5py.SoftLink("/nowhere")),
        ["'showers' is a link to /nowhere, which is not there"],
    ),
    "external link": (
        with_showers(lambda: h5py.ExternalLink("gone.h5", "showers")),
        ["'showers' is a link to showers in gone.h5, which is not there"],
    ),
    "link of energies": (
        with_showers(lambda: voxels()[1], lambda: h5py.SoftLink("/incident")),
        ["'incident_energies' is a link to /incident"],
    ),
    "link in a circle": (
        with_showers(lambda: h5py.SoftLink("/showers")),
        ["'showers' is a link to /showers"],
    ),
    "null": (with_showers(lambda: h5py.Empty("f4")), ["'showers' has no data"]),
    "null energies": (
        with_showers(lambda: voxels()[1], lambda: h5py.Empty("f4")),
        ["'incident_energies' has no data"],
    ),
    "part that is missing": (virtual("part0.h5", "part1.h5"), ["'showers'", "part1.h5 is not"]),
    "parts of nothing": (virtual("none.h5"), ["'showers'", "none.h5 is not there"]),
    "never written": (unwritten, ["'showers' holds 2 of 4 chunks"]),
    "data elsewhere": (no_plain_file, ["'showers' keeps its data in gone.bin"]),
}


@pytest.mark.parametrize("case", CANNOT_GIVE)
def test_files_that_cannot_give(cli: Cli, here: Path, case: str) -> None:
    make, words = CANNOT_GIVE[case]
    make(here / "bad.h5")
    before = sorted(here.iterdir())
    for line in ("info bad.h5", "convert bad.h5 -o out.h5", "split bad.h5 -o out.h5"):
        sentence = complaint(cli("data", *line.split()))
        assert "bad.h5" in sentence
        for word in words:
            assert word in sentence
    assert sorted(here.iterdir()) == before


def test_files_that_can_give_after_all(here: Path) -> None:
    """Links and parts that are there, and a filter that nothing was stored through."""
    virtual("part0.h5")(here / "whole.h5")
    write("linked.h5", voxels()[0], h5py.ExternalLink("part0.h5", "showers"))
    for name in ("whole.h5", "linked.h5"):
        np.testing.assert_array_equal(read_showers(name).deposits, voxels()[1])
    (here / "part0.h5").write_bytes(b"nothing")
    for name in ("whole.h5", "linked.h5"):
        with pytest.raises(FileFormatError, match=r"part0.h5"):
            read_showers(name)


# Names (14)

NAMES = [
    "long" * 50 + ".h5",
    "x[red].h5",
    "[\\b].h5",
    "[bold]a[bold].h5",
    "a:smile:.h5",
    "a b.h5",
    "é.h5",
    "{x}.h5",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_a_file_prints_as_it_is(cli: Cli, name: str) -> None:
    write("good.h5", *voxels(), particle="e+")
    result = cli("data", "convert", "good.h5", "-o", name)
    assert result == Result(0, f"{name}: {N} showers\n", "")
    result = cli("data", "info", name)
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[0] == name
    assert f"{name}: " in cli("data", "split", "good.h5", "-o", name, "--overwrite").out
    assert f"file {name}x" in complaint(cli("data", "info", f"{name}x"))
    assert made(cli("data", "info", name, "--json"))["path"] == name


def test_folder_with_markup(cli: Cli, here: Path) -> None:
    folder = here / "q[/b]"
    folder.mkdir(parents=True)
    write(folder / "a.h5", *voxels())
    assert cli("data", "info", "q[/b]/a.h5").out.splitlines()[0] == "q[/b]/a.h5"


# Units (18)


@pytest.mark.parametrize("factor", [1e-3, 1e-6, 1e3])
def test_units_are_suspected(cli: Cli, factor: float) -> None:
    energy, showers = voxels()
    write("a.h5", energy, showers * np.float32(factor), particle="e-")
    problems = made(cli("data", "info", "a.h5", "--json"))["problems"]
    assert any("are deposits in MeV and incident energies in MeV?" in text for text in problems)
    cells = in_calogan()
    images = {f"layer_{i}": image for i, image in enumerate(cells.images)}
    with h5py.File("b.h5", "w") as file:
        file["energy"] = cells.energy / factor * (cells.total_energy / cells.energy / 1000)
        for key, image in images.items():
            file[key] = image
    problems = made(cli("data", "info", "b.h5", "--json"))["problems"]
    assert any("incident energies in GeV?" in text for text in problems)


def test_units_of_sound_files_are_not(cli: Cli) -> None:
    energy, showers = voxels()
    write("a.h5", energy, showers, particle="e-")
    write("sampling.h5", energy, showers * np.float32(0.01), particle="e-")
    write("muons.h5", energy, showers * np.float32(0.001), particle="mu-")
    for name in ("a.h5", "sampling.h5", "muons.h5"):
        assert made(cli("data", "info", name, "--json"))["problems"] == []


# Noise and empty showers (19, 20)


def denoised() -> tuple[Any, Any]:
    energy, showers = voxels()
    showers[:, ::3] -= 1e-4
    return energy, showers


def test_negative_deposits(cli: Cli) -> None:
    energy, showers = denoised()
    assert (showers < 0).any(axis=1).all()
    write("a.h5", energy, showers)
    told = made(cli("data", "info", "a.h5", "--json"))
    assert told["response"][0] == pytest.approx(0.9, rel=1e-3)
    assert told["energy"][0] > 0
    assert all(layer["fraction"] > 0 for layer in told["layers"])
    assert any(f"{N} showers have values that are negative" in text for text in told["problems"])
    assert any(
        "down to -0.0001 MeV: 'caloforge data convert --clip'" in t for t in told["problems"]
    )
    sentence = complaint(cli("data", "convert", "a.h5", "-o", "b.h5"))
    assert "--clip" in sentence
    said = made(cli("data", "convert", "a.h5", "--clip", "-o", "b.h5", "--json"))
    assert said["cleared_deposits"] == (showers < 0).sum()
    assert said["cleared_energy"] == pytest.approx(showers[showers < 0].sum(), rel=1e-5)
    np.testing.assert_array_equal(read_showers("b.h5").deposits, np.maximum(showers, 0))
    made(cli("data", "convert", "a.h5", "--threshold", 0.5, "-o", "c.h5", "--json"))
    np.testing.assert_array_equal(
        read_showers("c.h5").deposits, np.where(showers < 0.5, 0, showers)
    )
    assert "deposits were set to zero" in cli("data", "convert", "a.h5", "--clip", "-o", "d.h5").out


def test_values_that_cannot_be_are_told_of_and_left_out(cli: Cli) -> None:
    energy, showers = voxels()
    showers[:5, 7] = np.nan
    showers[5, 8] = np.inf
    energy[6] = -1
    write("a.h5", energy, showers)
    told = made(cli("data", "info", "a.h5", "--json"))
    assert told["response"][0] == pytest.approx(0.9, rel=0.1)
    write("all.h5", energy, np.where(np.arange(363) == 7, np.nan, showers))
    assert made(cli("data", "info", "all.h5", "--json"))["response"][0] > 0.5
    said = made(cli("data", "convert", "a.h5", "--drop", "invalid", "-o", "b.h5", "--json"))
    assert (said["showers"], said["left_out"]) == (N - 7, 7)
    np.testing.assert_array_equal(read_showers("b.h5").deposits, showers[7:])
    line = ("data", "convert", "all.h5", "--drop", "invalid", "-o", "c.h5")
    assert f"none of its {N} showers is left" in complaint(cli(*line))
    assert not Path("c.h5").exists()


def test_showers_are_chosen(cli: Cli) -> None:
    energy, showers = voxels()
    showers[::3] = 0
    write("a.h5", energy, showers, particle="pi+")
    made(cli("data", "split", "a.h5", "-o", "s.h5", "--json"))
    said = made(cli("data", "convert", "s.h5", "--drop", "empty", "-o", "b.h5", "--json"))
    full = showers.any(axis=1)
    assert (said["showers"], said["left_out"]) == (full.sum(), N - full.sum())
    with open_showers("s.h5") as old, open_showers("b.h5") as new:
        assert old.split is not None
        assert new.split is not None
        np.testing.assert_array_equal(new.split, old.split[full])
        np.testing.assert_array_equal(new.read().deposits, showers[full])
    said = made(cli("data", "convert", "a.h5", "--energy-range", "20:50", "-o", "c.h5", "--json"))
    inside = (energy[:, 0] >= 20e3) & (energy[:, 0] <= 50e3)
    assert said["showers"] == inside.sum()
    np.testing.assert_array_equal(read_showers("c.h5").deposits, showers[inside])
    assert "left out" in cli("data", "convert", "a.h5", "--drop", "empty", "-o", "d.h5").out


# Several files (21)


def several(detector: str | None = None) -> list[tuple[Any, Any]]:
    parts = [voxels(n, seed=i) for i, n in enumerate((5, 7, 3))]
    for i, part in enumerate(parts, start=9):
        write(f"set_{i}.h5", *part, particle="e-")
    return parts


def test_several_files_are_one_sample(cli: Cli) -> None:
    parts = several()
    whole = np.concatenate([showers for _, showers in parts])
    said = made(cli("data", "join", "set_9.h5", "set_10.h5", "set_11.h5", "-o", "j.h5", "--json"))
    assert said["showers"] == 15
    np.testing.assert_array_equal(read_showers("j.h5").deposits, whole)
    # A pattern, in the order of the numbers; and a list, in that of the list.
    np.testing.assert_array_equal(read_showers("set_*.h5").deposits, whole)
    turned = read_showers(["set_11.h5", "set_9.h5"])
    np.testing.assert_array_equal(turned.deposits, np.concatenate([parts[2][1], parts[0][1]]))
    np.testing.assert_array_equal(read_showers("set_*.h5", rows=slice(3, 13)).deposits, whole[3:13])
    with open_showers("set_*.h5") as file:
        assert len(file) == 15
        np.testing.assert_array_equal(
            file.read_rows(np.array([14, 0, 5])).deposits, whole[[14, 0, 5]]
        )
        np.testing.assert_allclose(
            file.energies(), np.concatenate([e[:, 0] for e, _ in parts]) / 1e3, rtol=1e-6
        )
    assert made(cli("data", "info", "set_*.h5", "--json"))["count"] == 15
    assert made(cli("data", "info", "set_9.h5", "set_11.h5", "--json"))["count"] == 8
    assert (
        sum(made(cli("data", "split", "set_*.h5", "-o", "s.h5", "--json"))["split"].values()) == 15
    )
    line = ("data", "convert", "set_9.h5", "set_10.h5", "--detector", "calogan", "-o", "c.h5")
    assert made(cli(*line, "--json"))["showers"] == 12


def test_a_file_whose_name_has_stars_is_that_file() -> None:
    several()
    write("set_*.h5", *voxels(2))
    assert len(read_showers("set_*.h5")) == 2
    write("[a].h5", *voxels(3))
    assert len(read_showers("[a]*.h5")) == 3


def test_files_that_are_no_one_sample(cli: Cli) -> None:
    several()
    write("photons.h5", *voxels(), particle="gamma")
    with pytest.raises(ParticleError, match=r"photons.h5 holds gamma, not e-"):
        read_showers(["set_9.h5", "photons.h5"])
    write_showers("cells.h5", in_calogan())
    write("plus.h5", *voxels(), particle="e+")
    with pytest.raises(FileFormatError, match=r"plus.h5: 'showers' has shape"):
        read_showers(["cells.h5", "plus.h5"])
    write_showers("voxels.h5", read_showers("plus.h5"))
    with pytest.raises(ShowersError, match=r"is of 'lar-voxels', but cells.h5 of 'calogan'"):
        read_showers(["cells.h5", "voxels.h5"])
    tungsten = Detector("tungsten", CALOGAN.layers, stack("G4_W"))
    write_showers("tungsten.h5", Showers(tungsten, in_calogan().energy, in_calogan().deposits))
    with pytest.raises(ShowersError, match="same readout and stack"):
        read_showers(["cells.h5", "tungsten.h5"])
    made(cli("data", "split", "set_9.h5", "-o", "s.h5", "--json"))
    with pytest.raises(FileFormatError, match=r"set_10.h5: is not split, but others"):
        read_showers(["s.h5", "set_10.h5"])
    with pytest.raises(FileFormatError, match=r"file gone_.*: does not exist"):
        read_showers("gone_*.h5")
    energy, showers = voxels(2)
    write("bad.h5", energy, -showers, particle="e-")
    with pytest.raises(ShowersError, match=r"file bad.h5, rows from 0: deposits: shower 0 "):
        read_showers(["set_9.h5", "bad.h5"])
    sentence = complaint(cli("data", "join", "set_9.h5", "gone.h5", "-o", "j.h5"))
    assert "gone.h5: does not exist" in sentence


def test_events_of_several_files_stay_apart() -> None:
    for i, events in enumerate(([0, 0, 3], [0, 1])):
        showers = in_calogan(len(events))
        write_showers(
            f"e{i}.h5",
            Showers(CALOGAN, showers.energy, showers.deposits, event=np.array(events)),
        )
    found = read_showers(["e0.h5", "e1.h5"]).event
    assert found is not None
    assert found.tolist() == [0, 0, 3, 4, 5]


# Values of options that cannot be meant (25)


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("points", ["0", "-1", "10001", "1000000000", "99999999999999999999"]),
        ("threshold", ["-1", "nan", "inf", "-inf"]),
        ("energy-range", ["", "5", "5:1", "nan:1", "0:1", "1:inf", "-1:5", "1:2:3"]),
        ("drop", ["", "all"]),
        ("particle", ["", "quark", "1e9"]),
        ("detector", ["", ".", "siw", "none.toml"]),
        ("source-detector", ["", ".", "siw"]),
    ],
)
def test_conversion_refuses(cli: Cli, here: Path, option: str, values: list[str]) -> None:
    write_showers("a.h5", in_calogan())
    before = sorted(here.iterdir())
    for value in values:
        line = ["data", "convert", "a.h5", "-o", "b.h5", f"--{option}={value}"]
        if option == "points":
            line += ["--detector", "lar-voxels"]
        complaint(cli(*line))
        assert sorted(here.iterdir()) == before


@pytest.mark.parametrize("output", ["", ".", "a.h5", "none/b.h5", "a.h5/b.h5", "x" * 300])
def test_outputs_that_cannot_be(cli: Cli, here: Path, output: str) -> None:
    write_showers("a.h5", in_calogan())
    for line in (["convert", "a.h5"], ["join", "a.h5"], ["split", "a.h5"]):
        complaint(cli("data", *line, f"--output={output}"))
    assert sorted(here.iterdir()) == [here / "a.h5"]
