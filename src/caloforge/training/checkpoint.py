"""Checkpoints: networks, optimisers and where training stands, in one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from caloforge.atomic import replacing
from caloforge.errors import TrainingError
from caloforge.models.system import System

__all__ = ["load_checkpoint", "read_state", "save_checkpoint"]

Optimizers = Mapping[str, torch.optim.Optimizer]

_NETWORKS = "networks."
_OPTIMIZERS = "optimizers."


def save_checkpoint(
    path: Path, system: System, state: Mapping[str, Any], optimizers: Optimizers | None = None
) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        path: File to make or replace.
        system: Its parameters and buffers are saved.
        state: JSON values that say where training stands.
        optimizers: Their state is saved too; None for a system that is only used from here on.

    Raises:
        OutputError: The file cannot be written.
    """
    tensors = {_NETWORKS + name: value for name, value in system.state_dict().items()}
    groups: dict[str, Any] = {}
    for name, optimizer in (optimizers or {}).items():
        content = optimizer.state_dict()
        groups[name] = content["param_groups"]
        for index, values in content["state"].items():
            for key, value in values.items():
                tensors[f"{_OPTIMIZERS}{name}.{index}.{key}"] = torch.as_tensor(value)
    # Parameters may share memory or be views: the file holds each by itself.
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    with replacing(path) as beside:
        about = {"state": json.dumps(state), "groups": json.dumps(groups)}
        try:
            save_file(tensors, beside, about)
        except SafetensorError as error:  # what the operating system said, in other words
            raise OSError(str(error)) from None


def load_checkpoint(
    path: Path, system: System, optimizers: Optimizers | None = None
) -> dict[str, Any]:
    """Put a system, and optimisers where they are wanted, into a saved state.

    Args:
        path: A file of :func:`save_checkpoint`.
        system: Is changed in place.
        optimizers: Are changed in place.

    Returns:
        The JSON values that say where training stood.

    Raises:
        TrainingError: The file is missing or damaged, or is of another system.
    """
    about, tensors = _read(path)
    networks = {
        key.removeprefix(_NETWORKS): value
        for key, value in tensors.items()
        if key.startswith(_NETWORKS)
    }
    try:
        system.load_state_dict(networks)
        for name, optimizer in (optimizers or {}).items():
            content = {"state": _state_of(name, tensors), "param_groups": about["groups"][name]}
            optimizer.load_state_dict(content)
    except (KeyError, ValueError, RuntimeError) as error:
        msg = f"checkpoint {path}: is of another system: {str(error).splitlines()[0]}"
        raise TrainingError(msg) from None
    state: dict[str, Any] = about["state"]
    return state


def read_state(path: Path) -> dict[str, Any]:
    """The JSON values of a checkpoint that say where training stood.

    Raises:
        TrainingError: The file is missing or damaged.
    """
    state: dict[str, Any] = _read(path, tensors=False)[0]["state"]
    return state


def _read(path: Path, *, tensors: bool = True) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            about = {key: json.loads(value) for key, value in file.metadata().items()}
            names = list(file.keys()) if tensors else []
            found = {name: file.get_tensor(name) for name in names}
        _ = about["state"], about["groups"]
    except (OSError, SafetensorError, AttributeError, KeyError, ValueError) as error:
        msg = f"checkpoint {path}: cannot be read: {str(error).splitlines()[0]}"
        raise TrainingError(msg) from None
    return about, found


def _state_of(optimizer: str, tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    prefix = f"{_OPTIMIZERS}{optimizer}."
    found: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith(prefix):
            index, key = name.removeprefix(prefix).split(".", 1)
            found.setdefault(int(index), {})[key] = value
    return found
