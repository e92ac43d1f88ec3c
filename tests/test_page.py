"""The page of a file of showers, whatever made them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caloforge
from artefacts import CALOGAN, make_artefact
from caloforge.errors import ShowersError
from caloforge.export.card import write_reference
from caloforge.incident.incident import Incident
from caloforge.provenance import file_sha256
from caloforge.runtime import best_artefact
from caloforge.showers import Showers
from caloforge.showers.writing import ShowerSink
from caloforge.web.page import write_page
from conftest import Cli
from toys.several import make_several


def content(page: Path) -> dict[str, Any]:
    text = page.read_text("utf-8")
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert match
    found: dict[str, Any] = json.loads(match[1])
    return found


def showers(count: int = 30) -> Showers:
    rng = np.random.default_rng(1)
    incident = Incident.of(rng.uniform(1, 100, count), "e+")
    return incident.showers(CALOGAN, rng.exponential(20, (count, 504)))


@pytest.fixture
def artefact(tmp_path: Path) -> Path:
    """An artefact with Geant4 showers to compare with."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    write_reference(folder, showers(300))
    make_artefact(folder)
    card = json.loads((folder / "card.json").read_text("utf-8"))
    card["files"] |= {file.name: file_sha256(file) for file in folder.glob("reference*")}
    (folder / "card.json").write_text(json.dumps(card), "utf-8")
    return folder


def test_of_a_generator(cli: Cli, artefact: Path, tmp_path: Path) -> None:
    """All that the page says comes from the file: the model, how it was called, the reference."""
    path = tmp_path / "out.h5"
    line = f"generate --model {artefact} --particle e+ --energy 1:100 -n 40 --seed 3 --workers 1"
    assert cli(*line.split(), "-o", path, "--page", tmp_path / "one.html").code == 0
    write_page(tmp_path / "other.html", path)
    one, other = (content(tmp_path / name) for name in ("one.html", "other.html"))
    run = one["run"]
    assert (run["generator"], run["version"], run["seed"]) == ("tiny-eplus", "1", 3)
    words = f"--particle e+ --energy 1:100 -n 40 --seed 3 --model {artefact}"
    assert run["command"] == f"caloforge generate {words}"
    assert run["seconds_per_shower"] > 0
    assert "cores" in run["machine"]
    assert one["reference"]["count"] == 300
    # Who only looks at the file has not made it: there is no time, and no machine.
    assert (other["run"]["seconds_per_shower"], other["run"]["machine"]) == (None, "")
    for key in ("particle", "detector", "showers", "reference", "response", "events"):
        assert one[key] == other[key]


def test_reference_must_be_that_of_the_run(cli: Cli, artefact: Path, tmp_path: Path) -> None:
    path, page = tmp_path / "out.h5", tmp_path / "page.html"
    line = f"generate --model {artefact} --particle e+ --energy 1:100 -n 40 --workers 1 -o"
    assert cli(*line.split(), path).code == 0
    write_reference(artefact, showers(200))
    write_page(page, path)
    assert content(page)["reference"] is None
    (artefact / "card.json").unlink()
    write_page(page, path)
    assert content(page)["reference"] is None


def test_reference_of_each_particle(cli: Cli, tmp_path: Path) -> None:
    folder = make_several(tmp_path / "several")
    for name, count in (("e+", 50), ("pi+", 60)):
        write_reference(folder, replace(showers(count), particle=name), several=True)
    files = {file.name: file_sha256(file) for file in folder.iterdir()}
    files.pop("card.json", None)
    assert set(files) >= {"reference-eplus-calogan.json", "reference-piplus-calogan.json"}
    card = json.loads((folder / "card.json").read_text("utf-8")) | {"files": files}
    (folder / "card.json").write_text(json.dumps(card), "utf-8")
    for name, found in (("e+", 50), ("pi+", 60), ("gamma", None)):
        path, page = tmp_path / f"{name}.h5", tmp_path / f"{name}.html"
        line = f"generate --model {folder} --particle {name} --energy 1:100 -n 20 --workers 1 -o"
        assert cli(*line.split(), path, "--page", page).code == 0
        reference = content(page)["reference"]
        assert (reference and reference["count"]) == found


def test_shipped_reference(tmp_path: Path) -> None:
    path, page = tmp_path / "out.h5", tmp_path / "page.html"
    caloforge.generate(path, particle="gamma", energy="1:100", count=20, seed=1)
    write_page(page, path)
    found = content(page)
    name = best_artefact("gamma").name
    assert found["run"]["generator"] == name
    command = "caloforge generate --particle gamma --energy 1:100 -n 20 --seed 1 "
    command += f"--model {name}"
    assert found["run"]["command"] == command
    assert found["reference"]["count"] > 1000
    assert found["profiles"][0]["reference"] is not None
    # Geant4 showers of about the same energies are drawn beside those of the generator.
    energies = [[item["energy"] for item in found[key]] for key in ("events", "reference_events")]
    assert energies[0] == sorted(energies[0])
    assert energies[1] == pytest.approx(energies[0], rel=0.1)


def test_of_two_files(tmp_path: Path) -> None:
    one, two, page = tmp_path / "one.h5", tmp_path / "two.h5", tmp_path / "page.html"
    caloforge.write(one, showers(30))
    caloforge.write(two, showers(300))
    write_page(page, one, beside=two)
    found = content(page)
    assert found["run"]["generator"] == "one.h5"
    assert (found["reference"]["name"], found["reference"]["count"]) == ("two.h5", 300)
    assert len(found["events"]) == len(found["reference_events"]) == 5
    caloforge.write(two, showers(5)[:2], overwrite=True)
    write_page(page, one, beside=two)
    assert len(content(page)["reference_events"]) == 2
    caloforge.write(two, caloforge.example("gamma"), overwrite=True)
    with pytest.raises(ShowersError, match="same particle as the reference, gamma"):
        write_page(page, one, beside=two)


def test_all_showers_of_one_energy(tmp_path: Path) -> None:
    path, page = tmp_path / "out.h5", tmp_path / "page.html"
    caloforge.generate(path, particle="e+", energy="50", count=20, seed=1)
    write_page(page, path)
    found = content(page)
    assert [item["energy"] for item in found["events"]] == [50.0] * 5
    assert len({json.dumps(item["deposits"]) for item in found["events"]}) == 5
    assert len({json.dumps(item["deposits"]) for item in found["reference_events"]}) == 5


def test_of_any_file(tmp_path: Path) -> None:
    path, page = tmp_path / "some.h5", tmp_path / "page.html"
    for run, name in (
        ({}, "some.h5"),
        ({"physics": {}, "command": "caloforge geant4 -n 5", "seed": 2}, "Geant4"),
        ({"model": "no-such-model", "files": {}, "seed": "none"}, "no-such-model"),
        ({"model": 5, "files": []}, "5"),
    ):
        with ShowerSink(path, run=run) as sink:
            sink.append(showers())
        write_page(page, path)
        found = content(page)
        assert found["run"]["generator"] == name
        assert found["run"]["command"] == run.get("command", "")
        assert found["reference"] is None
        assert found["showers"]["count"] == 30
        assert f"showers from {name}" in page.read_text("utf-8")


def test_no_showers(tmp_path: Path) -> None:
    path = tmp_path / "none.h5"
    with ShowerSink(path) as sink:
        sink.append(showers()[:0])
    with pytest.raises(ShowersError, match="no showers"):
        write_page(tmp_path / "page.html", path)


def test_command_line(cli: Cli, tmp_path: Path) -> None:
    one, two = tmp_path / "one.h5", tmp_path / "two.h5"
    caloforge.write(one, caloforge.example("e+")[:50])
    caloforge.write(two, caloforge.example("e+")[50:200])
    result = cli("data", "page", one)
    assert (result.code, result.err) == (0, "")
    assert "one.html: open it in a browser" in result.out
    assert content(tmp_path / "one.html")["reference"] is None
    assert "exists already" in cli("data", "page", one).err
    both = tmp_path / "both.html"
    assert cli("data", "page", one, two, "-o", both).code == 0
    assert content(both)["reference"]["name"] == "two.h5"
    assert cli("data", "page", one, tmp_path / "no.h5", "-o", both, "--overwrite").code == 2
