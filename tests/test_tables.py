"""Showers as other programs like them, and as a figure."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import caloforge
from caloforge.detector import load_detector
from caloforge.errors import CaloforgeError, ShowersError
from caloforge.showers import Showers

SHOWERS = caloforge.example("e+")[:40]


def test_observables_as_arrays() -> None:
    found = caloforge.observables(SHOWERS)
    assert len(found) > 20
    np.testing.assert_array_equal(found["energy"], SHOWERS.energy)
    np.testing.assert_allclose(found["response"], SHOWERS.response)
    assert all(values.shape == (40,) for values in found.values())
    assert list(caloforge.observables(SHOWERS, ["shower_depth"])) == ["energy", "shower_depth"]
    with pytest.raises(CaloforgeError, match=r"no observable 'respons'.*did you mean response"):
        caloforge.observables(SHOWERS, ["respons"])


@pytest.mark.parametrize(
    ("package", "call"),
    [
        ("pandas", lambda: caloforge.observables(SHOWERS, form="pandas")),
        ("awkward", lambda: caloforge.observables(SHOWERS, form="awkward")),
        ("awkward", lambda: caloforge.to_awkward(SHOWERS)),
        ("hist", lambda: caloforge.histogram(SHOWERS, "response")),
    ],
)
def test_what_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, package: str, call: Any
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(CaloforgeError, match=f"^this needs {package}: pip install {package}$"):
        call()


def test_pandas() -> None:
    frame = caloforge.observables(SHOWERS, ["response"], form="pandas")
    assert list(frame.columns) == ["energy", "response"]
    assert len(frame) == 40


def test_awkward() -> None:
    array = caloforge.to_awkward(SHOWERS)
    assert len(array) == 40
    assert array["deposit"][3].to_list() == SHOWERS.deposits[3][SHOWERS.deposits[3] > 0].tolist()
    assert array["cell"][3].to_list() == np.flatnonzero(SHOWERS.deposits[3]).tolist()
    records = caloforge.observables(SHOWERS, ["response"], form="awkward")
    assert records["response"].to_list() == SHOWERS.response.tolist()


def test_hist() -> None:
    found = caloforge.histogram(SHOWERS, "response", 7)
    counts, edges = np.histogram(SHOWERS.response, 7)
    np.testing.assert_array_equal(found.values(), counts)
    np.testing.assert_array_equal(found.variances(), counts)
    np.testing.assert_allclose(found.axes[0].edges, edges)


@pytest.mark.parametrize("name", ["calogan", "lar-voxels", "calochallenge-ds2"])
def test_plot(name: str) -> None:
    pytest.importorskip("matplotlib")
    detector = load_detector(name)
    deposits = np.random.default_rng(1).exponential(1, (3, detector.n_cells)).astype(np.float32)
    deposits[0] = 0
    showers = Showers(detector, np.array([1.0, 2.0, 3.0]), deposits, "e+")
    figure = caloforge.plot(showers)
    figure.draw_without_rendering()
    drawn = [axes for axes in figure.axes if axes.get_title()]
    assert len(drawn) == min(12, detector.n_layers)
    assert all(axes.get_ylabel() == "y / mm" for axes in drawn)
    assert figure.get_suptitle() == "3 e+ showers, 1 to 3 GeV"
    one = caloforge.plot(showers[1])
    assert one.get_suptitle() == "1 e+ shower, 2 GeV"
    caloforge.plot(showers[0]).draw_without_rendering()  # an empty shower
    with pytest.raises(ShowersError, match="got none"):
        caloforge.plot(showers[:0])


def test_plot_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.colors", None)
    with pytest.raises(CaloforgeError, match=r"plotting needs .*pip install 'caloforge\[evaluate"):
        caloforge.plot(SHOWERS)


def test_help_on_a_core_install() -> None:
    """Where the extras are not installed, help() goes on, and a name says what it needs."""
    code = """
import sys
for name in ("torch", "sklearn", "scipy", "matplotlib", "onnx", "onnxscript", "yaml",
             "safetensors", "threadpoolctl", "PIL"):
    sys.modules[name] = None
import pydoc, caloforge
text = pydoc.render_doc(caloforge)
for name in ("plot", "observables", "example", "Looking at them"):
    assert name in text, name
for name in ("train", "evaluate"):
    try:
        getattr(caloforge, name)
    except caloforge.CaloforgeError as error:
        assert "pip install" in str(error), error
    else:
        raise AssertionError(name)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
