"""The adversarial loop: a generator against critics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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
        The terms of the losses, those of the critics as ``"OPTIMIZER/TERM"``.
    """
    found: Losses = {}
    with _frozen(system.generator):
        for real in _parts(batch, system.critic_steps):
            with torch.no_grad(), precision():
                fake = _generate(system, real, rng, training=not system.settled_fakes)
            losses = system.critic_losses(real, fake, rng)
            while True:
                with precision():
                    item = next(losses, None)
                if item is None:
                    break
                name, terms = item
                _minimise(terms, optimizers[name])
                found |= {f"{name}/{term}": value.detach() for term, value in terms.items()}
    others = system.generator, system.average
    critics = [module for module in system.children() if module not in others]
    with _frozen(*critics):
        for _ in range(system.generator_steps):
            with precision():
                fake = _generate(system, real, rng, training=True)
                terms = system.generator_loss(fake, rng)
            _minimise(terms, optimizers["generator"])
            found |= {f"generator/{term}": value.detach() for term, value in terms.items()}
    if system.average is not None:
        system.average.update_parameters(system.generator)
    return found


def _generate(
    system: AdversarialSystem, real: Batch, rng: torch.Generator, *, training: bool
) -> Batch:
    energy, label = system.conditions(real, rng)
    z = torch.randn(len(energy), system.generator.noise, generator=rng).to(energy.device)
    system.generator.train(training)
    deposits = system.generator(z, energy, label)
    system.generator.train()
    return Batch(energy, deposits, label)


def _minimise(terms: Losses, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad(set_to_none=True)
    torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def _parts(batch: Batch, count: int) -> Iterator[Batch]:
    size = len(batch) // count
    for i in range(count):
        yield batch[i * size : (i + 1) * size]


@contextmanager
def _frozen(*modules: torch.nn.Module) -> Iterator[None]:
    """Leave out gradients that nothing needs: half of the work of an iteration."""
    parameters = [
        parameter
        for module in modules
        for parameter in module.parameters()
        if parameter.requires_grad
    ]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
