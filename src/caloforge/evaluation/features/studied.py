"""Showers that keep what was computed of them, so that each thing is computed once.

The judge looks at one reference beside many samples, and several metrics look at the same features.
It makes the reference and each sample :class:`StudiedShowers`, and metrics ask for features with
:func:`once`, which computes them anew for all other showers.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from inspect import signature
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np

from caloforge.showers import Showers

__all__ = ["StudiedShowers", "once"]

P = ParamSpec("P")
T = TypeVar("T")

# What is as large as the deposits is quick to compute, and keeping it would double the memory.
_SMALL = 2**26  # bytes
_SHARE = 0.5  # of the deposits


@dataclass(frozen=True, eq=False)
class StudiedShowers(Showers):
    """Showers that keep what :func:`once` computed of them, for as long as they are there.

    Examples:
        >>> from caloforge.detector import load_detector
        >>> showers = Showers(load_detector("calogan"), np.array([10.0]), np.ones((1, 504)), "e+")
        >>> StudiedShowers.of(showers)
        StudiedShowers(1 e+, 10-10 GeV, 'calogan')
    """

    _found: dict[Hashable, Any] = field(default_factory=dict, init=False)

    @classmethod
    def of(cls, showers: Showers) -> StudiedShowers:
        """The same showers; themselves where they are studied already."""
        if isinstance(showers, cls):
            return showers
        return cls(**{item.name: getattr(showers, item.name) for item in fields(Showers)})

    def __repr__(self) -> str:
        return f"Studied{super().__repr__()}"

    def once(
        self, function: Callable[Concatenate[Showers, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What the function makes of these showers; see :func:`once`."""
        given = signature(function).bind(self, *args, **kwargs)
        given.apply_defaults()  # so that it is the same whether a default was written or not
        key = (function, *map(_key, list(given.arguments.values())[1:]))
        if key in self._found:
            kept: T = self._found[key]
            return kept
        found = function(self, *args, **kwargs)
        arrays = list(_arrays(found))
        for array in arrays:
            array.flags.writeable = False
        size = sum(array.nbytes for array in arrays)
        if size <= max(_SMALL, _SHARE * self.deposits.nbytes):
            self._found[key] = found
        return found


def once(
    showers: Showers,
    function: Callable[Concatenate[Showers, P], T],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """What a function makes of showers: of :class:`StudiedShowers` computed only the first time.

    What is larger than half of the deposits (and than 64 MB) is not kept.

    Args:
        showers: The showers.
        function: A function of a module, that gives the same every time.
        *args: What else it takes: numbers, words, tuples of these, arrays.
        **kwargs: The same, by name.

    Returns:
        What the function returns; its arrays cannot be written to where they are kept.

    Examples:
        >>> from caloforge.detector import load_detector
        >>> from caloforge.evaluation.features.shapes import occupancy
        >>> showers = Showers(load_detector("calogan"), np.array([10.0]), np.ones((1, 504)), "e+")
        >>> once(showers, occupancy, threshold=0.5)
        array([[1., 1., 1.]])
    """
    if isinstance(showers, StudiedShowers):
        return showers.once(function, *args, **kwargs)
    return function(showers, *args, **kwargs)


def _key(value: Any) -> Hashable:
    """What tells arguments apart: arrays by their values."""
    if isinstance(value, np.ndarray):
        return (value.shape, value.dtype.str, value.tobytes())
    kept: Hashable = value
    return kept


def _arrays(value: Any) -> Iterator[np.ndarray[Any, Any]]:
    """The arrays that a result is made of."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _arrays(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _arrays(item)
    elif is_dataclass(value):
        for part in fields(value):
            yield from _arrays(getattr(value, part.name))
