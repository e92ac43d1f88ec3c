"""What is judged, and what is made: order of rows, few showers, layouts of one's own, stacks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import caloforge
from artefacts import make_artefact
from caloforge.detector import Detector, Plate, Stack, detector_to_json, load_detector
from caloforge.errors import DetectorError, Geant4DataError, ShowersError
from caloforge.evaluation import judge, load_reference, load_sample
from caloforge.evaluation.results import Evaluation
from caloforge.fullsim import data
from caloforge.showers import Showers, write_showers
from conftest import Cli, Result

LAYOUT = """
name = "own"
[[layers]]
depth = [0, 100]
r_edges = [0, 10, 20]
n_alpha = 3
[[layers]]
depth = [100, 200]
r_edges = [0, 30]
n_alpha = 2
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a layout that is not shipped."""
    (tmp_path / "own.toml").write_text(LAYOUT, "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plain(n: int, seed: int = 1) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    energy = rng.uniform(1e3, 1e5, (n, 1)).astype("f4")
    return energy, 0.9 * rng.dirichlet(np.full(8, 3.0), n).astype("f4") * energy


def write(name: str, energy: Any, showers: Any) -> None:
    with h5py.File(name, "w") as file:
        file["incident_energies"], file["showers"] = energy, showers


def complaint(result: Result) -> str:
    assert result.code == 2, result
    assert result.out == ""
    assert len(result.err.splitlines()) == 1, result.err
    return result.err


# The order of rows (1)


def test_order_of_rows_never_matters() -> None:
    own = load_detector("own.toml")
    energy, showers = plain(800)
    other = plain(300, seed=2)
    orders = [np.arange(800), np.random.default_rng(3).permutation(800), np.argsort(energy[:, 0])]
    found = []
    for i, order in enumerate(orders):
        write(f"ref{i}.h5", energy[order], showers[order])
        shift = np.roll(np.arange(300), 7 * i)
        write(f"sample{i}.h5", other[0][shift], other[1][shift])
        reference = load_reference(f"ref{i}.h5", seed=1, detector=own, particle="e-")
        sample = load_sample(f"sample{i}.h5", "sample", detector=own, particle="e-")
        result, _ = judge.evaluate(reference, [sample], sections=("observables", "energy"))
        found.append([(item.headlines, item.sections, item.warnings) for item in result.samples])
    assert found[0] == found[1] == found[2]
    # In memory, and in two files, the same.
    whole = load_reference("ref0.h5", seed=1, detector=own).sample.showers
    write("a.h5", energy[300:], showers[300:])
    write("b.h5", energy[:300], showers[:300])
    halves = load_reference(["a.h5", "b.h5"], seed=1, detector=own).sample.showers
    np.testing.assert_array_equal(whole.deposits, halves.deposits)
    memory = caloforge.read("ref2.h5", detector=own)
    again = load_reference(memory, seed=1).sample.showers
    np.testing.assert_array_equal(whole.deposits, again.deposits)
    # Another seed is another half; the halves of a file have no shower in common.
    reference = load_reference("ref0.h5", seed=2, detector=own)
    assert not np.array_equal(reference.sample.showers.deposits, whole.deposits)
    both = [reference.sample.showers.energy, reference.floor.showers.energy]
    np.testing.assert_array_equal(
        np.sort(np.concatenate(both)), np.sort(energy[:, 0] * np.float64(1e-3))
    )
    assert not np.all(np.diff(whole.energy) > 0)


def test_order_of_rows_of_a_split_file() -> None:
    own = load_detector("own.toml")
    energy, showers = plain(900)
    part = np.repeat([0, 1, 2], 300).astype("i1")
    for name, order in (("a.h5", np.arange(900)), ("b.h5", np.argsort(energy[:, 0]))):
        write(name, energy[order], showers[order])
        with h5py.File(name, "a") as file:
            file["split"] = part[order]
    one, other = (load_reference(name, seed=1, detector=own) for name in ("a.h5", "b.h5"))
    np.testing.assert_array_equal(one.sample.showers.deposits, other.sample.showers.deposits)
    np.testing.assert_array_equal(one.floor.showers.deposits, other.floor.showers.deposits)
    assert set(one.sample.showers.energy) == set((energy[600:, 0].astype(float)) * 1e-3)


# Few showers (23), layouts that are not shipped (22)


@pytest.mark.parametrize("count", [0, 1, 2, 5, 30, 99])
def test_few_showers(cli: Cli, here: Path, count: int) -> None:
    write("ref.h5", *plain(400))
    write("few.h5", *plain(count, seed=2))
    line = ["evaluate", "--detector", "own.toml", "--quick", "-o", "report"]
    sentence = complaint(cli(*line, "--reference", "ref.h5", "--showers", "few.h5"))
    assert f"showers few.h5: has {count} showers to judge, must have at least 100" in sentence
    sentence = complaint(cli(*line, "--reference", "few.h5", "--showers", "ref.h5"))
    assert f"reference few.h5: has {count // 2} showers to compare with" in sentence
    assert not (here / "report").exists()


@pytest.mark.slow
def test_layout_that_is_not_shipped(cli: Cli, here: Path) -> None:
    write("ref_1.h5", *plain(200))
    write("ref_2.h5", *plain(200, seed=3))
    write("sample.h5", *plain(150, seed=2))
    line = ["evaluate", "--reference", "ref_1.h5", "--reference", "ref_2.h5", "--quick"]
    line += ["--showers", "sample.h5", "-o", "report"]
    assert "name the detector" in complaint(cli(*line))
    result = cli(*line, "--detector", "own.toml", "--particle", "e-", "--quiet")
    assert (result.code, result.out, result.err) == (0, "", "")
    found = Evaluation.model_validate_json((here / "report" / "metrics.json").read_bytes())
    assert found.reference.file == "ref_1.h5, ref_2.h5"
    assert found.reference.particle == "e-"


def test_other_commands_with_a_layout_that_is_not_shipped(cli: Cli) -> None:
    write("a.h5", *plain(40))
    assert "name the detector" in complaint(cli("data", "split", "a.h5", "-o", "s.h5"))
    line = ("data", "split", "a.h5", "-o", "s.h5", "--detector", "own.toml", "--particle", "e-")
    assert cli(*line).code == 0
    with caloforge.open("s.h5") as file:
        assert file.detector.name == "own"
        assert file.particle == "e-"


def test_energies_of_a_file_need_no_detector(cli: Cli) -> None:
    make_artefact(Path("tiny"))
    write("a.h5", *plain(40))
    line = ("generate", "--model", "tiny", "--particle", "e+", "--energy", "file:a.h5", "-n", 40)
    result = cli(*line, "-o", "b.h5")
    assert (result.code, result.err) == (0, "")
    np.testing.assert_allclose(caloforge.read("b.h5").energy, plain(40)[0][:, 0] / 1e3, rtol=1e-6)


# Another stack (2)

CALOGAN, VOXELS = load_detector("calogan"), load_detector("lar-voxels")
TUNGSTEN = Stack((Plate("G4_W", 2.0), Plate("G4_Si", 4.0)) * 80, 1000.0)


@pytest.mark.parametrize("model", ["fastcalosim-eplus", "tiny"])
def test_generators_are_of_one_stack(cli: Cli, here: Path, model: str) -> None:
    make_artefact(here / "tiny")
    other = Detector("tungsten", CALOGAN.layers, TUNGSTEN)
    with pytest.raises(DetectorError, match="another stack of plates than 'calogan'"):
        caloforge.load(model, "e+").sample([5.0], detector=other)
    without = Detector("bare", CALOGAN.layers)
    assert len(caloforge.load(model, "e+").sample([5.0], detector=without)) == 1
    text = detector_to_json(other)
    write_showers("w.h5", Showers(other, np.ones(1), np.ones((1, 504), np.float32)))
    assert "tungsten" in text
    (here / "w.toml").write_text(OTHER, "utf-8")
    line = ("generate", "--particle", "e+", "--energy", 10, "-n", 5, "--detector", "w.toml")
    assert "another stack" in complaint(cli(*line, "--model", model, "-o", "out.h5"))
    assert not (here / "out.h5").exists()


OTHER = """
name = "tungsten"
[stack]
lateral = 1000.0
groups = [ { repeat = 80, plates = [
  { material = "G4_W", thickness = 2.0 }, { material = "G4_Si", thickness = 4.0 },
] } ]
[[layers]]
depth = [0, 90]
x = { bins = 3, range = [-240, 240] }
y = { bins = 96, range = [-240, 240] }
[[layers]]
depth = [90, 437]
x = { bins = 12, range = [-240, 240] }
y = { bins = 12, range = [-240, 240] }
[[layers]]
depth = [437, 480]
x = { bins = 12, range = [-240, 240] }
y = { bins = 6, range = [-240, 240] }
"""


# Outputs that would destroy something (15)


def test_a_page_replaces_nothing(cli: Cli, here: Path) -> None:
    make_artefact(here / "tiny")
    line = ("generate", "--model", "tiny", "--particle", "e+", "--energy", 5, "-n", 4)
    assert "page: got ./same.h5, which is output too" in complaint(
        cli(*line, "-o", "same.h5", "--page", "./same.h5")
    )
    (here / "notes.html").write_text("precious")
    assert "notes.html: exists already" in complaint(
        cli(*line, "-o", "out.h5", "--page", "notes.html")
    )
    (here / "energies.txt").write_text("5 6 7 8")
    again = (*line[:6], "file:energies.txt", *line[7:])
    for output, page in (("energies.txt", "p.html"), ("out.h5", "energies.txt")):
        sentence = complaint(cli(*again, "-o", output, "--page", page, "--overwrite"))
        assert "energies.txt, which is" in sentence
    assert (here / "energies.txt").read_text() == "5 6 7 8"
    assert (here / "notes.html").read_text() == "precious"
    assert not (here / "out.h5").exists()
    made = cli(*line, "-o", "out.h5", "--page", "notes.html", "--overwrite")
    assert made.code == 0
    assert (here / "notes.html").read_text() != "precious"


@pytest.mark.parametrize("command", ["generate --model tiny", "geant4"])
def test_energies_are_not_replaced(cli: Cli, here: Path, command: str) -> None:
    make_artefact(here / "tiny")
    write("a.h5", *plain(40))
    before = (here / "a.h5").read_bytes()
    line = [*command.split(), "--particle", "e+", "--energy", "file:a.h5", "-n", 4, "--overwrite"]
    assert "energy: got a.h5, which is output too" in complaint(cli(*line, "-o", "./a.h5"))
    assert (here / "a.h5").read_bytes() == before


@pytest.mark.parametrize("command", ["generate --model tiny", "geant4"])
def test_the_particle_chooses_among_binnings(cli: Cli, here: Path, command: str) -> None:
    make_artefact(here / "tiny")
    bins = [
        f'<Bin pid="{pid}"><Layer id="0" r_edges="0,{pid}" n_bin_alpha="2"/></Bin>'
        for pid in (11, 22)
    ]
    (here / "two.xml").write_text(f"<Bins>{''.join(bins)}</Bins>")
    line = [*command.split(), "--energy", 5, "-n", 4, "-o", "a.h5", "--detector", "two.xml"]
    sentence = complaint(cli(*line, "--particle", "e+"))
    assert "<Bin>" not in sentence  # refused for what it is: other voxels, or no stack
    assert "'two'" in sentence


def test_a_leaderboard_replaces_nothing(cli: Cli, here: Path) -> None:
    (here / "notes.md").write_text("precious")
    assert "notes.md: exists already" in complaint(cli("compare", "none", "-o", "notes.md"))
    assert (here / "notes.md").read_text() == "precious"


# No home directory (9)


def no_home() -> Path:
    msg = "Could not determine home directory."
    raise RuntimeError(msg)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX homes")
def test_no_home_directory(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("GEANT4_DATA_DIR", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    for call in (data.data_directory, data.import_calzone):
        with pytest.raises(Geant4DataError, match=r"no home directory .* set GEANT4_DATA_DIR"):
            call()
    for line in (
        "geant4 --particle e- --energy 1 -n 1 -o a.h5",
        "geant4 --download-data --yes",
        "benchmark fastcalosim --particle e+ --geant4",
    ):
        assert "set GEANT4_DATA_DIR" in complaint(cli(*line.split()))
    monkeypatch.setenv("GEANT4_DATA_DIR", "elsewhere")
    assert data.data_directory() == Path("elsewhere")


def test_samples_say_why(cli: Cli) -> None:
    own = load_detector("own.toml")
    write("a.h5", *plain(300))
    reference = load_reference("a.h5", seed=1, detector=own)
    with pytest.raises(ShowersError, match="in memory: has 7 showers to judge"):
        judge.evaluate(reference, [caloforge.read("a.h5", detector=own)[:7]])
