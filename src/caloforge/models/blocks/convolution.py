"""Dense layer, convolution and batch normalisation with the conventions of Keras.

Images are (rows, columns, channels, N), as in :mod:`.locally_connected`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from caloforge.models.blocks.locally_connected import (
    Initialisation,
    Pair,
    initialise,
    local_linear,
)

__all__ = ["BatchNorm", "GlorotLinear", "SameConv2d"]


class GlorotLinear(nn.Linear):
    """A dense layer that begins as in Keras.

    Args:
        inputs: Length of the input.
        outputs: Length of the output.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)

    def reset_parameters(self) -> None:
        """Draw the weights (Glorot, uniform); no bias."""
        initialise(self.weight, "glorot_uniform", self.in_features, self.out_features)
        nn.init.zeros_(self.bias)


class SameConv2d(nn.Module):
    """A convolution whose output has the size of its input (``padding="same"``).

    Where a kernel is even, the odd zero is added below and to the right.

    Args:
        channels: Channels of the input.
        filters: Channels of the output.
        kernel: Rows and columns of the kernel.
        initialisation: How the kernel is drawn.

    Attributes:
        weight: Shape (filters, kernel rows * kernel columns * channels).
        bias: Shape (filters, 1).
    """

    def __init__(
        self,
        channels: int,
        filters: int,
        kernel: Pair,
        initialisation: Initialisation = "glorot_uniform",
    ) -> None:
        super().__init__()
        self.kernel = kernel
        area = kernel[0] * kernel[1]
        self.weight = nn.Parameter(torch.empty(filters, area * channels))
        self.bias = nn.Parameter(torch.zeros(filters, 1))
        initialise(self.weight, initialisation, area * channels, area * filters)

    def forward(self, image: Tensor) -> Tensor:
        """Convolve.

        Args:
            image: Shape (rows, columns, channels, N).

        Returns:
            Shape (rows, columns, filters, N).
        """
        return self._apply_kernel(image, self.bias)

    def without_bias(self, image: Tensor) -> Tensor:
        """Only the linear part: shape (rows, columns, filters, N)."""
        return self._apply_kernel(image, None)

    def _apply_kernel(self, image: Tensor, bias: Tensor | None) -> Tensor:
        size = image.shape[:2]
        (top, bottom), (left, right) = (((k - 1) // 2, k // 2) for k in self.kernel)
        image = functional.pad(image, (0, 0, 0, 0, left, right, top, bottom))
        # The locally connected layer whose kernels are all the same.
        weight = self.weight.expand(*size, -1, -1)
        bias = None if bias is None else bias.expand(*size, -1, -1)
        return local_linear(image, weight, bias, self.kernel, (1, 1))


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation per channel with the constants of Keras.

    Args:
        channels: Channels of the images.
    """

    def __init__(self, channels: int) -> None:
        # Keras' momentum of 0.99 is the weight of the past, PyTorch's that of the present.
        super().__init__(channels, eps=1e-3, momentum=0.01)

    def forward(self, image: Tensor) -> Tensor:
        """Normalise images of shape (rows, columns, channels, N)."""
        return super().forward(image.flatten(0, 1)).reshape(image.shape)
