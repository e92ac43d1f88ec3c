"""Any distribution as a standard normal one: normal scores."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["NormalScores"]

_TOP = 4.0  # standard deviations: 1 in 30,000 lies beyond
_PER_SIGMA = 16


class NormalScores(nn.Module):
    r"""Each column mapped to a standard normal one by its quantiles in the train rows.

    .. math:: y = \Phi^{-1}(F(v))

    F is the cumulative distribution of the column, linear in y between knots at equal distances in
    y. A value that many showers share (no energy in a layer, say) is an interval of y, from which
    ``forward`` draws; ``inverse`` gives back exactly that value. Values beyond those of the train
    rows are moved to the nearest of them.

    Attributes:
        values: Quantiles at the knots: shape (n_columns, n_knots), increasing.
    """

    values: Tensor
    knots: Tensor

    def __init__(self, n_columns: int) -> None:
        """Begin with the identity between -4 and 4.

        Args:
            n_columns: Number of columns.
        """
        super().__init__()
        knots = torch.linspace(-_TOP, _TOP, 2 * int(_TOP) * _PER_SIGMA + 1)
        self.register_buffer("knots", knots)
        self.register_buffer("values", knots.repeat(n_columns, 1))

    def fit(self, columns: Tensor) -> None:
        """Take the quantiles of the train rows.

        Args:
            columns: Shape (N, n_columns).
        """
        p = torch.special.ndtr(self.knots.double())
        p[0], p[-1] = 0.0, 1.0
        ordered = columns.double().sort(dim=0).values
        place = p * (len(columns) - 1)
        low = place.floor().long()
        high = torch.clamp(low + 1, max=len(columns) - 1)
        weight = (place - low)[:, None]
        quantiles = ordered[low] * (1 - weight) + ordered[high] * weight
        self.values.copy_(quantiles.T)

    def forward(self, columns: Tensor, uniform: Tensor) -> Tensor:
        """The scores.

        Args:
            columns: Shape (N, n_columns).
            uniform: Where in its interval the score of a shared value is: numbers between 0 and 1,
                shape (N, n_columns).

        Returns:
            Shape (N, n_columns).
        """
        # Contiguous columns: searchsorted works along the last axis.
        found = columns.T.contiguous().clamp(self.values[:, :1], self.values[:, -1:])
        last = self.values.shape[1] - 1
        below = (torch.searchsorted(self.values, found) - 1).clamp(0, last - 1)
        lower, upper = self.values.gather(1, below), self.values.gather(1, below + 1)
        width = upper - lower
        inside = (found - lower) / torch.where(width > 0, width, 1.0)
        between = self.knots[below] + inside * (self.knots[1] - self.knots[0])
        first = torch.searchsorted(self.values, found)
        end = (torch.searchsorted(self.values, found, right=True) - 1).clamp(min=0)
        low, high = (torch.special.ndtr(self.knots[each.clamp(max=last)]) for each in (first, end))
        drawn = torch.special.ndtri(low + uniform.T * (high - low))
        return torch.where(end > first, drawn, between).T

    def inverse(self, scores: Tensor) -> Tensor:
        """The columns that have these scores: both of shape (N, n_columns)."""
        n_columns, n_knots = self.values.shape
        place = ((scores + _TOP) * _PER_SIGMA).clamp(0.0, n_knots - 1.0)
        below = place.floor().clamp(max=n_knots - 2.0)
        column = n_knots * torch.arange(n_columns, device=scores.device)
        index = below.long() + column
        table = self.values.reshape(-1)
        lower, upper = table[index], table[index + 1]
        return torch.lerp(lower, upper, place - below)
