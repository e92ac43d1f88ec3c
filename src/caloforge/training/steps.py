"""Which step the loop makes for which kind of system."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch

from caloforge.errors import TrainingError
from caloforge.models.system import AdversarialSystem, Batch, Losses, LossSystem, System
from caloforge.training.adversarial import adversarial_step
from caloforge.training.descent import descent_step

__all__ = ["STEPS", "Step", "find_step"]


class Step(Protocol):
    """One iteration of a training."""

    def __call__(
        self,
        system: Any,
        batch: Batch,
        optimizers: Mapping[str, torch.optim.Optimizer],
        rng: torch.Generator,
        precision: Callable[[], AbstractContextManager[object]],
        /,
    ) -> Losses:
        """Learn from a batch; the terms of the losses."""
        ...


STEPS: dict[type, Step] = {
    AdversarialSystem: adversarial_step,
    LossSystem: descent_step,
}
"""By kind of system. A system of a new kind adds its step here."""


def find_step(system: System) -> Step:
    """The step of the nearest kind that a system is of.

    Raises:
        TrainingError: It is of none.
    """
    for kind in type(system).__mro__:
        if kind in STEPS:
            return STEPS[kind]
    msg = f"system: {type(system).__name__} is of no kind that can be trained"
    raise TrainingError(msg)
