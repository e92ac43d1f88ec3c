"""The network of anvil: what it knows when a group of cells is drawn, and what it says of them.

What a cell is told: the cells around it that are drawn already, sums of other layers in front of
and behind it, the energy that is left in each layer, and a memory, which is a sum over all cells
that are drawn, each with weights of its own. All cells share one network of two layers; each has
its own scales and offsets.

References:
    H. Larochelle, I. Murray, *The neural autoregressive distribution estimator*, AISTATS 2011: the
    memory that grows cell by cell.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from caloforge.detector import Detector
from caloforge.models.anvil.cells import FAR, CellDistribution
from caloforge.models.anvil.layout import Layout

__all__ = ["CellNetwork"]

UNIT = 0.01  # MeV: from here on what a network sees of an energy grows with its logarithm
SOFT = (0.003, 0.3)  # of a layer's energy, and MeV: what is left is known to about this
_SAME = 1e-4  # a spread of what is told that is none but rounding
N_TOLD = 6  # numbers on each layer: what is left, hits, centres, widths


class Step(NamedTuple):
    """What is drawn at once.

    Attributes:
        cells: The cells, layer by layer.
        parts: Of each layer that has some: its index and how many.
        own: Places of the cells that each looks at, in the order in which all were drawn, from 1;
            0 where there is none.
        sources: Places of all cells that are summed.
        sums: Weights of the sums: shape (n_sources, n * n_other).
    """

    cells: Tensor
    parts: list[tuple[int, int]]
    own: Tensor
    sources: Tensor
    sums: Tensor


class CellNetwork(nn.Module):
    """Distributions of all cells, each given those before it; and showers drawn from these.

    Attributes:
        distribution: The form of the distributions.
    """

    group_of_cell: Tensor
    layer_of_cell: Tensor
    own: Tensor
    rows: Tensor
    columns: Tensor
    weights: Tensor
    first_of_layer: Tensor
    places: Tensor
    told_mean: Tensor
    told_scale: Tensor
    layer_mean: Tensor
    layer_scale: Tensor

    def __init__(
        self,
        detector: Detector,
        condition: int,
        *,
        hidden: int,
        memory: int,
        n_lines: int,
        n_components: int,
    ) -> None:
        """Make the network.

        Args:
            detector: What is filled.
            condition: Length of the condition.
            hidden: Width of its two layers.
            memory: Length of the memory.
            n_lines: Lines of the spectrum, at most.
            n_components: Components of the mixture of each cell.
        """
        super().__init__()
        self.layout = layout = Layout.of(detector)
        n, self.n_layers = detector.n_cells, detector.n_layers
        self.n_cells, self.n_groups = n, len(layout.groups)
        self.sizes = [layer.n_cells for layer in detector.layers]
        self.register_buffer("group_of_cell", torch.from_numpy(layout.group_of_cell), False)
        self.register_buffer("layer_of_cell", torch.from_numpy(detector.layer_of_cell), False)
        self.register_buffer("own", torch.from_numpy(layout.own), False)
        self.register_buffer("rows", torch.from_numpy(layout.rows), False)
        self.register_buffer("columns", torch.from_numpy(layout.columns), False)
        self.register_buffer("weights", torch.from_numpy(layout.weights), False)
        # One for the cell of each layer that is drawn first, the one nearest to the axis.
        first = torch.zeros(n)
        for part in detector.slices:
            first[part.start + int(np.argmin(layout.group_of_cell[part]))] = 1.0
        self.register_buffer("first_of_layer", first, False)
        centres = torch.from_numpy(detector.centres[:, :2]).float()
        extent = centres.abs().max().clamp(min=1.0)
        places = torch.cat([torch.ones(n, 1), centres / extent, (centres / extent) ** 2], dim=1)
        self.register_buffer("places", places, False)  # of which moments are taken
        shape = (self.n_groups, self.n_layers, N_TOLD)
        self.register_buffer("told_mean", torch.zeros(shape))
        self.register_buffer("told_scale", torch.ones(shape))
        self.register_buffer("layer_mean", torch.zeros(self.n_layers))
        self.register_buffer("layer_scale", torch.ones(self.n_layers))
        self.distribution = CellDistribution(n, n_lines, n_components)
        width = 2 * (layout.own.shape[1] + layout.n_other) + 3
        self.look = nn.Parameter(torch.randn(self.n_layers, width, hidden) / width**0.5)
        self.scale = nn.Parameter(torch.ones(n, hidden))
        self.offset = nn.Parameter(torch.zeros(n, hidden))
        self.remember = nn.Parameter(0.1 * torch.randn(n, 2, memory))
        self.begin = nn.Linear(condition, memory)
        self.overall = nn.Linear(memory + (N_TOLD + 1) * self.n_layers + condition, hidden)
        self.middle = nn.Linear(hidden, hidden)
        self.shift = nn.Parameter(torch.zeros(n, hidden))
        self.last = nn.Linear(hidden, self.distribution.n_parameters, bias=False)
        nn.init.zeros_(self.last.weight)
        # Each cell's own offset of what is said of it.
        self.own_place = nn.Parameter(torch.zeros(n, self.distribution.n_parameters))
        self.steps = self._find_steps()

    def _find_steps(self) -> list[Step]:
        layout, n_other = self.layout, self.layout.n_other
        place = np.zeros(self.n_cells + 1, dtype=np.int64)  # of a cell, from 1 as it is drawn
        drawn = 1
        steps = []
        entries = np.argsort(layout.rows, kind="stable")
        rows, columns, weights = (
            each[entries] for each in (layout.rows, layout.columns, layout.weights)
        )
        cell_of_row = rows // max(n_other, 1)
        layers = self.layer_of_cell.numpy()
        for cells in layout.groups:
            entry = np.flatnonzero(np.isin(cell_of_row, cells))
            sources, source = np.unique(columns[entry], return_inverse=True)
            sums = np.zeros((len(sources), len(cells) * n_other), dtype=np.float32)
            column = np.searchsorted(cells, cell_of_row[entry]) * n_other + rows[entry] % max(
                n_other, 1
            )
            sums[source, column] = weights[entry]
            found, count = np.unique(layers[cells], return_counts=True)
            steps.append(
                Step(
                    torch.from_numpy(cells),
                    list(zip(found.tolist(), count.tolist(), strict=True)),
                    torch.from_numpy(place[layout.own[cells]]),
                    torch.from_numpy(place[sources]),
                    torch.from_numpy(sums),
                )
            )
            place[cells] = np.arange(drawn, drawn + len(cells))
            drawn += len(cells)
        return steps

    # All cells at once, from showers that are known.

    def fit(self, deposits: Tensor) -> None:
        """Take what a network begins with from the train rows: shape (N, n_cells), MeV."""
        sums, moments = self._moments(deposits)
        logarithm = torch.log(sums + SOFT[1]).double()
        self.layer_mean.copy_(logarithm.mean(dim=0))
        self.layer_scale.copy_(1.0 / logarithm.std(dim=0).clamp(min=1e-3))
        told = _told(sums[:, None], moments).double()
        mean, spread = told.mean(dim=0), told.std(dim=0)
        # What is always the same (nothing is drawn yet) tells nothing.
        self.told_mean.copy_(mean)
        self.told_scale.copy_(torch.where(spread > _SAME, 1.0 / spread.clamp(min=_SAME), 0.0))
        self.distribution.fit(deposits, self._energies(sums)[:, self.layer_of_cell])

    def log_likelihood(self, deposits: Tensor, condition: Tensor) -> Tensor:
        """Logarithm of the density of each cell, given those before it and the layer energies.

        Args:
            deposits: Shape (N, n_cells), MeV.
            condition: Shape (N, condition).

        Returns:
            Shape (N, n_cells); zero in layers without energy.
        """
        sums, moments = self._moments(deposits)
        energies = self._energies(sums)
        layer, group, everything = self.layer_of_cell, self.group_of_cell, slice(None)
        energy_here = energies[:, layer]
        told = self._scaled(_told(sums[:, None], moments), everything)
        told_here = told[:, group, layer]
        seen = self.distribution.seen(deposits, energy_here, everything)
        own = functional.pad(seen, (0, 0, 0, 1))[:, self.own].flatten(2)
        other = self._sums_of_other_layers(deposits)
        inputs = torch.cat([own, other, told_here[..., :2], energy_here[..., None]], dim=2)
        parts = torch.split(inputs, self.sizes, dim=1)
        looked = torch.cat([part @ self.look[i] for i, part in enumerate(parts)], dim=1)
        remembered = (seen[..., None] * self.remember).sum(dim=2)
        memory = torch.zeros(
            len(deposits), self.n_groups, remembered.shape[2], device=deposits.device
        ).index_add(1, group, remembered)
        memory = memory.cumsum(dim=1) - memory
        overall = self._tell(memory, told, energies, condition)
        parameters = self._said(looked + overall[:, group], everything)
        found = self.distribution.log_likelihood(
            parameters, deposits, energy_here, told_here[..., 0], everything
        )
        return torch.where(sums[:, layer] > 0, found, 0.0)

    def _moments(self, deposits: Tensor) -> tuple[Tensor, Tensor]:
        """Energy of each layer; moments of it, and hits, before each group.

        Returns:
            Shapes (N, n_layers) and (N, n_groups, n_layers, 6).
        """
        place = self.group_of_cell * self.n_layers + self.layer_of_cell
        empty = deposits.new_zeros(len(deposits), self.n_groups * self.n_layers, 6)
        found = empty.index_add(1, place, self._moments_of_cells(deposits, slice(None)))
        found = found.reshape(-1, self.n_groups, self.n_layers, 6)
        return found[..., 0].sum(dim=1), found.cumsum(dim=1) - found

    def _moments_of_cells(self, deposits: Tensor, cells: Tensor | slice) -> Tensor:
        hit = (deposits > 0).to(deposits.dtype)
        return torch.cat([deposits[..., None] * self.places[cells], hit[..., None]], dim=-1)

    def _sums_of_other_layers(self, deposits: Tensor) -> Tensor:
        layout = self.layout
        both = torch.cat([deposits, (deposits > 0).to(deposits.dtype)]).T
        found = torch.zeros(self.n_cells * layout.n_other, both.shape[1], device=both.device)
        found.index_add_(0, self.rows, both[self.columns] * self.weights[:, None])
        energy, hits = torch.chunk(found.T, 2)
        summed = torch.stack([_compressed(energy), 0.25 * hits], dim=2)
        return summed.reshape(len(deposits), self.n_cells, -1)

    # What both ways share.

    def _energies(self, sums: Tensor) -> Tensor:
        """Layer energies as numbers of the order of one."""
        return (torch.log(sums + SOFT[1]) - self.layer_mean) * self.layer_scale

    def _scaled(self, told: Tensor, groups: slice) -> Tensor:
        found = (told - self.told_mean[groups]) * self.told_scale[groups]
        return found.clamp(-FAR, FAR)

    def _tell(self, memory: Tensor, told: Tensor, energies: Tensor, condition: Tensor) -> Tensor:
        """What all cells of a group are told: shape (N, n_groups, hidden)."""
        memory = functional.silu(memory + self.begin(condition)[:, None])
        known = torch.cat([energies, condition], dim=1)[:, None].expand(-1, memory.shape[1], -1)
        found: Tensor = self.overall(torch.cat([memory, told.flatten(2), known], dim=2))
        return found

    def _said(self, told: Tensor, cells: Tensor | slice) -> Tensor:
        """What is said of cells, from what they are told: shape (N, n, n_parameters)."""
        first = functional.silu(told * self.scale[cells] + self.offset[cells])
        second = first + functional.silu(self.middle(first) + self.shift[cells])
        found: Tensor = self.last(second) + self.own_place[cells]
        return found

    # Group by group.

    def forward(self, sums: Tensor, condition: Tensor, noise: Tensor) -> Tensor:
        """Draw the cells of showers.

        Args:
            sums: Energy of each layer: shape (N, n_layers), MeV.
            condition: Shape (N, condition).
            noise: Standard normal: shape (N, 2 n_cells).

        Returns:
            Deposits: shape (N, n_cells), MeV; sums over layers are those that were asked for.
        """
        which, value = torch.chunk(noise, 2, dim=1)
        energies = self._energies(sums)
        drawn_so_far = torch.zeros_like(sums[:, :1])
        seen = torch.zeros_like(sums[:, :1, None]).expand(-1, -1, 2)
        # In double precision: where a centre hardly moves, its deviations are differences of sums.
        exact = sums.double()
        moments = exact.new_zeros(1, self.n_layers, 6).expand(len(sums), -1, -1)
        memory = torch.zeros_like(self.begin(condition))
        order, first = [], 0
        for i, step in enumerate(self.steps):
            cells, last = step.cells, first + len(step.cells)
            layer = self.layer_of_cell[cells]
            energy_here = energies[:, layer]
            told = self._scaled(_told(exact, moments)[:, None], slice(i, i + 1)).to(sums.dtype)
            told_here = told[:, 0, layer]
            own = seen[:, step.own].flatten(2)
            summed = torch.stack(
                [
                    _compressed(drawn_so_far[:, step.sources] @ step.sums),
                    0.25 * (seen[:, step.sources, 1] @ step.sums),
                ],
                dim=2,
            ).reshape(len(sums), len(cells), -1)
            inputs = torch.cat([own, summed, told_here[..., :2], energy_here[..., None]], dim=2)
            parts = torch.split(inputs, [count for _, count in step.parts], dim=1)
            looked = torch.cat(
                [part @ self.look[k] for (k, _), part in zip(step.parts, parts, strict=True)], dim=1
            )
            overall = self._tell(memory[:, None], told, energies, condition)
            drawn = self.distribution.draw(
                self._said(looked + overall, cells),
                energy_here,
                told_here[..., 0],
                cells,
                which[:, first:last],
                value[:, first:last],
            )
            drawn = torch.where(sums[:, layer] > 0, drawn, 0.0)
            new = self.distribution.seen(drawn, energy_here, cells)
            drawn_so_far = torch.cat([drawn_so_far, drawn], dim=1)
            seen = torch.cat([seen, new], dim=1)
            memory = memory + (new[..., None] * self.remember[cells]).sum(dim=(1, 2))
            of_layer = functional.one_hot(layer, self.n_layers).to(exact.dtype)
            moments = moments + of_layer.T @ self._moments_of_cells(drawn.double(), cells)
            order.append(cells)
            first = last
        back = torch.argsort(torch.cat(order))
        return self._conserved(drawn_so_far[:, 1:][:, back], sums)

    def _conserved(self, cells: Tensor, sums: Tensor) -> Tensor:
        """Cells that add up to the energies of their layers.

        What is missing goes to each cell in proportion to the square of its energy, so that large
        ones take it and lines of the spectrum stay where they are.
        """
        found, firsts = [], torch.split(self.first_of_layer, self.sizes)
        for i, part in enumerate(torch.split(cells, self.sizes, dim=1)):
            wanted = sums[:, i : i + 1]
            total = part.sum(dim=1, keepdim=True)
            # Where nothing was drawn, all goes to the cell that is nearest to the axis.
            nothing = (total <= 0) & (wanted > 0)
            part = torch.where(nothing, wanted * firsts[i], part)
            total = part.sum(dim=1, keepdim=True)
            square = (part**2).sum(dim=1, keepdim=True).clamp(min=1e-12)
            part = part * (1.0 + (wanted - total) * part / square).clamp(0.5, 2.0)
            total = part.sum(dim=1, keepdim=True).clamp(min=1e-12)
            found.append(part * (wanted / total))
        return torch.cat(found, dim=1)


def _compressed(energy: Tensor) -> Tensor:
    return 0.25 * torch.log(1.0 + energy / UNIT)


def _told(sums: Tensor, moments: Tensor) -> Tensor:
    """What is known of each layer: what is left, hits, centres and widths of what is drawn.

    Args:
        sums: Energy of each layer: shape (..., n_layers), MeV.
        moments: Energy, its moments and hits: shape (..., n_layers, 6).
    """
    energy, x, y, xx, yy, hits = moments.unbind(-1)
    left = torch.log((sums - energy).clamp(min=0.0) + SOFT[0] * sums + SOFT[1])
    left = left - torch.log(sums + SOFT[1])
    # Of little energy the centre is nowhere in particular.
    whole = energy + 1e-3
    width_x, width_y = (torch.sqrt(both / whole + 1e-6) for both in (xx, yy))
    return torch.stack([left, hits, x / whole, y / whole, width_x, width_y], dim=-1)
