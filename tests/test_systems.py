"""What every system promises, whatever it is. A new one is under test by being in ``SYSTEMS``.

Each preset of each system is trained for a few steps on made-up showers in a small detector.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from caloforge.detector import CylindricalLayer, Detector, RectangularLayer
from caloforge.errors import ConfigError, DetectorError, ExportError, ParticleError
from caloforge.export.profiles import PROFILES, find_profile
from caloforge.export.profiles.base import Job
from caloforge.models.system import CONDITIONS, GeneratorNetwork, Given, Setting, System
from caloforge.models.systems import SYSTEMS, system_type
from caloforge.showers import Showers
from caloforge.showers.writing import ShowerSink
from caloforge.training import Recipe, Run, train
from caloforge.training.data import TrainingData
from caloforge.training.steps import find_step

# Images whose sizes divide one another, and voxels: each system fills one of them at least.
IMAGES = Detector(
    "images",
    tuple(
        RectangularLayer((i, i + 1), tuple(range(rows + 1)), tuple(range(columns + 1)))
        for i, (rows, columns) in enumerate([(4, 8), (8, 8), (8, 4)])
    ),
)
VOXELS = Detector(
    "voxels", tuple(CylindricalLayer((i, i + 1), (0.0, 1.0, 3.0), n_alpha=4) for i in range(3))
)
LOW, HIGH = 1.0, 100.0
ROWS = {"train": 64, "validation": 60}
PARTICLES = ("e+", "gamma")
CASES = [(name, preset) for name in SYSTEMS for preset in system_type(name).config_type.presets()]
EPOCHS = {("atlas-vae", "cpu"): 12}
"""Where two are not enough to keep rounding below what export allows: it is 1.5e-5 after two."""
FEW_BLOCKS = {"blocks": 2, "energy_blocks": 2, "hidden": 32, "energy_hidden": 16}
SMALLER: dict[str, dict[str, Any]] = {"caloflow": FEW_BLOCKS, "caloflow-student": FEW_BLOCKS}
"""Of systems whose networks are written or run block by block, slowly: fewer blocks."""
LARGE = {("atlas-vae", "cpu"), *(each for each in CASES if each[0].startswith("calo"))}
"""What takes more than ten seconds to export."""


@dataclass
class Case:
    """A preset of a system, trained a little."""

    recipe: Recipe
    run: Run

    def data(self) -> TrainingData:
        return TrainingData.load(
            self.recipe.data,
            lambda detector: system_type(self.recipe.system).readout(self.recipe.config, detector),
        )

    def system(self) -> System:
        """The best epoch, with the teacher it has learnt from, if any."""
        system = self.run.load_best()
        if self.recipe.teacher is not None:
            system.learn_from(Run.open(self.recipe.teacher).load_best())
        return system

    def sampler(self) -> GeneratorNetwork:
        return self.system().sampler.eval()

    def given(self, energy: Tensor | list[float], label: int = 0) -> Given:
        """Showers at the centre, perpendicular."""
        energies = torch.as_tensor(energy, dtype=torch.float32).reshape(-1, 1)
        n = len(energies)
        along = torch.tensor([0.0, 0.0, 1.0]).expand(n, 3)
        return Given(energies, torch.full((n,), label), torch.zeros(n, 2), along)


def write(path: Path, detector: Detector, particle: str, seed: int) -> Path:
    """Made-up showers, split: photons reach deeper than electrons do."""
    rng = np.random.default_rng(seed)
    n = sum(ROWS.values())
    energy = rng.uniform(LOW, HIGH, n)
    energy[:2] = LOW, HIGH
    depth = np.repeat(np.arange(detector.n_layers), [layer.n_cells for layer in detector.layers])
    weights = np.exp(-0.5 * (depth - PARTICLES.index(particle)) ** 2)
    shares = rng.dirichlet(0.5 * weights + 0.05, n) * rng.uniform(0.8, 1.0, (n, 1))
    shares[shares < 0.01] = 0
    showers = Showers(
        detector,
        energy,
        (1e3 * energy[:, None] * shares).astype(np.float32),
        particle,
        entry_point=np.zeros((n, 2)),
        direction=np.tile([0.0, 0.0, 1.0], (n, 1)),
    )
    with ShowerSink(path) as sink:
        sink.append(showers)
        sink.write_split(np.repeat([0, 1], list(ROWS.values())).astype("i1"))
    return path


def recipe(name: str, preset: str, folder: Path) -> Recipe:
    """A short training, for all particles that the preset takes."""
    system_class = system_type(name)
    settings = {"epochs": EPOCHS.get((name, preset), 2), "batch_size": 16, **SMALLER.get(name, {})}
    config = system_class.config_type.preset(preset).changed(**settings)
    detectors = []
    for detector in (IMAGES, VOXELS):
        try:
            filled = system_class.readout(config, detector)
        except DetectorError:
            continue
        detectors.append((detector, filled))
    assert detectors, f"{name} fills neither images nor voxels"
    detector, filled = detectors[0]
    for count in (2, 1):
        try:
            system_class(config, Setting(filled, PARTICLES[:count], (LOW, HIGH)))
        except (ConfigError, ParticleError):
            continue
        break
    data = {
        particle: [write(folder / f"{particle}.h5", detector, particle, seed)]
        for seed, particle in enumerate(PARTICLES[:count])
    }
    content: dict[str, Any] = {"system": name, "preset": preset, "data": data, "threads": 1}
    content["settings"] = settings
    if system_class.teacher_type is not None:
        (teacher,) = (each for each in SYSTEMS if system_type(each) is system_class.teacher_type)
        named = preset if preset in system_type(teacher).config_type.presets() else "cpu"
        first = Recipe.parse({**content, "system": teacher, "preset": named})
        content["teacher"] = train(first, folder / "teacher").folder
    return Recipe.parse(content)


KNOWN: dict[tuple[str, str], Case] = {}


@pytest.fixture(params=CASES, ids="-".join)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Trained once in a process."""
    key = name, preset = request.param
    if key not in KNOWN:
        folder = tmp_path_factory.mktemp(f"{name}-{preset}")
        asked = recipe(name, preset, folder)
        KNOWN[key] = Case(asked, train(asked, folder / "run"))
    return KNOWN[key]


def noise(count: int, sampler: GeneratorNetwork, seed: int = 1) -> Tensor:
    return torch.randn(count, sampler.noise, generator=torch.Generator().manual_seed(seed))


def assert_close(found: Tensor, expected: Tensor) -> None:
    """To 1e-5 of the largest deposit of each shower."""
    assert found.shape == expected.shape
    scale = expected.amax(dim=1).clamp(min=1e-3)
    assert bool(((found - expected).abs().amax(dim=1) <= 1e-5 * scale).all())


@pytest.mark.parametrize("name", SYSTEMS)
def test_it_says_what_it_is(name: str) -> None:
    system_class = system_type(name)
    presets = system_class.config_type.presets()
    assert {"paper", "cpu"} <= presets.keys()
    assert system_class.config_type.system == name
    assert system_class.references
    for limit in system_class.limits:
        assert limit[0].isupper() or limit[0].isdigit()
        assert limit.endswith(".")


@torch.no_grad()
def test_showers_at_both_ends_of_the_range(case: Case) -> None:
    sampler = case.sampler()
    for energy in (LOW, HIGH):
        made = sampler(noise(200, sampler), case.given([energy] * 200))
        assert made.shape == (200, case.run.setting.detector.n_cells)
        assert made.dtype == torch.float32
        assert bool((made.isfinite() & (made >= 0)).all())
        assert len(made.unique(dim=0)) > 150
    # Five standard deviations, as one in four million numbers is.
    far = 5 * torch.sign(noise(200, sampler))
    assert bool(sampler(far, case.given([HIGH] * 200)).isfinite().all())


class Noted:
    """Takes the place of an optimiser, and notes which parameters had a gradient at a step."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.param_groups = optimizer.param_groups
        self.optimizer = optimizer
        self.reached: set[int] = set()

    def zero_grad(self, *, set_to_none: bool) -> None:
        self.optimizer.zero_grad(set_to_none=set_to_none)

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        for group in self.param_groups:
            yield from group["params"]

    def step(self) -> None:
        for parameter in self.parameters():
            if parameter.grad is not None:
                assert bool(parameter.grad.isfinite().all())
                if parameter.grad.any():
                    self.reached.add(id(parameter))


def test_the_gradient_reaches_every_parameter(case: Case) -> None:
    system = case.system().train()
    noted = {name: Noted(optimizer) for name, optimizer in system.optimizers().items()}
    # A few, as minibatch features saturate with many.
    batch = next(case.data().batches(1, 0, 6 * system.batches_per_step))
    rng = torch.Generator().manual_seed(1)
    losses = find_step(system)(system, batch, noted, rng, torch.enable_grad)  # type: ignore[arg-type]
    assert all(bool(value.isfinite()) for value in losses.values())
    trained = [id(parameter) for each in noted.values() for parameter in each.parameters()]
    assert len(trained) == len(set(trained)), "two optimisers have one parameter"
    average = set() if system.average is None else {id(p) for p in system.average.parameters()}
    reached: set[int] = set().union(*(each.reached for each in noted.values()))
    for name, parameter in system.named_parameters():
        if id(parameter) not in average:
            assert id(parameter) in trained, f"no optimiser has {name}"
            assert id(parameter) in reached, f"no gradient reaches {name}"


@torch.no_grad()
def test_a_shower_is_independent_of_those_beside_it(case: Case) -> None:
    sampler = case.sampler()
    energy = torch.linspace(LOW, HIGH, 30)
    z = noise(30, sampler)
    together = sampler(z, case.given(energy))
    for rows in (slice(7, 8), slice(10, 30)):
        assert_close(sampler(z[rows], case.given(energy[rows])), together[rows])
    assert torch.equal(together, sampler(z, case.given(energy)))


@torch.no_grad()
def test_it_looks_at_what_it_says_and_at_nothing_else(case: Case) -> None:
    sampler = case.sampler()
    assert set(sampler.conditions) <= set(CONDITIONS)
    assert "energy" in sampler.conditions
    z, given = noise(50, sampler), case.given([50.0] * 50)
    others = {
        "energy": replace(given, energy=given.energy / 2),
        "label": replace(given, label=1 - given.label),
        "entry_point": replace(given, entry_point=torch.full((50, 2), 0.4)),
        "direction": replace(given, direction=torch.tensor([0.6, 0.0, 0.8]).expand(50, 3)),
    }
    if len(case.run.setting.particles) == 1:
        del others["label"]
    before = sampler(z, given)
    for name, other in others.items():
        assert torch.equal(sampler(z, other), before) == (name not in sampler.conditions), name
    assert ("label" in sampler.conditions) == (len(case.run.setting.particles) > 1)


@torch.no_grad()
def test_its_state_is_all_there_is(case: Case) -> None:
    """Beginning with other weights and other data."""
    torch.manual_seed(99)
    other = case.run.build()
    data = case.data()
    other.prepare(replace(data.train, deposits=data.train.deposits.flip(0) / 2))
    system = case.system()
    other.load_state_dict(system.state_dict())
    z, given = noise(50, system.sampler), case.given(torch.linspace(LOW, HIGH, 50))
    made = [each.sampler.eval()(z, given) for each in (system, other)]
    assert torch.equal(*made)


def test_interrupted_and_resumed_it_goes_through_the_same_numbers(
    case: Case, tmp_path: Path
) -> None:
    stopped: list[float] = []

    def interrupt(done: float, text: str) -> None:
        if done >= 0.4 and not stopped:
            stopped.append(done)
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        train(case.recipe, tmp_path / "parts", progress=interrupt)
    parts = train(case.recipe, tmp_path / "parts", resume=True)
    assert 0.4 <= stopped[0] < 1
    for which in ("checkpoint", "best"):
        one, other = (load_file(getattr(run, which)) for run in (case.run, parts))
        assert one.keys() == other.keys()
        for name, value in one.items():
            assert torch.equal(value, other[name]), f"{which}: {name}"
    logs = [
        [json.loads(line) | {"seconds": 0} for line in run.metrics.read_text().splitlines()]
        for run in (case.run, parts)
    ]
    assert logs[0] == logs[1]


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(each, marks=[pytest.mark.slow] * (each in LARGE), id="-".join(each))
        for each in CASES
    ],
    indirect=True,
)
def test_it_leaves_in_every_profile_that_can_hold_it(case: Case, tmp_path: Path) -> None:
    """ONNX can hold all of them. It is refused where it deviates by more than its tolerance."""
    sampler = case.sampler().train()
    given = case.given(torch.linspace(LOW, HIGH, 64))
    if any(
        isinstance(part, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d) for part in sampler.modules()
    ):
        with torch.no_grad():
            for seed in range(300):  # statistics as after a real training
                sampler(noise(64, sampler, seed), given)
    sampler.eval()
    job = Job(sampler, case.run.setting)
    left = []
    for name in PROFILES:
        profile = find_profile(name)
        try:
            profile.check(job)
        except ExportError:
            continue
        written = profile.write(job, tmp_path)
        assert written.deviation <= sampler.tolerance
        left.append(name)
    assert "onnx" in left
    assert len(list(tmp_path.iterdir())) >= len(left)
