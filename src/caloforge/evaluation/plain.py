"""JSON values of what was found: the one way from results to files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel

__all__ = ["plain"]


def plain(value: Any) -> Any:
    """JSON values only; a number that is not finite becomes None, as JSON has none.

    Args:
        value: Numbers, words, arrays, and whatever is made of them: mappings, sequences, models of
            pydantic, data classes (their fields, or what their ``to_dict`` returns).

    Raises:
        TypeError: There is something else in it.

    Examples:
        >>> from caloforge.evaluation.estimate import Estimate
        >>> plain({"auc": Estimate(0.5, float("nan")), "counts": np.arange(2)})
        {'auc': {'value': 0.5, 'error': None}, 'counts': [0, 1]}
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, BaseModel):
        return plain(value.model_dump(mode="json"))
    if hasattr(value, "to_dict"):
        return plain(value.to_dict())
    if is_dataclass(value):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value)}
    msg = f"no JSON value can be made of {type(value).__name__}"
    raise TypeError(msg)
