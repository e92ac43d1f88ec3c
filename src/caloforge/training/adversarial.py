"""The adversarial loop: a generator against critics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

import torch

from caloforge.models.system import AdversarialSystem, Batch, Losses

__all__ = ["adversarial_step"]


def adversarial_step(
    system: AdversarialSystem,
    batch: Batch,
    optimizers: Mapping[str, torch.optim.Optimizer],
    rng: torch.Generator,
    precision: Callable[[], AbstractContextManager[object]],
) -> Losses:
    """One iteration: the critics learn on real and generated showers, then the generator.

    Args:
        system: What is trained, in training mode.
        batch: Real showers, ``critic_steps`` times those of one round.
        optimizers: Those of the system.
        rng: Random numbers of this iteration, on the CPU.
        precision: Context in which losses are computed.

    Returns:
        The terms of the losses as ``"OPTIMIZER/TERM"``.
    """
    found: Losses = {}
    with _frozen(system.generator.parameters()):
        for real in _parts(batch, system.critic_steps):
            with torch.no_grad(), precision():
                system.generator.train(not system.settled_fakes)
                fake = system.make(system.ask(real, rng), rng)
                system.generator.train()
            found |= _minimise(system.critic_losses(real, fake, rng), optimizers, precision)
    with _frozen(_parameters(optimizers[name] for name in system.critics)):
        for _ in range(system.generator_steps):
            with precision():
                fake = system.make(system.ask(real, rng), rng)
            found |= _minimise(system.generator_losses(fake, rng), optimizers, precision)
    return found


def _minimise(
    losses: Iterator[tuple[str, Losses]],
    optimizers: Mapping[str, torch.optim.Optimizer],
    precision: Callable[[], AbstractContextManager[object]],
) -> Losses:
    """A step for each loss, made before the next is asked for; the terms, by optimiser."""
    found: Losses = {}
    while True:
        with precision():
            item = next(losses, None)
        if item is None:
            return found
        name, terms = item
        optimizers[name].zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        optimizers[name].step()
        found |= {f"{name}/{term}": value.detach() for term, value in terms.items()}


def _parameters(optimizers: Iterable[torch.optim.Optimizer]) -> Iterator[torch.nn.Parameter]:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            yield from group["params"]


def _parts(batch: Batch, count: int) -> Iterator[Batch]:
    size = len(batch) // count
    for i in range(count):
        yield batch[i * size : (i + 1) * size]


@contextmanager
def _frozen(parameters: Iterable[torch.nn.Parameter]) -> Iterator[None]:
    """Leave out gradients that nothing needs: half of the work of an iteration."""
    frozen = [parameter for parameter in parameters if parameter.requires_grad]
    for parameter in frozen:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad_(True)
