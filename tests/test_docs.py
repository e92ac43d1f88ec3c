"""What the pages tell a reader to type works: block by block, in order, on toy data.

Blocks of a page run in one folder, in which are the files that the page takes for granted. Commands
are run as they are written but for their size (``smaller``). What is not run is in ``NOT_RUN``.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import caloforge
from caloforge.cli import app
from caloforge.detector import load_detector
from caloforge.evaluation import evaluate
from caloforge.evaluation.results import METRICS, write_evaluation
from caloforge.showers import Showers, split_file, write_showers
from caloforge.training import Recipe, train
from conftest import ROOT, Cli
from toys.slanted import CONDITIONS, make_slanted

BLOCK = re.compile(r"^```(console|python|yaml|toml)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = [
    str(path.relative_to(ROOT))
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    if re.search(r"^```(console|python)\n", path.read_text("utf-8"), re.MULTILINE)
]
NOT_RUN = {
    "make ": "makes a virtual environment; what it does there is run by the other tests",
    "pip install ": "installs packages",
    "caloforge geant4 --detector siw-voxels.toml": "an hour of Geant4; its file is there",
}
"""Beginnings of commands that are only read, and why."""
TAKEN_FOR_GRANTED = {
    "README.md": ["my-geant4.h5"],
    "docs/artefacts.md": ["path/to/artefact", "my-aimed-model", "my-run", "eplus.h5"],
    "docs/atlas-vae.md": ["gamma.h5"],
    "docs/caloflow.md": ["eplus.h5"],
    "docs/calogan.md": ["gamma.h5", "eplus.h5"],
    "docs/evaluation.md": ["../shared/data/eplus.h5", "eplus-model.h5", "other-evaluation"],
    "docs/fastcalosim.md": ["raw.h5", "siw-voxels.toml"],
    "docs/library.md": ["eplus.h5"],
    "docs/files.md": ["showers.h5", "voxels.h5", "geant4.h5"],
    "docs/training.md": ["eplus.h5"],
}
"""Files that a page names and does not make."""
LONG = {"README.md", "atlas-vae.md", "caloflow.md", "calogan.md", "evaluation.md", "training.md"}
SIW = """
name = "siw-voxels"
[[layers]]
depth = [0, 20]
r_edges = [0, 5, 10, 20, 40]
n_alpha = 4
[[layers]]
depth = [20, 60]
r_edges = [0, 10, 20, 40]
n_alpha = 4
"""


def blocks(page: str) -> list[tuple[str, str]]:
    """Language and text of the blocks of a page."""
    return BLOCK.findall((ROOT / page).read_text("utf-8"))


def lines(page: str) -> Iterator[str]:
    """The commands of a page, each as one line."""
    for language, text in blocks(page):
        if language == "console":
            for line in text.replace("\\\n", " ").splitlines():
                assert line.startswith("$ "), f"{page}: {line}"
                yield line.removeprefix("$ ")


def why_not(line: str) -> str | None:
    return next((why for start, why in NOT_RUN.items() if line.startswith(start)), None)


def smaller(words: list[str]) -> list[str]:
    """The same command with fewer showers, one epoch, the quick variants."""
    if "-n" in words:
        at = words.index("-n") + 1
        words[at] = str(min(int(words[at]), 2 if words[0] == "geant4" else 150))
    if words[0] == "train" and words[1] not in {"fastcalosim", "library"}:
        words += ["--epochs", "1", "--batch-size", "32", "--threads", "1"]
    if words[0] == "evaluate" and "--quick" not in words:
        words += ["--quick"]
    return words


# Toy data


def showers(
    particle: str, count: int, energy: tuple[float, float], readout: str = "calogan"
) -> Showers:
    """Showers that stand for those of Geant4."""
    energies = np.random.default_rng(count).uniform(*energy, count)
    name = {"e+": "eplus", "gamma": "gamma", "pi+": "piplus"}[particle]
    return caloforge.load(f"fastcalosim-{name}").sample(
        energies, seed=2, detector=load_detector(readout)
    )


def make(path: Path) -> None:
    """A file or folder of the name that pages take for granted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name in {"eplus.h5", "gamma.h5", "my-geant4.h5"}:
        particle = "gamma" if path.name == "gamma.h5" else "e+"
        whole = path.with_name("whole.h5")
        write_showers(whole, showers(particle, 600, (1, 100)))
        split_file(whole, path, fractions=(0.5, 0.25, 0.25))
        whole.unlink()
    elif path.name == "geant4.h5":
        write_showers(path, showers("pi+", 400, (50, 50)))
    elif path.name in {"showers.h5", "eplus-model.h5"}:
        write_showers(path, showers("e+", 200, (1, 100)))
    elif path.name == "voxels.h5":
        write_showers(path, showers("e+", 20, (1, 100), readout="lar-voxels"))
    elif path.name == "raw.h5":
        (path.parent / "siw-voxels.toml").write_text(SIW)
        detector = load_detector(path.parent / "siw-voxels.toml")
        rng = np.random.default_rng(1)
        energy = rng.uniform(1, 50, 1600)
        shares = rng.dirichlet(np.full(detector.n_cells, 0.5), 1600) * rng.uniform(
            0.8, 1, (1600, 1)
        )
        deposits = (1e3 * energy[:, None] * shares).astype(np.float32)
        write_showers(path, Showers(detector, energy, deposits, "e-"))
    elif path.name in {"artefact", "my-aimed-model"}:
        wide = [CONDITIONS[0], *({**item, "low": -100.0, "high": 100.0} for item in CONDITIONS[1:])]
        make_slanted(path, conditions=wide)
    elif path.name == "my-run":
        make(path.with_name("my-geant4.h5"))
        recipe = {"system": "lagan", "data": {"e+": path.with_name("my-geant4.h5")}, "threads": 1}
        settings = {"epochs": 1, "batch_size": 32, "layer": 2}
        train(Recipe.parse({**recipe, "settings": settings}), path)
    elif path.name == "other-evaluation":
        path.mkdir()
        found, _ = evaluate(
            showers("e+", 300, (1, 100)), [showers("e+", 200, (1, 100))], sections=("energy",)
        )
        write_evaluation(path / METRICS, found)
    elif path.name != "siw-voxels.toml":
        pytest.fail(f"nobody knows how to make {path.name}")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "page"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[pytest.mark.slow] * (Path(page).name in LONG)) for page in PAGES],
)
def test_what_a_page_says_works(
    page: str, here: Path, cli: Cli, run_cli: Cli, request: pytest.FixtureRequest
) -> None:
    for name in TAKEN_FOR_GRANTED.get(page, []):
        make(here / name)
    found = blocks(page)
    for language, text in found:  # files that are shown are there
        if language == "yaml":
            (here / "my-recipe.yaml").write_text(text)
    names: dict[str, object] = {}
    for language, text in found:
        if language == "python":
            exec(compile(text, f"{page}, a python block", "exec"), names)
        elif language == "toml" and "name =" in text:
            (here / "detector.toml").write_text(text)
            load_detector(here / "detector.toml")
        elif language == "console":
            for line in text.replace("\\\n", " ").splitlines():
                if why_not(line.removeprefix("$ ")) is None:
                    follow(line.removeprefix("$ "), run_cli if " geant4 " in line else cli, request)


def follow(line: str, cli: Cli, request: pytest.FixtureRequest) -> None:
    program, *words = shlex.split(line, comments=True)
    assert program == "caloforge", f"{line}: run it, or say in NOT_RUN why not"
    if words[0] == "geant4":
        request.getfixturevalue("geant4_data")
    done = cli(*smaller(words))
    assert done.code == 0, f"{line}\n{done.err}"
    if "-o" in words and "--readout" not in words:
        assert Path(words[words.index("-o") + 1]).exists(), line


@pytest.mark.parametrize("page", PAGES)
def test_what_is_not_run_is_right_as_far_as_can_be_seen(page: str) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for line in lines(page):
        if why_not(line) is None:
            continue
        program, *words = shlex.split(line, comments=True)
        if program == "make":
            assert set(words) <= set(targets), line
        elif program == "pip":
            extras = re.findall(r"\[(.*)\]", line)
            named = {name for group in extras for name in group.split(",")}
            assert named <= project["optional-dependencies"].keys(), line
        else:
            app.parse_args(words, exit_on_error=False, print_error=False)


def test_nothing_is_left_out_that_no_page_has() -> None:
    every = [line for page in PAGES for line in lines(page)]
    for start in NOT_RUN:
        assert any(line.startswith(start) for line in every), start
    assert TAKEN_FOR_GRANTED.keys() <= set(PAGES)
