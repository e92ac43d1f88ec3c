"""The command line: help with examples, exit codes, one line on standard error."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cyclopts import App

import caloforge
from artefacts import make_artefact
from bad_files import LAYOUT, VALUES, arrays, write
from caloforge.cli import app
from caloforge.runtime import artefact_names
from caloforge.showers import Showers, open_showers, read_showers, write_showers
from caloforge.showers.output import Output
from conftest import Cli, Result


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with an artefact and a good file."""
    make_artefact(tmp_path / "tiny")
    write(tmp_path / "good.h5", arrays(), particle="e+")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def commands(
    parent: App = app, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], App]]:
    yield path, parent
    for name in parent:
        if not name.startswith("-"):
            yield from commands(parent[name], (*path, name))


COMMANDS = dict(commands())
GENERATE = "generate --model tiny --particle e+ --energy 5 -n 4 -o out.h5"


def examples(command: App) -> list[str]:
    return re.findall(r"caloforge [^\n*`]+", command.help_epilogue or "")


def complaint(result: Result) -> str:
    """The sentence of a command that refused."""
    assert result.code == 2, result
    assert result.out == ""
    lines = result.err.splitlines()
    assert len(lines) == 1, result.err
    assert lines[0].startswith("caloforge: error: ")
    return lines[0]


def strict(text: str) -> Any:
    """JSON as the standard has it: no NaN, nothing around it."""

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


# Help


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_has_an_example(cli: Cli, path: tuple[str, ...]) -> None:
    result = cli(*path, "--help")
    assert (result.code, result.err) == (0, "")
    assert "Usage: caloforge" in result.out
    assert "Example" in result.out
    assert examples(COMMANDS[path])


@pytest.mark.parametrize(
    "example", sorted({text for command in COMMANDS.values() for text in examples(command)})
)
def test_examples_are_understood(example: str) -> None:
    words = shlex.split(example)[1:]
    _, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    assert bound.arguments or len(words) == 2


def test_version_and_nothing(cli: Cli) -> None:
    assert cli("--version").out.strip() == caloforge.__version__
    result = cli()
    assert (result.code, result.err) == (0, "")
    assert "generate" in result.out


# Usage


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nonsense", ["nonsense", "generate"]),
        ("generate", ["--particle"]),
        (f"{GENERATE} --wokers 2", ["--wokers", "Did you mean --workers"]),
        (f"{GENERATE} --seed x", ["--seed: got 'x', must be a whole number"]),
        ("generate --particle e+ --energy 5 -o x.h5 -n 2.7", ["-n: got '2.7', must be a whole"]),
        ("generate --particle e+ --energy 5 -o x.h5 -n nan", ["-n: got 'nan'"]),
        ("generate --particle e+ --energy 5 -o x.h5 -n 1e999999999", ["-n: got '1e999999999'"]),
        ("benchmark tiny --batch 1e1 --batch 1.5", ["--batch: got '1.5'"]),
        (f"{GENERATE} --format root", ["--format", "calogan", "calochallenge"]),
        ("data info", ["FILE"]),
        ("data split good.h5 -o out.h5 --fractions 1 2", ["--fractions"]),
        ("models show", ["--name"]),
        ("geant4", ["--particle, --energy, -n, --output must be given"]),
        ("geant4 --particle e+ --energy 5 -n 5 -o x.h5 --em fast", ["--em", "option1"]),
        (
            "train fastcalosim --particle e+ --data x.h5 -o m --energy-range 1,50,3",
            ["energy_range: got '1,50,3', must be LOW:HIGH"],
        ),
        ("export run -o m --energy-range file:x.h5", ["energy_range: got 'file:x.h5'"]),
    ],
)
def test_usage(cli: Cli, line: str, words: list[str]) -> None:
    sentence = complaint(cli(*shlex.split(line)))
    for word in words:
        assert word in sentence


def test_whole_numbers_may_be_written_as_decimals(cli: Cli) -> None:
    line = "generate --model tiny --particle positron --energy 5 --workers 1"
    for count, name in (("2e1", "a.h5"), ("20", "b.h5"), ("2_0.0", "c.h5")):
        assert cli(*shlex.split(f"{line} -n {count} --seed 1e3 -o {name}")).code == 0
    first, *others = (read_showers(name) for name in ("a.h5", "b.h5", "c.h5"))
    assert len(first) == 20
    for other in others:
        np.testing.assert_array_equal(first.deposits, other.deposits)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("-n 0", ["n: got 0, must be at least 1"]),
        ("-n -5", ["n: got -5"]),
        ("--workers 0", ["workers: got 0"]),
        ("--workers -1", ["workers: got -1"]),
        ("--batch 0", ["batch: got 0"]),
        ("--seed -1", ["seed: got -1"]),
        ("--seed 9223372036854775808", ["seed: got 9223372036854775808"]),
        ("--energy five", ["energy: ", "'five'", "1:100"]),
        ("--energy -5", ["energy: ", "positive"]),
        ("--energy nan", ["energy: "]),
        ("--energy 5:1", ["LOW < HIGH"]),
        ("--energy 0.5", ["0.5 GeV is outside the 1-100 GeV", "--extrapolate"]),
        ("--energy 1:101", ["101 GeV is outside"]),
        ("--energy file:none.txt", ["there is no file none.txt"]),
        ("--energy file:good.h5 -n 5", ["holds 4 energies, 5 showers were asked for"]),
        ("--particle quark", ["particle: 'quark'"]),
        ("--particle gama", ["did you mean gamma?"]),
        ("--particle pi+", ["particle: ", "pi+", "only for e+; ask for one of these by name"]),
        ("--particle electron", ["for e-, only for e+; ask for one of these by name"]),
        ("--particle +-5", ["particle: '+-5'"]),
        ("--model fastcalosm", ["model: 'fastcalosm'"]),
        ("--model .", ["model: '.'"]),
        ("--detector calogn", ["did you mean calogan?"]),
        ("--detector lar-voxels", ["tiny-eplus fills 'calogan'"]),
        ("--detector none.toml", ["there is no file none.toml"]),
        ("-o none/out.h5", ["output none/out.h5: there is no folder none"]),
        ("-o good.h5", ["good.h5: exists already", "--overwrite"]),
        ("-o tiny", ["output tiny: is a folder"]),
        ("-o good.h5/out.h5", ["there is no folder good.h5"]),
        ("-o /proc/out.h5", ["output /proc/out.h5: "]),
    ],
)
def test_generate_refuses(cli: Cli, here: Path, change: str, words: list[str]) -> None:
    before = sorted(here.iterdir())
    option, value = change.split(" ", 1)
    line = GENERATE.split()
    if option in line:
        at = line.index(option)
        line[at : at + 2] = []
    if " -n" in value:
        line = [word for word in line if word not in {"-n", "4"}]
    sentence = complaint(cli(*line, option, *value.split()))
    for word in words:
        assert word in sentence
    assert sorted(here.iterdir()) == before


@pytest.mark.parametrize("case", LAYOUT)
@pytest.mark.parametrize(
    "command", ["info bad.h5", "convert bad.h5 -o out.h5", "split bad.h5 -o out.h5"]
)
def test_wrong_layout(cli: Cli, here: Path, case: str, command: str) -> None:
    make, word = LAYOUT[case]
    make(here / "bad.h5")
    sentence = complaint(cli("data", *command.split()))
    assert "bad.h5" in sentence
    assert word in sentence
    assert not (here / "out.h5").exists()


@pytest.mark.parametrize("case", VALUES)
@pytest.mark.parametrize("command", ["convert bad.h5 -o out.h5", "split bad.h5 -o out.h5"])
def test_wrong_values(cli: Cli, here: Path, case: str, command: str) -> None:
    make, word = VALUES[case]
    make(here / "bad.h5")
    sentence = complaint(cli("data", *command.split()))
    assert "bad.h5" in sentence
    assert word in sentence
    assert sorted(item.name for item in here.iterdir()) == ["bad.h5", "good.h5", "tiny"]


@pytest.mark.parametrize("case", ["truncated", "deposit NaN"])
def test_in_a_process_of_its_own(run_cli: Cli, here: Path, case: str) -> None:
    make, word = (LAYOUT | VALUES)[case]
    make(here / "bad.h5")
    assert word in complaint(run_cli("data", "convert", "bad.h5", "-o", "out.h5"))


def test_refusals_of_a_conversion(cli: Cli, here: Path) -> None:
    for line, word in (
        ("good.h5 -o good.h5", "exists already"),
        ("good.h5 -o none/out.h5", "there is no folder"),
        ("good.h5 -o out.h5 --detector lar-voxls", "did you mean lar-voxels"),
        ("good.h5 -o out.h5 --detector calochallenge-ds1-photons", "depths"),
        ("good.h5 -o out.h5 --detector lar-voxels --points 0", "points: got 0"),
        ("good.h5 -o out.h5 --detector lar-voxels --format calogan", "cylindrical voxels"),
        ("good.h5 -o out.h5 --source-detector siw", "must be"),
    ):
        assert word in complaint(cli("data", "convert", *line.split()))
    assert "fractions" in complaint(
        cli("data", "split", "good.h5", "-o", "out.h5", "--fractions", "0.5", "0.5", "0.5")
    )
    assert "seed" in complaint(cli("data", "split", "good.h5", "-o", "out.h5", "--seed", "-3"))
    assert sorted(item.name for item in here.iterdir()) == ["good.h5", "tiny"]


def test_two_runs_writing_one_file(cli: Cli, here: Path) -> None:
    with Output([here / "out.h5"], {}, 1):
        for more in ((), ("--resume",), ("--overwrite",)):
            sentence = complaint(cli(*GENERATE.split(), *more))
            assert "another run is writing it" in sentence


def test_interrupts_end_with_code_130(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("caloforge.showers.inspect_file", interrupt)
    result = cli("data", "info", "good.h5")
    assert (result.code, result.err) == (130, "caloforge: error: interrupted\n")


# What works


def test_generate(cli: Cli, run_cli: Cli) -> None:
    result = cli(*GENERATE.split(), "--json")
    assert (result.code, result.err) == (0, "")
    said = strict(result.out)
    assert (said["file"], said["showers"]) == ("out.h5", 4)
    made = read_showers("out.h5")
    expected = caloforge.load("tiny").sample([5.0] * 4, seed=0)
    np.testing.assert_array_equal(made.deposits, expected.deposits)
    quiet = run_cli(*GENERATE.split(), "--quiet", "--overwrite", "--workers", 2, "--batch", 1)
    assert quiet == Result(0, "", "")
    np.testing.assert_array_equal(read_showers("out.h5").deposits, expected.deposits)
    shown = run_cli(*GENERATE.split(), "--overwrite")
    assert shown.out.startswith("out.h5: 4 showers in ")
    assert shown.err == ""  # no bar where nobody watches it
    assert "nothing to resume" in complaint(cli(*GENERATE.split(), "--resume"))


def test_energies_of_a_file(cli: Cli) -> None:
    line = GENERATE.replace("--energy 5", "--energy file:good.h5")
    assert cli(*line.split()).code == 0
    assert read_showers("out.h5").energy.tolist() == [5.0] * 4


def test_info(cli: Cli) -> None:
    said = strict(cli("data", "info", "good.h5", "--json").out)
    assert (said["format"], said["detector"], said["particle"]) == ("calogan", "calogan", "e+")
    assert said["count"] == 4
    assert [layer["shape"] for layer in said["layers"]] == [[3, 96], [12, 12], [12, 6]]
    assert said["energy"] == [5, 5, 5]
    assert said["response"][0] == pytest.approx(504 / 5000)
    text = cli("data", "info", "good.h5").out
    assert "12 x 6 cells" in text
    assert "5 to 5 GeV" in text
    assert cli("data", "info", "good.h5", "--quiet").out == ""


@pytest.mark.parametrize("case", [case for case in VALUES if case != "damaged"])
def test_info_tells_what_is_wrong(cli: Cli, here: Path, case: str) -> None:
    VALUES[case][0](here / "bad.h5")
    result = cli("data", "info", "bad.h5", "--json")
    assert result.code == 0
    assert any("1 showers have values" in problem for problem in strict(result.out)["problems"])


def test_info_of_nothing(cli: Cli) -> None:
    showers = read_showers("good.h5")
    write_showers("none.h5", showers[:0])
    said = strict(cli("data", "info", "none.h5", "--json").out)
    assert "there are no showers" in said["problems"]
    assert cli("data", "info", "none.h5").code == 0


def test_convert_and_split(cli: Cli) -> None:
    line = ["data", "convert", "good.h5", "-o", "v.h5", "--detector", "lar-voxels"]
    said = strict(cli(*line, "--json").out)
    assert (said["file"], said["showers"], said["left_out"]) == ("v.h5", 4, 0)
    assert said["uncovered_fraction"] == pytest.approx(0, abs=1e-6)
    assert read_showers("v.h5").detector.name == "lar-voxels"
    assert cli("data", "convert", "v.h5", "-o", "v.h5", "--overwrite", "--quiet") == Result(
        0, "", ""
    )
    said = strict(
        cli("data", "split", "v.h5", "-o", "s.h5", "--fractions", 0.5, 0.5, 0, "--json").out
    )
    assert sum(said["split"].values()) == 4
    with open_showers("s.h5") as file:
        assert file.split_counts == said["split"]
    assert "is split already" in complaint(cli("data", "split", "s.h5", "-o", "t.h5"))


def test_models(cli: Cli) -> None:
    said = strict(cli("models", "list", "--json").out)
    assert [card["name"] for card in said["models"]] == artefact_names()
    assert cli("models", "list").code == 0
    for name in (*artefact_names(), "tiny"):
        result = cli("models", "show", name, "--json")
        assert strict(result.out)["particles"]
        assert cli("models", "show", name).code == 0
    assert "model: 'none'" in complaint(cli("models", "show", "none"))


def test_showers_of_the_api_are_those_of_the_command_line(cli: Cli) -> None:
    line = GENERATE.replace("--energy 5", "--energy 1:100").replace("-n 4", "-n 50")
    cli(*line.split(), "--seed", 9)
    caloforge.generate("api.h5", model="tiny", particle=-11, energy="1:100", count=50, seed=9)
    assert Path("api.h5").read_bytes() == Path("out.h5").read_bytes()
    assert isinstance(caloforge.read("api.h5"), Showers)
