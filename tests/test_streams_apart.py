"""What draws random numbers draws from a stream of its own, whatever the seeds have in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caloforge
from artefacts import make_artefact, network
from caloforge.detector import load_detector
from caloforge.evaluation.classifiers.network_test import classifier_test
from caloforge.evaluation.classifiers.protocols import PROTOCOLS
from caloforge.evaluation.classifiers.strong import strong_test
from caloforge.evaluation.classifiers.strong_result import StrongProtocol
from caloforge.evaluation.classifiers.transfer import TransferProtocol, transfer_test
from caloforge.evaluation.classifiers.trees import TreesProtocol, trees_test
from caloforge.evaluation.distances.response import conditional_response
from caloforge.evaluation.judge import evaluate
from caloforge.evaluation.sections import SECTIONS
from caloforge.evaluation.sections.pair import Pair
from caloforge.export.closure import compare_layers
from caloforge.random import Purpose
from caloforge.showers import Showers, write_showers
from caloforge.showers.split import split_file

pytestmark = pytest.mark.usefixtures("torch")

CALOGAN = load_detector("calogan")
SEED = 5
OF_SHOWERS = {
    Purpose.ENERGY,
    Purpose.BEAM,
    Purpose.GENERATOR,
    Purpose.GEANT4,
    Purpose.CONVERSION,
    Purpose.EVENT,
    Purpose.MEMBER,
}
Key = tuple[int, ...]  # words of the key and the counter
PURPOSE = 4


def made_up(n: int, seed: int, particle: str = "e+") -> Showers:
    rng = np.random.default_rng(seed)
    energy = np.exp(rng.uniform(0, np.log(100), n))
    shares = rng.dirichlet(np.full(CALOGAN.n_cells, 0.1), n) * rng.uniform(0.9, 1.0, (n, 1))
    return Showers(CALOGAN, energy, (1e3 * energy[:, None] * shares).astype(np.float32), particle)


def streams_of(call: Callable[[], object]) -> list[Key]:
    """Where each Philox that is made meanwhile begins."""
    keys: list[Key] = []

    class Philox(np.random.Philox):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            state = self.state["state"]
            keys.append((*state["key"].tolist(), *state["counter"].tolist()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np.random, "Philox", Philox)
        call()
    return keys


def drawers(folder: Path) -> dict[str, Callable[[], object]]:
    """All that draws random numbers and makes no showers, with one and the same seed."""
    from caloforge.training.selection import score

    first, second = made_up(400, 1), made_up(400, 2)
    few = {particle: made_up(120, i, particle) for i, particle in enumerate(("e+", "pi+"))}
    paths = folder / "first.h5", folder / "second.h5"
    for path, showers in zip(paths, (first, second), strict=True):
        write_showers(path, showers)
    layers = CALOGAN.layer_sums(first.deposits)
    generator = caloforge.load(make_artefact(folder / "artefact", network()))
    pair = Pair(first, second, made_up(500, 4), SEED, quick=True)
    trees, transfer = TreesProtocol(trees=2), TransferProtocol().quick().changed(epochs=1)
    strong = StrongProtocol(thresholds=(0.0, 1.0), trees=2, epochs=1)
    protocol = PROTOCOLS["calochallenge-high"].quick().changed(epochs=1)
    found: dict[str, Callable[[], object]] = {
        name: partial(section, pair)
        for name, section in SECTIONS.items()
        if name not in {"headline", "trees", "classifiers"}  # below, smaller
    }
    return found | {
        "split": lambda: split_file(paths[0], folder / "split.h5", seed=SEED),
        "judge": lambda: evaluate(paths[0], [paths[1]], seed=SEED, sections=(), match=True),
        "trees": lambda: trees_test(first, second, trees, seed=SEED),
        "strong": lambda: strong_test(first, second, strong, seed=SEED),
        "classifier": lambda: classifier_test(first, second, protocol, seed=SEED, repeats=3),
        "transfer": lambda: transfer_test(
            few, few, transfer, seed=SEED, trials=1, pairs=(("e+", "pi+"),)
        ),
        "closure": lambda: compare_layers(first.energy, layers, layers[None], seed=SEED),
        "selection": lambda: score([first], [second.deposits], ["separation"], seed=SEED),
        "conditional": lambda: conditional_response(generator, [10.0], 60, SEED),
    }


def test_no_two_share_a_stream_and_none_has_that_of_a_shower(tmp_path: Path) -> None:
    seen: dict[Key, str] = {}
    quiet = {
        "images",
        "spectra",
        "conservation",
        "tails",
        "alignment",
    }  # have nothing that is random
    for name, draw in drawers(tmp_path).items():
        keys = streams_of(draw)
        if name == "conditional":  # makes showers, too, and moves a Philox among their streams
            keys = [key for key in keys if key[0] == SEED]
        assert bool(keys) == (name not in quiet), name
        for key in keys:
            assert key[:3] == (SEED, 0, 0), name
            assert Purpose(key[PURPOSE]) not in OF_SHOWERS, name
            assert key not in seen, f"{name} and {seen[key]}"
            seen[key] = name
    assert sum(name == "classifier" for name in seen.values()) == 3
    assert sum(name == "manifold" for name in seen.values()) == 3
    assert [key[PURPOSE] for key, name in seen.items() if name == "judge"] == [Purpose.MATCHING]
