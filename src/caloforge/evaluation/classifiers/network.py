"""The network of a classifier test and its training loop."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from caloforge.errors import CaloforgeError
from caloforge.evaluation.classifiers.protocols import NetworkTraining

__all__ = ["Sample", "Trained", "build_network", "find_device", "train_network"]

_ROWS_AT_ONCE = 2_000
_MOST_ROTATED = 8192
# Added to the variance of each principal component, in units of that of a standardised input:
# directions in which few showers tell anything are not blown up.
_FLOOR = 1e-5


@dataclass(frozen=True)
class Sample:
    """Rows to train on or to judge.

    Attributes:
        inputs: Shape (N, n_inputs), float32.
        labels: Shape (N,), float32, 0 or 1.
    """

    inputs: Tensor
    labels: Tensor

    @classmethod
    def of(cls, inputs: NDArray[np.float32], labels: NDArray[np.bool_]) -> Sample:
        """The same in arrays of NumPy."""
        return cls(torch.from_numpy(inputs), torch.from_numpy(labels.astype(np.float32)))

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Trained:
    """A trained network.

    Attributes:
        network: With the parameters of the best epoch.
        epoch: The best epoch, counted from 1.
        epochs: Epochs that were run.
    """

    network: nn.Module
    epoch: int
    epochs: int

    def scores(self, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Logits of rows, shape (N, n_inputs): shape (N,), zero where the network has diverged."""
        logits = _logits(self.network, torch.from_numpy(inputs)).double().numpy()
        return np.asarray(np.nan_to_num(logits), dtype=np.float64)


class _Whiten(nn.Module):
    """Standardise the inputs, rotate them to their principal components, scale those to 1.

    A constant input is not scaled. More than 8192 inputs are standardised only: their covariance
    would neither fit nor be worth the time.
    """

    def __init__(self, inputs: Tensor) -> None:
        super().__init__()
        self.mean: Tensor
        self.scale: Tensor
        self.rotation: Tensor | None
        spread = inputs.std(dim=0, correction=0)
        self.register_buffer("mean", inputs.mean(dim=0))
        self.register_buffer("scale", torch.where(spread > 0, spread, torch.ones_like(spread)))
        self.register_buffer("rotation", None)
        if inputs.shape[1] <= _MOST_ROTATED:
            covariance = torch.zeros(2 * inputs.shape[1:], dtype=torch.float64)
            for part in torch.split(inputs, _ROWS_AT_ONCE):
                rows = self(part).double()
                covariance += rows.T @ rows / len(inputs)
            variances, axes = torch.linalg.eigh(covariance)
            self.rotation = (axes / torch.sqrt(variances.clamp(min=0) + _FLOOR)).float()

    def forward(self, inputs: Tensor) -> Tensor:
        """Whitened inputs: shape (N, n_inputs)."""
        standardised = (inputs - self.mean) / self.scale
        return standardised if self.rotation is None else standardised @ self.rotation


def find_device(name: str) -> torch.device:
    """A device by its name.

    Args:
        name: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ...

    Raises:
        CaloforgeError: There is no such device.
    """
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError):
        cuda = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
        msg = f"device: {name!r} cannot be used, must be one of {', '.join(['cpu', *cuda])}"
        raise CaloforgeError(msg) from None
    return device


def build_network(training: NetworkTraining, n_inputs: int) -> nn.Sequential:
    """The fully connected network, with fresh parameters from torch's random numbers.

    Args:
        training: Its layers.
        n_inputs: Number of inputs.

    Returns:
        A module from (N, n_inputs) to (N, 1).
    """
    layers: list[nn.Module] = []
    width = n_inputs
    for hidden in training.hidden:
        layers += [
            nn.Linear(width, hidden),
            nn.LeakyReLU(training.negative_slope),
            nn.Dropout(training.dropout),
        ]
        width = hidden
    return nn.Sequential(*layers, nn.Linear(width, 1))


def train_network(
    training: NetworkTraining,
    train: Sample,
    validation: Sample,
    *,
    seed: int,
    device: torch.device,
    progress: Callable[[int], None] = lambda _: None,
) -> Trained:
    """Train a network and keep its best epoch on the validation part.

    The same seed gives the same bits on the same machine, device and number of threads; torch's own
    random numbers are left as they were.

    Args:
        training: Network and training.
        train: Rows to train on.
        validation: Rows to choose the epoch on.
        seed: Seed of parameters, order of the rows, and dropout.
        device: Where to compute.
        progress: Called with the number of epochs done.
    """
    order = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        network = build_network(training, train.inputs.shape[1])
        if training.whiten:
            network.insert(0, _Whiten(train.inputs))
        network.to(device)
        optimiser = torch.optim.Adam(network.parameters(), lr=training.learning_rate)
        best, best_epoch, since_best = -np.inf, 0, 0
        state = network.state_dict()
        epoch = 0
        for epoch in range(1, training.epochs + 1):
            _train_epoch(network, optimiser, train, training.batch_size, order)
            progress(epoch)
            if not training.is_judged(epoch):
                continue
            accuracy, loss = _judge(network, validation)
            merit = accuracy if training.choose_by == "accuracy" else -loss
            since_best += 1
            if merit > best or not best_epoch:
                best, best_epoch, since_best = merit, epoch, 0
                state = copy.deepcopy(network.state_dict())
            if accuracy == 1.0 or since_best == training.patience:
                break
    network.load_state_dict(state)
    return Trained(network.cpu(), best_epoch, epoch)


def _train_epoch(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    sample: Sample,
    batch_size: int,
    order: torch.Generator,
) -> None:
    device = next(network.parameters()).device
    network.train()
    for rows in torch.split(torch.randperm(len(sample), generator=order), batch_size):
        logits = network(sample.inputs[rows].to(device)).squeeze(1)
        loss = nn.functional.binary_cross_entropy_with_logits(
            logits, sample.labels[rows].to(device)
        )
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()


def _logits(network: nn.Module, inputs: Tensor) -> Tensor:
    """Logits on the CPU: shape (N,)."""
    device = next(network.parameters()).device
    network.eval()
    with torch.no_grad():
        parts = [network(part.to(device)).squeeze(1) for part in torch.split(inputs, _ROWS_AT_ONCE)]
    return torch.cat(parts).cpu()


def _judge(network: nn.Module, sample: Sample) -> tuple[float, float]:
    """Accuracy and loss."""
    logits = _logits(network, sample.inputs)
    accuracy = ((logits > 0) == (sample.labels > 0.5)).float().mean()
    loss = nn.functional.binary_cross_entropy_with_logits(logits, sample.labels)
    return float(accuracy), float(loss)
