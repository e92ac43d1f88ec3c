"""Locally connected layers: convolutions whose kernel differs from cell to cell.

Images here and in the other blocks are (rows, columns, channels, N), the showers last. What a
kernel sees in one row of an image is then a contiguous matrix in memory, and a row of outputs is
one batched matrix product over the columns, without copying patches together. Against the usual
(N, channels, rows, columns) that makes a training step several times faster on a CPU.
"""

from __future__ import annotations

from itertools import product
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Initialisation", "LocallyConnected2d", "initialise", "local_linear"]

Pair = tuple[int, int]
Initialisation = Literal["glorot_uniform", "glorot_normal", "he_uniform"]


class LocallyConnected2d(nn.Module):
    """A convolution with unshared kernels.

    Args:
        channels: Channels of the input.
        filters: Channels of the output.
        size: Rows and columns of the input.
        kernel: Rows and columns of the kernels.
        stride: Step of the kernels along rows and columns.
        padding: Zeros around the input on all sides.
        bias: Whether to add a bias, one per output.
        initialisation: How kernels are drawn. As in Keras all positions of the kernels count as
            fan, so that they begin smaller than those of a convolution.

    Attributes:
        size: Rows and columns of the output.
        weight: Shape (*size, filters, kernel rows * kernel columns * channels).
        bias: Shape (*size, filters, 1), or None.
    """

    def __init__(
        self,
        channels: int,
        filters: int,
        size: Pair,
        kernel: Pair,
        stride: Pair = (1, 1),
        padding: int = 0,
        *,
        bias: bool = True,
        initialisation: Initialisation = "glorot_uniform",
    ) -> None:
        super().__init__()
        self.kernel, self.stride, self.padding = kernel, stride, padding
        rows, columns = (
            (n + 2 * padding - k) // step + 1
            for n, k, step in zip(size, kernel, stride, strict=True)
        )
        self.size = rows, columns
        patch = kernel[0] * kernel[1] * channels
        self.weight = nn.Parameter(torch.empty(rows, columns, filters, patch))
        self.bias = nn.Parameter(torch.zeros(rows, columns, filters, 1)) if bias else None
        fans = rows * columns * patch, rows * columns * filters
        initialise(self.weight, initialisation, *fans)

    def forward(self, image: Tensor) -> Tensor:
        """Apply the kernels.

        Args:
            image: Shape (rows, columns, channels, N).

        Returns:
            Shape (*size, filters, N).
        """
        if self.padding:
            image = functional.pad(image, (0, 0, 0, 0, *4 * (self.padding,)))
        return local_linear(image, self.weight, self.bias, self.kernel, self.stride)


def initialise(weight: Tensor, how: Initialisation, fan_in: int, fan_out: int) -> None:
    """Draw weights as Keras does.

    Args:
        weight: Filled in place.
        how: Name of the distribution.
        fan_in: Number of inputs that it is scaled by.
        fan_out: Number of outputs that it is scaled by.
    """
    if how == "glorot_normal":
        spread = (2 / (fan_in + fan_out)) ** 0.5
        nn.init.trunc_normal_(weight, std=spread, a=-2 * spread, b=2 * spread)
    else:
        limit = (6 / (fan_in if how == "he_uniform" else fan_in + fan_out)) ** 0.5
        nn.init.uniform_(weight, -limit, limit)


def local_linear(
    image: Tensor, weight: Tensor, bias: Tensor | None, kernel: Pair, stride: Pair
) -> Tensor:
    """Multiply the patch of an image at each position with the matrix of that position.

    Args:
        image: Shape (rows, columns, channels, N).
        weight: Shape (rows', columns', filters, kernel rows * kernel columns * channels).
        bias: Shape (rows', columns', filters, 1), or None.
        kernel: Rows and columns of a patch.
        stride: Step of the patches along rows and columns.

    Returns:
        Shape (rows', columns', filters, N).
    """
    if torch.compiler.is_compiling():  # also while exporting: few operations, all of which ONNX has
        output = weight @ _patches(image, kernel, stride)
        return output if bias is None else output + bias
    image = image.to(weight.dtype).contiguous()
    return _apply(_RowByRow, image, weight, bias, kernel, stride)


def _patches(image: Tensor, kernel: Pair, stride: Pair) -> Tensor:
    """The patches: shape (rows', columns', kernel rows * kernel columns * channels, N)."""
    steps = [
        [slice(i, size - k + i + 1, step) for i in range(k)]
        for size, k, step in zip(image.shape[:2], kernel, stride, strict=True)
    ]
    return torch.cat([image[rows, columns] for rows in steps[0] for columns in steps[1]], dim=2)


# The output is linear in the image and in the weight, so the gradient of each is such a map again:
# the three below are the gradients of one another, and can be differentiated as often as one likes
# (a gradient penalty needs it twice). None copies the patches.


class _RowByRow(torch.autograd.Function):
    """:func:`local_linear`: output of image, weight and bias."""

    @staticmethod
    def forward(
        ctx: Any, image: Tensor, weight: Tensor, bias: Tensor | None, kernel: Pair, stride: Pair
    ) -> Tensor:
        ctx.save_for_backward(image, weight)
        ctx.kernel, ctx.stride = kernel, stride
        rows, columns, filters, _ = weight.shape
        shape = rows, columns, filters, image.shape[3]
        if bias is None:
            output = image.new_zeros(shape)
        else:  # a copy, always: for one shower the bias has the shape of the output
            output = bias.expand(shape).clone(memory_format=torch.contiguous_format)
        width = kernel[1] * image.shape[2]
        for row, i in product(range(rows), range(kernel[0])):
            part = weight[row, :, :, i * width : (i + 1) * width]
            seen = _seen(image[row * stride[0] + i], columns, width, stride[1])
            output[row].baddbmm_(part, seen)
        return output

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        image, weight = ctx.saved_tensors
        how = ctx.kernel, ctx.stride
        gradient = gradient.contiguous()
        for_image = for_weight = for_bias = None
        if ctx.needs_input_grad[0]:
            for_image = _apply(_ForImage, gradient, weight, image.shape, *how)
        if ctx.needs_input_grad[1]:
            for_weight = _apply(_ForWeight, gradient, image, *how)
        if ctx.needs_input_grad[2]:
            for_bias = gradient.sum(dim=3, keepdim=True)
        return for_image, for_weight, for_bias, None, None


class _ForImage(torch.autograd.Function):
    """The gradient of the image, of those of the output and of the weight."""

    @staticmethod
    def forward(
        ctx: Any, gradient: Tensor, weight: Tensor, shape: torch.Size, kernel: Pair, stride: Pair
    ) -> Tensor:
        ctx.save_for_backward(gradient, weight)
        ctx.kernel, ctx.stride = kernel, stride
        rows, columns = weight.shape[:2]
        channels = shape[2]
        width = kernel[1] * channels
        image = gradient.new_zeros(shape)
        for i in range(kernel[0]):
            part = weight[..., i * width : (i + 1) * width].transpose(2, 3)
            back = torch.split(part @ gradient, channels, dim=2)
            # Neighbours overlap: one column of the kernel at a time, no cell comes twice.
            for j in range(kernel[1]):
                above = slice(i, i + (rows - 1) * stride[0] + 1, stride[0])
                left = slice(j, j + (columns - 1) * stride[1] + 1, stride[1])
                image[above, left] += back[j]
        return image

    @staticmethod
    def backward(ctx: Any, image: Tensor) -> tuple[Tensor | None, ...]:
        gradient, weight = ctx.saved_tensors
        how = ctx.kernel, ctx.stride
        image = image.contiguous()
        for_gradient = for_weight = None
        if ctx.needs_input_grad[0]:
            for_gradient = _apply(_RowByRow, image, weight, None, *how)
        if ctx.needs_input_grad[1]:
            for_weight = _apply(_ForWeight, gradient, image, *how)
        return for_gradient, for_weight, None, None, None


class _ForWeight(torch.autograd.Function):
    """The gradient of the weight, of that of the output and of the image."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, image: Tensor, kernel: Pair, stride: Pair) -> Tensor:
        ctx.save_for_backward(gradient, image)
        ctx.kernel, ctx.stride = kernel, stride
        rows, columns, filters, _ = gradient.shape
        width = kernel[1] * image.shape[2]
        weight = gradient.new_empty(rows, columns, filters, kernel[0] * width)
        for row, i in product(range(rows), range(kernel[0])):
            seen = _seen(image[row * stride[0] + i], columns, width, stride[1])
            part = torch.bmm(gradient[row], seen.transpose(1, 2))
            weight[row, :, :, i * width : (i + 1) * width] = part
        return weight

    @staticmethod
    def backward(ctx: Any, weight: Tensor) -> tuple[Tensor | None, ...]:
        gradient, image = ctx.saved_tensors
        how = ctx.kernel, ctx.stride
        for_gradient = for_image = None
        if ctx.needs_input_grad[0]:
            for_gradient = _apply(_RowByRow, image, weight, None, *how)
        if ctx.needs_input_grad[1]:
            for_image = _apply(_ForImage, gradient, weight, image.shape, *how)
        return for_gradient, for_image, None, None


def _apply(function: type[torch.autograd.Function], first: Tensor, *others: object) -> Tensor:
    with torch.autocast(first.device.type, enabled=False):
        return cast("Tensor", function.apply(first, *others))  # type: ignore[no-untyped-call]


def _seen(line: Tensor, columns: int, width: int, step: int) -> Tensor:
    """What one row of the kernels sees of one row of an image, as overlapping views.

    Args:
        line: Shape (columns, channels, N), contiguous.
        columns: Number of positions.
        width: Columns times channels of a kernel.
        step: From one position to the next, in columns.

    Returns:
        Shape (positions, width, N).
    """
    _, channels, n = line.shape
    return line.as_strided((columns, width, n), (step * channels * n, n, 1))
