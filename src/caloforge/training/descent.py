"""Descent: one loss, one optimiser. Autoencoders, flows, flow matching, distillation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import torch

from caloforge.models.system import Batch, Losses, LossSystem

__all__ = ["descent_step"]


def descent_step(
    system: LossSystem,
    batch: Batch,
    optimizers: Mapping[str, torch.optim.Optimizer],
    rng: torch.Generator,
    precision: Callable[[], AbstractContextManager[object]],
) -> Losses:
    """One iteration: a step down the gradient of the loss, whose norm is cut.

    Args:
        system: What is trained, in training mode.
        batch: Real showers.
        optimizers: Those of the system.
        rng: Random numbers of this iteration, on the CPU.
        precision: Context in which the loss is computed.

    Returns:
        The terms of the loss.
    """
    with precision():
        terms = system.loss(batch, rng)
    optimizer = optimizers["model"]
    optimizer.zero_grad(set_to_none=True)
    torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(system.parameters(), system.largest_gradient)
    optimizer.step()
    return {name: value.detach() for name, value in terms.items()}
