"""Export: what ONNX Runtime makes is what PyTorch makes, and the artefact says what it is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto
from torch import Tensor, nn

import caloforge
from artefacts import CALOGAN, make_artefact
from caloforge.detector import Detector
from caloforge.errors import CaloforgeError, DetectorError, ExportError, OutputError, ParticleError
from caloforge.export.profiles.base import Job
from caloforge.export.profiles.onnx import OnnxForm, export_onnx
from caloforge.export.run import Origin, export_generator, export_run
from caloforge.models import systems
from caloforge.models.config import SystemConfig
from caloforge.models.dense import DenseGraph, DenseInput, DenseStack
from caloforge.models.system import GeneratorNetwork, Given, Setting
from caloforge.provenance import file_sha256
from caloforge.random import Purpose, Streams
from caloforge.runtime import load_card
from caloforge.showers import read_showers, split_file
from caloforge.training import Recipe, Run, train
from conftest import ROOT, Cli
from lwtnn_evaluator import Lwtnn
from systems import ToyGenerator, ToyVariational

FIXTURES = ROOT / "tests" / "data"
NOISE = 6
ROWS = {"e+": "eplus", "gamma": "gamma"}
SETTING = Setting(CALOGAN, ("e+", "gamma"), (1.0, 100.0))
ORIGIN = Origin(
    system="images",
    config={"epochs": 3, "widths": [8, 4]},
    training=(),
    command="caloforge train images --particle e+",
    seed=1,
    wall_time=12.34,
    machine="a test",
    epoch=2,
    limits=("It knows nothing.",),
    references=("arXiv:1712.10321",),
)


class Images(GeneratorNetwork):
    """A bit of everything: embedding, dense and convolutional layers, normalisation, locally
    connected cells, energy.
    """

    def __init__(self) -> None:
        super().__init__()
        self.noise = NOISE
        self.embedding = nn.Embedding(2, NOISE)
        self.dense = nn.Sequential(
            nn.Linear(NOISE + 1, 40), nn.BatchNorm1d(40), nn.LeakyReLU(0.3), nn.Linear(40, 504)
        )
        self.image = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ELU(), nn.BatchNorm2d(4))
        self.dropout = nn.Dropout(0.5)
        self.cells = nn.Parameter(torch.empty(504, 4))

    def forward(self, z: Tensor, given: Given) -> Tensor:
        code = z * self.embedding(given.label)
        flat = self.dense(torch.cat([code, torch.log(given.energy)], dim=1))
        images = self.dropout(self.image(flat.reshape(-1, 1, 12, 42))).reshape(-1, 4, 504)
        return given.energy * torch.relu(torch.einsum("ncp,pc->np", images, self.cells))


def trained_images() -> Images:
    """As after a training, and left in training mode."""
    made = Images()
    rng = torch.Generator().manual_seed(1)
    for parameter in made.parameters():
        parameter.data = 0.7 * torch.randn(parameter.shape, generator=rng)
    for name, buffer in made.named_buffers():
        if buffer.is_floating_point():
            buffer.copy_(torch.rand(buffer.shape, generator=rng) + 0.1 * name.endswith("var"))
    return made


@pytest.fixture(scope="module")
def generator() -> Images:
    return trained_images()


def by_pytorch(
    generator: GeneratorNetwork, z: NDArray[np.float32], energy: NDArray[np.float32], label: int
) -> NDArray[np.float32]:
    training = generator.training
    generator.eval()
    with torch.no_grad():
        made = generator(
            torch.from_numpy(z), Given(torch.from_numpy(energy), torch.full((len(z),), label))
        )
    generator.train(training)
    return np.asarray(made.numpy())


def inputs(count: int, noise: int = NOISE) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rng = np.random.default_rng(count)
    energy = rng.uniform(1, 100, (count, 1)).astype(np.float32)
    return rng.standard_normal((count, noise)).astype(np.float32), energy


def assert_same(got: NDArray[np.float32], expected: NDArray[np.float32]) -> None:
    """To 1e-5 of the largest deposit of each shower."""
    assert got.shape == expected.shape
    assert (np.abs(got - expected).max(axis=1) <= 1e-5 * expected.max(axis=1)).all()


def to_onnx(
    generator: GeneratorNetwork, path: Path, *, label: int = 0, half: bool = False
) -> float:
    return export_onnx(OnnxForm(Job(generator, SETTING, label)), path, half=half)


@pytest.fixture(scope="module")
def exported(generator: Images, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network of photons."""
    path = tmp_path_factory.mktemp("onnx") / "network.onnx"
    assert 0 < to_onnx(generator, path, label=1) <= 1e-5
    return path


@pytest.fixture(scope="module")
def halved(generator: Images, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("half") / "network.onnx"
    assert to_onnx(generator, path, label=1, half=True) <= 1e-5
    return path


class TestNetwork:
    @pytest.mark.parametrize("count", [1, 3, 200])
    def test_same_numbers_for_any_number_of_showers(
        self, generator: Images, exported: Path, count: int
    ) -> None:
        z, energy = inputs(count)
        session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
        (made,) = session.run(["deposits"], {"z": z, "energy": energy})
        assert made.dtype == np.float32
        assert_same(made, by_pytorch(generator, z, energy, label=1))
        other = by_pytorch(generator, z, energy, label=0)
        assert np.abs(made - other).max() > 0.1 * other.max()

    def test_one_file_that_knows_nothing_of_this_machine(self, exported: Path) -> None:
        assert [file.name for file in exported.parent.iterdir()] == ["network.onnx"]
        model = onnx.load(exported)
        onnx.checker.check_model(model, full_check=True)
        assert {item.name for item in model.graph.input} == {"z", "energy"}
        assert [item.name for item in model.graph.output] == ["deposits"]
        assert model.opset_import[0].version >= 18
        text = exported.read_bytes()
        for word in (b"/home", b"/tmp", b"tests", b".py", b"stack_trace"):
            assert word not in text

    def test_generator_is_left_alone(self, generator: Images, exported: Path, halved: Path) -> None:
        assert generator.training
        assert all(parameter.requires_grad for parameter in generator.parameters())
        for name, value in trained_images().state_dict().items():
            assert torch.equal(generator.state_dict()[name], value), name

    def test_half_precision(self, generator: Images, exported: Path, halved: Path) -> None:
        graph = onnx.load(halved).graph
        kinds = {item.name: item.data_type for item in graph.initializer}
        small = [item for item in graph.initializer if np.prod(item.dims) < 1024]
        half = [name for name, kind in kinds.items() if kind == TensorProto.FLOAT16]
        assert len(half) == 2  # dense.3.weight, cells
        assert not any(item.data_type == TensorProto.FLOAT16 for item in small)
        assert halved.stat().st_size < 0.6 * exported.stat().st_size
        rounded = Images()
        rounded.load_state_dict(generator.state_dict())
        for weight in (rounded.dense[3].weight, rounded.cells):
            assert isinstance(weight, Tensor)
            weight.data = weight.data.half().float()
        z, energy = inputs(50)
        session = onnxruntime.InferenceSession(halved, providers=["CPUExecutionProvider"])
        (made,) = session.run(["deposits"], {"z": z, "energy": energy})
        assert_same(made, by_pytorch(rounded, z, energy, label=1))
        full = by_pytorch(generator, z, energy, label=1)
        assert 1e-5 < np.abs(made - full).max() / full.max() < 1e-2


class Moody(GeneratorNetwork):
    """A shower depends on those that it is made with."""

    def __init__(self, other: GeneratorNetwork) -> None:
        super().__init__()
        self.noise = other.noise
        self.other = other

    def forward(self, z: Tensor, given: Given) -> Tensor:
        made: Tensor = self.other(z, given)
        return torch.relu(made - made.mean(dim=0))


class Undecided(ToyGenerator):
    def forward(self, z: Tensor, given: Given) -> Tensor:
        return super().forward(z if bool(z.sum() > 0) else -z, given)


class TestRefusal:
    def test_network_that_is_not_reproduced(self, tmp_path: Path) -> None:
        toy = ToyGenerator(504)
        with pytest.raises(
            ExportError, match=r"deviates from PyTorch by .*, must be at most 1e-05"
        ):
            to_onnx(Moody(toy), tmp_path / "x.onnx")
        assert list(tmp_path.iterdir()) == []

    def test_network_without_onnx_form(self, tmp_path: Path) -> None:
        with pytest.raises(ExportError, match="Undecided has no ONNX form: ") as error:
            to_onnx(Undecided(504), tmp_path / "x.onnx")
        assert "\n" not in str(error.value)
        assert list(tmp_path.iterdir()) == []

    def test_weights_beyond_half_precision(self, tmp_path: Path) -> None:
        toy = ToyGenerator(504)
        toy.layer.weight.data[3, 1] = 1e5
        with pytest.raises(ExportError, match=r"half: generator\.layer\.weight has numbers beyond"):
            to_onnx(toy, tmp_path / "x.onnx", half=True)


# Artefacts


class WithGraph(ToyGenerator):
    def dense_graph(self) -> DenseGraph:
        return DenseGraph(
            (DenseInput("z", tuple(f"z_{i}" for i in range(self.noise))),),
            (DenseStack("share", ("z",), nn.Sequential(self.layer, nn.Softmax(dim=1))),),
            {"share": tuple(f"cell_{i}" for i in range(504))},
            {"after": "deposits in MeV are 1000 times share times energy in GeV"},
        )


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photons, with everything."""
    output = tmp_path_factory.mktemp("artefact") / "made"
    torch.manual_seed(1)
    test = replace(read_showers(FIXTURES / "gamma-calogan.h5"), particle="gamma")
    deviation = export_generator(
        Job(WithGraph(504), SETTING, 1, half=True),
        output,
        origin=ORIGIN,
        tests=[test],
        profiles=["lwtnn"],
    )
    assert deviation <= 1e-5
    return output


class TestArtefact:
    def test_card(self, artefact: Path) -> None:
        card = load_card(artefact)
        assert (card.name, card.system, card.particles) == ("images-gamma", "images", ("gamma",))
        assert card.description == "images of gamma in calogan, epoch 2"
        assert card.config == {"epochs": 3, "widths": [8, 4]}
        assert (card.energy_range, card.seed, card.wall_time) == ((1, 100), 1, 12.3)
        assert [item.shape for item in (*card.inputs, *card.outputs)] == [
            ("N", 4),
            ("N", 1),
            ("N", 504),
        ]
        assert set(card.files) == {
            "generator.lwtnn.json",
            "generator.onnx",
            "reference-calogan.json",
        }
        assert card.speed["showers_per_second"] > 0
        assert card.limits[0] == "It knows nothing."
        assert "Weights are rounded to half precision." in card.limits
        assert card.references == ("arXiv:1712.10321",)
        found = {(item.quantity, item.energy): item for item in card.metrics}
        reference = read_showers(FIXTURES / "gamma-calogan.h5")
        response = found["response", 50.0]
        assert response.value == pytest.approx(1, abs=1e-5)  # the toy loses nothing
        assert 0.9 < response.reference < reference.response.max()

    def test_it_makes_the_showers_of_pytorch(self, artefact: Path) -> None:
        torch.manual_seed(1)
        toy = WithGraph(504)
        toy.layer.weight.data = toy.layer.weight.data.half().float()
        energy = np.linspace(1, 100, 30, dtype=np.float32)
        made = caloforge.load(artefact, "gamma").sample(energy, seed=4)
        noise = Streams(4, np.arange(30), Purpose.GENERATOR).normal(4)
        expected = by_pytorch(toy, noise, energy.reshape(-1, 1), label=1)
        assert_same(made.deposits, expected)

    def test_dense_network_beside_it(self, artefact: Path) -> None:
        text = (artefact / "generator.lwtnn.json").read_text("utf-8")
        torch.manual_seed(1)
        toy = WithGraph(504)
        z, energy = inputs(20, noise=4)
        made = Lwtnn(text)({"z": {f"z_{i}": z[:, i].astype(float) for i in range(4)}})
        share = np.stack(list(made["share"].values()), axis=1)
        expected = by_pytorch(toy, z, energy, label=1)
        assert_same((1000 * share * energy).astype(np.float32), expected)
        assert "deposits in MeV" in json.loads(text)["miscellaneous"]["after"]

    def test_what_fails_leaves_nothing(self, generator: Images, tmp_path: Path) -> None:
        output = tmp_path / "made"
        with pytest.raises(ExportError, match="lwtnn holds dense layers alone, Images is not"):
            export_generator(Job(generator, SETTING, 0), output, origin=ORIGIN, profiles=["lwtnn"])
        assert list(tmp_path.iterdir()) == []
        output.mkdir()
        with pytest.raises(OutputError, match="exists already"):
            export_generator(Job(generator, SETTING, 0), output, origin=ORIGIN)


class OneLayer(ToyVariational):
    """Fills the last layer alone."""

    @classmethod
    def readout(cls, config: SystemConfig, detector: Detector) -> Detector:
        return replace(detector, name="last-layer", layers=detector.layers[-1:])


class TestRun:
    @pytest.fixture(autouse=True)
    def toys(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Makes the toys known as systems."""
        for name, where in {
            "toy": "systems:ToyVariational",
            "layer": "test_export:OneLayer",
        }.items():
            monkeypatch.setitem(systems.SYSTEMS, name, (where, "A toy."))

    @pytest.fixture
    def data(self, tmp_path: Path) -> list[Path]:
        files = []
        for name in ROWS.values():
            files.append(tmp_path / f"{name}.h5")
            split_file(
                FIXTURES / f"{name}-calogan.h5", files[-1], fractions=(0.5, 0.2, 0.3), seed=3
            )
        return files

    def trained(
        self, system: str, data: list[Path], output: Path, particles: tuple[str, ...]
    ) -> Run:
        recipe = Recipe.parse(
            {
                "system": system,
                "data": dict(zip(particles, data, strict=False)),
                "settings": {"epochs": 2},
                "threads": 1,
                "choose_by": "frechet",
            }
        )
        return train(recipe, output)

    def test_command_line(self, cli: Cli, data: list[Path], tmp_path: Path) -> None:
        run = self.trained("toy", data, tmp_path / "run", ("e+",))
        output = tmp_path / "model"
        result = cli("export", tmp_path / "run", "-o", output, "--json")
        assert (result.code, result.err) == (0, "")
        said = json.loads(result.out)
        assert said["artefact"] == str(output)
        assert said["deviation"] <= 1e-5
        assert said["bytes"] == sum(file.stat().st_size for file in output.iterdir())
        card = load_card(output)
        assert card.name == said["name"] == "toy-eplus"
        assert card.training == run.training
        assert card.training[0].sha256 == file_sha256(data[0])
        assert card.config == {
            "epochs": 2,
            "batch_size": 8,
            "learning_rate": 0.01,
            "critic_steps": 2,
        }
        assert card.description.endswith(f"epoch {run.best_epoch}")
        assert card.metrics
        z, energy = inputs(10, noise=4)
        expected = by_pytorch(run.load_best().generator, z, energy, label=0)
        session = onnxruntime.InferenceSession(
            output / "generator.onnx", providers=["CPUExecutionProvider"]
        )
        assert_same(session.run(["deposits"], {"z": z, "energy": energy})[0], expected)
        assert "exists already" in cli("export", tmp_path / "run", "-o", output).err

    def test_data_that_have_changed_are_not_compared_with(
        self, cli: Cli, data: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After another split the test rows may be rows that were trained on."""
        self.trained("toy", data, tmp_path / "run", ("e+",))
        split_file(
            FIXTURES / "eplus-calogan.h5", data[0], fractions=(0.2, 0.2, 0.6), overwrite=True
        )
        tests = []

        def instead(_: Job, output: Path, **options: Any) -> float:
            tests.append(options["tests"])
            make_artefact(output)
            return 1e-7

        monkeypatch.setattr("caloforge.export.run.export_generator", instead)
        result = cli("export", tmp_path / "run", "-o", tmp_path / "model")
        assert result.code == 0
        assert "deviates from PyTorch by at most 1e-07 of the largest deposit" in result.out
        assert "compares with no Geant4 showers: name a file (--test-data)" in result.out
        line = ("export", tmp_path / "run", "-o", tmp_path / "model", "--test-data", data[0])
        assert cli(*line, "--quiet").out == ""
        assert tests[0] == ()
        np.testing.assert_array_equal(
            tests[1][0].deposits, read_showers(data[0], split="test").deposits
        )

    def test_files_without_test_rows_are_only_learnt_from(
        self, data: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        more = tmp_path / "more.h5"
        split_file(FIXTURES / "eplus-calogan.h5", more, fractions=(0.8, 0.2, 0.0), seed=4)
        recipe = Recipe.parse(
            {
                "system": "toy",
                "data": {"e+": [str(data[0]), str(more)]},
                "settings": {"epochs": 1},
                "threads": 1,
            }
        )
        train(recipe, tmp_path / "run")
        tests = []

        def instead(_: Job, output: Path, **options: Any) -> float:
            tests.append(options["tests"])
            return 1e-7

        monkeypatch.setattr("caloforge.export.run.export_generator", instead)
        export_run(tmp_path / "run", tmp_path / "model")
        np.testing.assert_array_equal(
            tests[0][0].deposits, read_showers(data[0], split="test").deposits
        )

    def test_several_particles(self, data: list[Path], tmp_path: Path) -> None:
        run = self.trained("layer", data, tmp_path / "run", ("e+", "gamma")).folder
        with pytest.raises(ParticleError, match="not of pi\\+"):
            export_run(run, tmp_path / "model", particle="pi+")
        with pytest.raises(ExportError, match="does not tell e\\+, gamma apart; name one"):
            export_run(run, tmp_path / "model")
        with pytest.raises(ExportError, match="is one file, the run is of e\\+, gamma"):
            export_run(run, tmp_path / "model", test_data=data[0])
        with pytest.raises(ParticleError, match=r"eplus\.h5 holds e\+, not gamma"):
            export_run(run, tmp_path / "model", particle="gamma", test_data=data[0])
        voxels = tmp_path / "voxels.h5"
        split_file(FIXTURES / "gamma-lar-voxels.h5", voxels, fractions=(0.5, 0.2, 0.3))
        with pytest.raises(DetectorError, match="showers in 'lar-voxels' are not in 'last"):
            export_run(run, tmp_path / "model", particle="gamma", test_data=voxels)
        assert not (tmp_path / "model").exists()
        export_run(run, tmp_path / "model", particle=22, test_data=data[1])
        card = load_card(tmp_path / "model")
        assert card.name == "layer-gamma"
        assert len(card.training) == 2
        assert card.outputs[0].shape == ("N", 72)
        test = read_showers(data[1], split="test")
        response = test.layer_energies[:, 2] / (1000 * test.energy)
        found = {item.quantity: item.reference for item in card.metrics if item.energy == 50}
        assert response.min() <= found["response"] <= response.max()
        assert "layer_fraction_1" not in found

    def test_no_run(self, cli: Cli, tmp_path: Path) -> None:
        with pytest.raises(CaloforgeError, match="is no folder of a training"):
            export_run(tmp_path, tmp_path / "model")
        assert cli("export", tmp_path, "-o", tmp_path / "model").code == 2
