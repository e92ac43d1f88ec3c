"""Minibatch discrimination: features of a shower among the others of its batch."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from caloforge.models.blocks.locally_connected import initialise

__all__ = ["MinibatchDiscrimination"]


class MinibatchDiscrimination(nn.Module):
    r"""How close each shower of a batch is to all of them.

    A critic that looks at single showers cannot see that a generator makes the same one again and
    again; these features say so. Shower i is mapped by a matrix per feature f to a vector
    :math:`M_{if}`, and

    .. math:: o_{if} = \sum_j \exp(-\lVert M_{if} - M_{jf} \rVert_1)

    where j runs over the whole batch, i included. (A bias of M would cancel; there is none.)

    Args:
        inputs: Length of the vector that describes a shower.
        features: Number of features.
        dimensions: Length of M for each feature.

    Attributes:
        weight: Shape (features * dimensions, inputs).

    References:
        Salimans et al., *Improved Techniques for Training GANs*, arXiv:1606.03498.
    """

    def __init__(self, inputs: int, features: int = 10, dimensions: int = 10) -> None:
        super().__init__()
        self.features, self.dimensions = features, dimensions
        self.weight = nn.Parameter(torch.empty(features * dimensions, inputs))
        # Keras counts the features as positions of a kernel.
        initialise(self.weight, "glorot_uniform", features * inputs, features * dimensions)

    def forward(self, x: Tensor) -> Tensor:
        """The features of a batch.

        Args:
            x: Shape (N, inputs).

        Returns:
            Shape (N, features), each between 1 and N.
        """
        if x.shape[1] == 1:  # then the distances are those of the inputs, stretched
            stretch = self.weight.abs().reshape(self.features, self.dimensions).sum(dim=1)
            distance = (x - x.T).abs() * stretch[:, None, None]
            return torch.exp(-distance).sum(dim=2).T
        mapped = functional.linear(x, self.weight).to(self.weight.dtype)
        mapped = mapped.reshape(-1, self.features, self.dimensions).transpose(0, 1)
        features: Tensor = _Closeness.apply(mapped)  # type: ignore[no-untyped-call]
        return features.T


class _Closeness(torch.autograd.Function):
    """Sum over j of exp(-|x_i - x_j|): shape (features, N), of x (features, N, dimensions)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        with torch.set_grad_enabled(ctx.needs_input_grad[0]):
            ctx.side = x.detach().requires_grad_(ctx.needs_input_grad[0])
            ctx.distance = torch.cdist(ctx.side, x.detach(), p=1)
        closeness = torch.exp(-ctx.distance.detach())
        ctx.save_for_backward(x, closeness)
        return (closeness.sum(dim=2) + closeness.sum(dim=1)) / 2

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        x, closeness = cast("tuple[Tensor, Tensor]", ctx.saved_tensors)
        # Distances are symmetric: the sum over rows stands for the gradient of the other side.
        both = gradient[:, :, None] + gradient[:, None, :]
        if torch.is_grad_enabled():  # to be differentiated again, which torch.cdist cannot be
            between = x[:, :, None] - x[:, None, :]
            slope = both * torch.exp(-between.abs().sum(dim=3))
            return -torch.sum(slope[..., None] * between.sign(), dim=2)
        seen = -(both * closeness)
        found = torch.autograd.grad(ctx.distance, ctx.side, seen, retain_graph=True)
        return cast("Tensor", found[0])
