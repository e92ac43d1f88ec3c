"""Names of files say what is in them, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

import caloforge
from caloforge.errors import OutputError
from conftest import Cli

GENERATE = "generate --particle e+ --energy 5 -n 4 --workers 1"


@pytest.mark.parametrize(
    ("line", "name", "legal"),
    [
        (f"{GENERATE} -o", "x.root", ".h5 or .hdf5"),
        (f"{GENERATE} -o", "x.npz", ".h5 or .hdf5"),
        (f"{GENERATE} -o", "x.h5.gz", ".h5 or .hdf5"),
        (f"{GENERATE} -o x.h5 --page", "x.pdf", ".html or .htm"),
        ("geant4 --particle e+ --energy 5 -n 1 -o", "x.root", ".h5 or .hdf5"),
        ("data convert in.h5 -o", "x.root", ".h5 or .hdf5"),
        ("data split in.h5 -o", "x.csv", ".h5 or .hdf5"),
        ("data example -o", "x.root", ".h5 or .hdf5"),
        ("data page in.h5 -o", "x.png", ".html or .htm"),
        ("benchmark fastcalosim --particle e+ -o", "x.md", ".json"),
        ("compare some-folder -o", "x.html", ".md"),
    ],
)
def test_commands_refuse_what_it_will_not_be(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, name: str, legal: str
) -> None:
    monkeypatch.chdir(tmp_path)
    caloforge.write("in.h5", caloforge.example("e+")[:5])
    result = cli(*line.split(), name)
    assert result.code == 2
    assert result.out == ""
    ends = name[name.rindex(".") :]
    expected = f"output {name}: ends with {ends}, must end with {legal}, which it will be\n"
    assert result.err == f"caloforge: error: {expected}"
    assert [file.name for file in tmp_path.iterdir()] == ["in.h5"]


@pytest.mark.parametrize("name", ["x.h5", "x.hdf5", "x.H5", "x"])
def test_what_it_will_be_or_nothing_is_legal(tmp_path: Path, name: str) -> None:
    caloforge.write(tmp_path / name, caloforge.example("e+")[:5])
    assert len(caloforge.read(tmp_path / name)) == 5


def test_python_refuses_it_too(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="must end with"):
        caloforge.write(tmp_path / "x.root", caloforge.example("e+")[:5])
