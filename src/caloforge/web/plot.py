"""A small figure of showers, for notebooks and scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from caloforge.detector import CylindricalLayer, RectangularLayer
from caloforge.errors import NotInstalledError, ShowersError
from caloforge.showers import Showers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

__all__ = ["plot"]

_MOST = 12  # layers that are drawn
_COLUMNS = 4


def plot(showers: Showers) -> Figure:
    """Draw the deposits in each layer: of one shower, or the mean of several.

    Cells are drawn to scale, seen along the particle; all layers share one logarithmic scale of
    colours. Of more than twelve layers twelve are drawn, from the first to the last.

    Args:
        showers: At least one shower; ``showers[0]`` for the first alone.

    Returns:
        The figure, which notebooks show; ``plot(showers).savefig("showers.png")`` keeps it.

    Raises:
        ShowersError: There are no showers.
        NotInstalledError: matplotlib is not installed.
    """
    if not len(showers):
        msg = "showers: got none, must be at least one"
        raise ShowersError(msg)
    try:
        from matplotlib.colors import LogNorm
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        msg = f"plotting needs {error.name}: pip install 'caloforge[evaluate]'"
        raise NotInstalledError(msg) from None

    detector = showers.detector
    images = detector.images(showers.deposits.mean(axis=0, dtype=np.float64)[None])
    layers = np.unique(np.linspace(0, detector.n_layers - 1, _MOST).round().astype(int))
    largest = max(float(image.max()) for image in images) or 1.0
    norm = LogNorm(largest * 1e-5, largest)
    columns = min(_COLUMNS, len(layers))
    rows = -(-len(layers) // columns)
    figure = Figure((3.1 * columns + 0.9, 2.9 * rows + 0.5), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(layers) :]:
        axes.remove()
    for axes, i in zip(grid.flat, layers, strict=False):
        mesh = _draw(axes, detector.layers[i], images[i][0], norm)
        depth = detector.layers[i].depth
        where = "" if depth is None else f", {depth[0]:g} to {depth[1]:g} mm"
        axes.set(title=f"layer {i}{where}", xlabel="x / mm", ylabel="y / mm", aspect="equal")
        axes.title.set_fontsize("medium")
    what = "deposit / MeV" if len(showers) == 1 else "mean deposit / MeV"
    figure.colorbar(mesh, ax=grid[:, -1] if len(layers) > 1 else grid[0, 0], label=what)
    low, high = showers.energy.min(), showers.energy.max()
    energies = f"{low:.4g} GeV" if low == high else f"{low:.4g} to {high:.4g} GeV"
    count = f"{len(showers):,} {showers.particle} shower{'s' if len(showers) > 1 else ''}"
    figure.suptitle(f"{' '.join(count.split())}, {energies}")
    return figure


def _draw(
    axes: Axes,
    layer: RectangularLayer | CylindricalLayer,
    image: NDArray[np.floating],
    norm: Normalize,
) -> QuadMesh:
    """One layer, cells without a deposit left empty."""
    shown = np.ma.masked_less_equal(image, 0.0)
    if isinstance(layer, RectangularLayer):
        return axes.pcolormesh(layer.x_edges, layer.y_edges, shown.T, norm=norm)
    # The slow index runs around the axis, the fast one away from it.
    steps = max(1, round(72 / layer.n_alpha))
    alpha = np.linspace(0, 2 * np.pi, steps * layer.n_alpha + 1)
    x = np.outer(np.cos(alpha), layer.r_edges)
    y = np.outer(np.sin(alpha), layer.r_edges)
    return axes.pcolormesh(x, y, np.ma.repeat(shown, steps, axis=0), norm=norm)
