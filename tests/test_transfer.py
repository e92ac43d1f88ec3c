"""Transfer of particle classifiers between Geant4 and generated showers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from caloforge.detector import load_detector
from caloforge.errors import CaloforgeError, ShowersError
from caloforge.evaluation.classifiers.transfer import TransferProtocol, transfer_test
from caloforge.showers import Showers, read_showers

pytestmark = pytest.mark.usefixtures("torch")

FAST = TransferProtocol().quick().changed(epochs=2)
FILES = {"e+": "eplus", "gamma": "gamma", "pi+": "piplus"}


@pytest.fixture(scope="module")
def geant4(shared: Path) -> dict[str, Showers]:
    return {
        particle: read_showers(shared / "data" / f"{name}.h5", split="train")
        for particle, name in FILES.items()
    }


def halves(showers: dict[str, Showers], size: int) -> tuple[dict[str, Showers], dict[str, Showers]]:
    return (
        {particle: each[:size] for particle, each in showers.items()},
        {particle: each[size : 2 * size] for particle, each in showers.items()},
    )


def marked(showers: Showers, cell: int) -> Showers:
    """As of a generator that leaves a mark: some energy in a corner where Geant4 has none."""
    deposits: NDArray[np.float32] = showers.deposits.copy()
    deposits[:, cell] += 50.0
    return Showers(showers.detector, showers.energy, deposits, showers.particle)


def test_six_layers(torch: Any) -> None:
    from caloforge.evaluation.classifiers.network import build_network

    for protocol in (TransferProtocol(), TransferProtocol().quick()):
        network = build_network(protocol, 504)
        assert sum(isinstance(each, torch.nn.Linear) for each in network) == 6
        assert sum(isinstance(each, torch.nn.Dropout) for each in network) == 5
        assert protocol.n_parameters(504) == sum(each.numel() for each in network.parameters())


def test_a_second_geant4_sample_transfers(geant4: dict[str, Showers]) -> None:
    first, second = halves(geant4, 1200)
    pairs = (("e+", "pi+"),)
    result = transfer_test(first, second, TransferProtocol().quick(), seed=1, trials=1, pairs=pairs)
    accuracies = [cell.accuracy for cell in result.cells]
    assert len(accuracies) == 4
    assert min(accuracies) > 0.95
    assert result.n_showers == {"e+/pi+": {"train": 720, "validation": 240, "test": 240}}
    assert result.warnings == ()


def test_marks_of_the_generator_do_not_transfer(geant4: dict[str, Showers]) -> None:
    first, second = halves(geant4, 1200)
    fake = {"e+": marked(second["e+"], 0), "gamma": marked(second["gamma"], 95)}
    pairs = (("e+", "gamma"),)
    result = transfer_test(first, fake, TransferProtocol().quick(), seed=1, trials=1, pairs=pairs)
    inside = result.cell("e+", "gamma", "generated", "generated")
    outside = result.cell("e+", "gamma", "generated", "geant4")
    assert inside.accuracy > 0.98
    assert outside.accuracy < 0.8


def test_seeds_reproduce(geant4: dict[str, Showers]) -> None:
    first, second = halves(geant4, 150)
    done: list[int] = []
    results = [
        transfer_test(first, second, FAST, seed=seed, trials=2, progress=done.append)
        for seed in (1, 1, 2)
    ]
    dumps = [result.model_dump(exclude={"seconds"}) for result in results]
    assert dumps[0] == dumps[1]
    assert dumps[0]["cells"] != dumps[2]["cells"]
    assert done == list(range(1, 9)) * 3
    for cell in results[0].cells:
        assert cell.accuracy == pytest.approx(np.mean(cell.trials))
        assert cell.deviation == pytest.approx(np.std(cell.trials, ddof=1))


def test_bad_input_is_refused(geant4: dict[str, Showers]) -> None:
    first, second = halves(geant4, 150)
    with pytest.raises(ShowersError, match="generated: has no showers of gamma"):
        transfer_test(first, {"e+": second["e+"], "pi+": second["pi+"]}, FAST, seed=1, trials=1)
    with pytest.raises(ShowersError, match=r"given as gamma are of e\+"):
        transfer_test(first, {**second, "gamma": second["e+"]}, FAST, seed=1, trials=1)
    with pytest.raises(CaloforgeError, match="trials: got 0"):
        transfer_test(first, second, FAST, seed=1, trials=0)
    voxels = load_detector("lar-voxels")
    other = Showers(voxels, np.ones(150), np.ones((150, voxels.n_cells), np.float32), "pi+")
    with pytest.raises(ShowersError, match="same readout"):
        transfer_test(first, {**second, "pi+": other}, FAST, seed=1)
    result = transfer_test(first, second, FAST, seed=1, trials=1, pairs=(("e+", "pi+"),))
    with pytest.raises(CaloforgeError, match=r"not in the table, has e\+/pi\+"):
        result.cell("e+", "gamma", "geant4", "geant4")
