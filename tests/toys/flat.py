"""An export profile: a host that feeds one vector, in units of its own, and reads layers apart."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caloforge.errors import ExportError
from caloforge.export.profiles.base import Form, Job, Profile, Written
from caloforge.export.profiles.onnx import export_onnx
from caloforge.models.system import Given
from caloforge.random import Purpose, Streams
from caloforge.runtime.card import TensorSpec

FLAT = "flat.onnx"
LARGEST = 1024000.0  # MeV


class FlatForm(Form):
    """Noise, then energy over 1,024 GeV, one shower at a time; out comes an array a layer, GeV."""

    batch = 1

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.job = job
        self.cells = [layer.n_cells for layer in job.setting.detector.layers]
        width = self.generator.noise + 1
        self.inputs = (TensorSpec(name="everything", shape=(1, width), unit=""),)
        self.outputs = tuple(
            TensorSpec(name=f"layer_{i}", shape=(1, cells), unit="GeV")
            for i, cells in enumerate(self.cells)
        )

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        (everything,) = inputs
        z, energy = everything[:, :-1], everything[:, -1:] * (LARGEST / 1000.0)
        label = torch.full((1,), self.job.label or 0)
        return torch.split(self.generator(z, Given(energy, label)) / 1000.0, self.cells, dim=1)

    def examples(self, count: int) -> Mapping[str, NDArray[Any]]:
        z = Streams(0, np.arange(count), Purpose.VALIDATION).normal(self.generator.noise)
        low, high = self.job.setting.energy_range
        energy = np.linspace(low, high, count).reshape(-1, 1) * 1000.0 / LARGEST
        return {"everything": np.concatenate([z, energy], axis=1).astype(np.float32)}


class FlatProfile(Profile):
    name = "toy-flat"

    def check(self, job: Job) -> None:
        if len(job.particles) > 1:
            msg = "profile: toy-flat feeds no particle; name one"
            raise ExportError(msg)

    def write(self, job: Job, folder: Path) -> Written:
        deviation = export_onnx(FlatForm(job), folder / FLAT, half=job.half)
        return Written(deviation, (f"{FLAT} makes one shower at a time.",))
