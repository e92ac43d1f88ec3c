"""Showers as other programs like them: observables as tables and histograms, deposits as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from caloforge.errors import CaloforgeError, NotInstalledError
from caloforge.evaluation.features.observables import Observable, compute
from caloforge.evaluation.features.observables import observables as list_observables
from caloforge.explain import suggestion
from caloforge.showers import Showers
from caloforge.showers.fields import OPTIONAL

__all__ = ["histogram", "observables", "to_awkward"]

FloatArray = NDArray[np.float64]
Form = Literal["dict", "pandas", "awkward"]


def observables(
    showers: Showers, names: Sequence[str] | None = None, *, form: Form = "dict"
) -> Any:
    """The observables of each shower, with its incident energy.

    Args:
        showers: N showers.
        names: Which observables; None for all that the readout has.
        form: ``"dict"`` of arrays, a ``"pandas"`` data frame, or an ``"awkward"`` array of
            records.

    Returns:
        ``energy`` (GeV) and each observable (its unit is that of
        :func:`caloforge.evaluation.features.observables.observables`): arrays of shape (N,); NaN
        where an observable is not defined.

    Raises:
        CaloforgeError: There is no such observable, or pandas or awkward is not installed.

    Examples:
        >>> from caloforge.showers.examples import example_showers
        >>> found = observables(example_showers("e+")[:2], ["response"])
        >>> {name: values.round(3).tolist() for name, values in found.items()}
        {'energy': [27.152, 92.134], 'response': [0.996, 0.994]}
    """
    chosen = _chosen(showers, names)
    found: dict[str, FloatArray] = {"energy": showers.energy, **compute(showers, chosen)}
    if form == "pandas":
        return _need("pandas").DataFrame(found)
    if form == "awkward":
        return _need("awkward").Array(found)
    return found


def to_awkward(showers: Showers) -> Any:
    """Showers as an awkward array of records, one each: only cells with a deposit are kept.

    Args:
        showers: N showers.

    Returns:
        Records with ``energy`` (GeV), ``cell`` (numbers of the cells with a deposit), ``deposit``
        (MeV, of each of them) and what else the showers have.

    Raises:
        CaloforgeError: awkward is not installed.
    """
    awkward = _need("awkward")
    rows, cells = np.nonzero(showers.deposits)
    counts = np.bincount(rows, minlength=len(showers))
    fields = {
        "energy": showers.energy,
        "cell": awkward.unflatten(cells, counts),
        "deposit": awkward.unflatten(showers.deposits[rows, cells], counts),
    }
    for name in OPTIONAL:
        value = getattr(showers, name)
        if value is not None:
            fields[name] = value
    return awkward.zip(fields, depth_limit=1)


def histogram(showers: Showers, name: str, bins: int | Iterable[float] = 50) -> Any:
    """A histogram of an observable, with the statistical error of each bin.

    Args:
        showers: N showers.
        name: Which observable.
        bins: How many between the smallest and the largest value, or their edges.

    Returns:
        A ``hist.Hist`` with weighted storage: ``variances()`` are the squared errors.

    Raises:
        CaloforgeError: There is no such observable, or hist is not installed.
    """
    (chosen,) = _chosen(showers, [name])
    hist = _need("hist")
    values = compute(showers, [chosen])[name]
    values = values[np.isfinite(values)]
    label = chosen.label + (f" / {chosen.unit}" if chosen.unit else "")
    wanted = bins if isinstance(bins, int) else np.array([*bins], dtype=np.float64)
    edges = np.histogram_bin_edges(values, wanted)
    found = hist.Hist(
        hist.axis.Variable(edges, name=name, label=label), storage=hist.storage.Weight()
    )
    # What is as large as the last edge belongs to the last bin, as everywhere in NumPy.
    found.fill(np.where(values == edges[-1], np.nextafter(edges[-1], -np.inf), values))
    return found


def _chosen(showers: Showers, names: Sequence[str] | None) -> list[Observable]:
    known = {item.name: item for item in list_observables(showers.detector)}
    for name in names or ():
        if name not in known:
            msg = (
                f"names: there is no observable {name!r} in {showers.detector.name!r}; "
                f"{suggestion(name, known)}"
            )
            raise CaloforgeError(msg)
    return list(known.values()) if names is None else [known[name] for name in names]


def _need(package: str) -> Any:
    try:
        return import_module(package)
    except ModuleNotFoundError:
        msg = f"this needs {package}: pip install {package}"
        raise NotInstalledError(msg) from None
