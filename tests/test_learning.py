"""Trainings on Geant4 showers as a user runs them: they learn, and survive being killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from caloforge.training import Recipe, Run, train
from conftest import PATIENCE

pytestmark = pytest.mark.slow

_TRAIN, _VALIDATION = 1000, 500


@pytest.fixture(scope="module")
def showers(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,000 train rows and 500 validation rows of the Geant4 positrons."""
    path = tmp_path_factory.mktemp("data") / "eplus.h5"
    with h5py.File(shared / "data" / "eplus.h5") as source, h5py.File(path, "w") as target:
        split = source["split"][:]
        rows = np.sort(
            np.concatenate(
                [np.flatnonzero(split == 0)[:_TRAIN], np.flatnonzero(split == 1)[:_VALIDATION]]
            )
        )
        for name in ("energy", "layer_0", "layer_1", "layer_2", "overflow", "split"):
            target[name] = source[name][rows]
    return path


def test_a_few_epochs_on_a_thousand_showers_teach_something(showers: Path, tmp_path: Path) -> None:
    recipe = Recipe.parse(
        {
            "system": "atlas-vae",
            "data": {"e+": showers},
            "validate_every": 4,
            "choose_by": "frechet",
            "threads": 1,
            "settings": {"epochs": 40},
        }
    )
    run = train(recipe, tmp_path / "run")
    looks = [look["frechet"] for look in run.records("validation")]
    first, best = looks[0], min(look for look in looks if look is not None)
    assert first is None or best < 0.3 * first, looks
    assert len(looks) > 3


def test_a_few_epochs_teach_a_generator_against_a_discriminator(
    showers: Path, tmp_path: Path
) -> None:
    """LAGAN on the last layer: CaloGAN's streams, of which the whole takes an hour."""
    recipe = Recipe.parse(
        {
            "system": "lagan",
            "data": {"e+": showers},
            "validate_every": 5,
            "choose_by": "separation",
            "threads": 1,
            "settings": {"layer": 2, "epochs": 25},
        }
    )
    run = train(recipe, tmp_path / "run")
    looks = [look["separation"] for look in run.records("validation")]
    assert looks[0] > 0.2, looks
    assert min(looks) < 0.6 * looks[0], looks


def test_killed_and_resumed_it_goes_through_the_same_numbers(showers: Path, tmp_path: Path) -> None:
    """SIGKILL at no moment of our choosing, several times over."""

    def command(folder: Path, *more: str) -> list[str]:
        options = ["--particle", "e+", "--epochs", "12", "--threads", "1", "--quiet"]
        options += ["--checkpoint-every", "0.2s"]
        head = [sys.executable, "-m", "caloforge", "train", "atlas-vae", *options]
        return [*head, "--data", str(showers), "-o", str(folder), *more]

    subprocess.run(command(tmp_path / "whole"), check=True, timeout=PATIENCE)
    killed = 0
    for wait in (0.3, 0.7, 1.1, 1.3):
        process = subprocess.Popen(command(tmp_path / "parts", "--resume"))
        checkpoint = tmp_path / "parts" / "checkpoint.safetensors"
        while not checkpoint.exists() and process.poll() is None:
            time.sleep(0.01)
        before = checkpoint.stat().st_mtime_ns
        deadline = time.monotonic() + PATIENCE
        # Until it goes on: starting takes seconds.
        while process.poll() is None and checkpoint.stat().st_mtime_ns == before:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(wait)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
    assert killed
    subprocess.run(command(tmp_path / "parts", "--resume"), check=True, timeout=PATIENCE)
    whole, parts = Run.open(tmp_path / "whole"), Run.open(tmp_path / "parts")
    for which in ("checkpoint", "best"):
        one, other = (load_file(getattr(run, which)) for run in (whole, parts))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
    logs = [
        [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in file]
        for file in (run.metrics.read_text().splitlines() for run in (whole, parts))
    ]
    assert logs[0] == logs[1]
