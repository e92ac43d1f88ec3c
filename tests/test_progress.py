"""What a long command says while it runs, and when it is interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest

from caloforge.cli.interrupted import way_on
from caloforge.cli.log import Log


def test_lines_come_ever_more_seldom(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    log = Log("e+ showers", lambda: now)
    times = []
    for second in range(3600):
        now = float(second)
        log.tell(second / 3600, f"{second:,} of 3,600 showers")
        if capsys.readouterr().err:
            times.append(second)
    assert times == [30, 90, 210, 450, 930, 1530, 2130, 2730, 3330]


def test_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    log = Log("training", lambda: now)
    log.tell(0.0, "begins")
    assert capsys.readouterr().err == ""
    now = 100.0
    log.tell(0.25, "epoch 3,\nloss 0.5")
    line = "training: epoch 3, loss 0.5 (25%) after 1:40, 5:00 left\n"
    assert capsys.readouterr() == ("", line)
    now = 500.0
    log.tell(0.0, "nothing yet")
    assert capsys.readouterr().err == "training: nothing yet (0%) after 8:20\n"


def test_way_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["generate", "--particle", "e+", "--energy", "1:100", "-n", "9", "-o", "a b.h5"]
    assert way_on(words) == ""
    Path("a b.h5.part").mkdir()
    expected = "caloforge generate --particle e+ --energy 1:100 -n 9 -o 'a b.h5' --resume"
    assert way_on(words) == way_on([*words, "--overwrite"]) == way_on([*words, "--resume"])
    assert way_on(words) == expected
    several = ["geant4", "--readout", "calogan", "--readout", "lar-voxels", "--output=g.h5"]
    assert way_on(several) == ""
    Path("g-calogan.h5.part").mkdir()
    assert way_on(several).endswith("--output=g.h5 --resume")
    train = ["train", "atlas-vae", "-o", "run"]
    Path("run").mkdir()
    assert way_on(train) == ""
    Path("run/checkpoint.safetensors").touch()
    assert way_on(train) == "caloforge train atlas-vae -o run --resume"
    assert way_on([]) == way_on(["data", "split", "x.h5", "-o", "run"]) == way_on(["-o"]) == ""
