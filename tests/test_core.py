"""An installation without extras: the core works, and what needs more says so in one line.

In a process from which everything is hidden that only the extras of pyproject.toml install.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import caloforge
from conftest import PATIENCE, ROOT, Result

# Names to import of what is installed under another name, and what comes with it.
IMPORTED = {
    "pillow": ["PIL"],
    "pyyaml": ["yaml"],
    "pytest-xdist": ["xdist"],
    "scikit-learn": ["sklearn", "joblib", "threadpoolctl"],
    "myst-parser": ["myst_parser"],
    "types-pyyaml": [],
}
WITHOUT = """
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        hidden = name.partition(".")[0] in HIDDEN
        return None if hidden else self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)

sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
from caloforge.cli import main
main(sys.argv[1:])
"""


def hidden() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = {
        re.split(r"[\[<>=]", requirement)[0]
        for group in project["optional-dependencies"].values()
        for requirement in group
    }
    core = {re.split(r"[\[<>=]", requirement)[0] for requirement in project["dependencies"]}
    names = extras - core - {"caloforge"}
    assert {"torch", "scipy", "matplotlib"} <= names
    return {each for name in names for each in IMPORTED.get(name, [name])}


def run(folder: Path, line: str) -> Result:
    code = f"HIDDEN = {sorted(hidden())!r}\n{WITHOUT}"
    done = subprocess.run(
        [sys.executable, "-c", code, *shlex.split(line)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.mark.slow
def test_the_core_does_what_it_promises(tmp_path: Path) -> None:
    for line in (
        "generate --particle e+ --energy 1:100 -n 20 --seed 1 -o a.h5 --page a.html",
        "generate --model atlas-vae --particle gamma --energy 65 -n 5 --workers 2 -o b.h5",
        "data info a.h5 --json",
        "data convert a.h5 --detector lar-voxels -o v.h5",
        "data split a.h5 -o s.h5 --seed 1",
        "models list",
        "models show calogan-piplus",
        "benchmark fastcalosim --particle e+ --no-geant4 --batch 1 --budget 0.01",
        "--help",
        "train --help",
    ):
        done = run(tmp_path, line)
        assert (done.code, done.err) == (0, ""), line
    assert {"a.h5", "a.html", "b.h5", "v.h5", "s.h5"} <= {item.name for item in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("line", "extra"),
    [
        ("evaluate --reference a.h5 --showers a.h5 -o out", "evaluate"),
        ("train atlas-vae --particle e+ --data a.h5 -o run", "train"),
        ("export run -o model", "train"),
    ],
)
def test_what_needs_more_says_so(tmp_path: Path, line: str, extra: str) -> None:
    caloforge.generate(tmp_path / "a.h5", particle="e+", energy="1:100", count=200, seed=1)
    done = run(tmp_path, line)
    assert done.code == 2
    assert f"pip install 'caloforge[{extra}]'" in done.err
    assert done.err.count("\n") == 1
