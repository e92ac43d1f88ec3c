"""What one layer of a detector passes on to the next: resizing and in-painting attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from caloforge.errors import DetectorError
from caloforge.models.blocks.locally_connected import LocallyConnected2d, Pair

__all__ = ["InpaintingAttention", "Resize"]


class Resize(nn.Module):
    """Bring images to another size: repeat cells where there are more, average where fewer.

    Args:
        before: Rows and columns of the input.
        after: Rows and columns of the output.

    Raises:
        DetectorError: One of them is not a multiple of the other.
    """

    def __init__(self, before: Pair, after: Pair) -> None:
        super().__init__()
        for name, old, new in zip(("rows", "columns"), before, after, strict=True):
            if old % new and new % old:
                msg = (
                    f"detector: a layer of {after[0]} x {after[1]} cells follows one of "
                    f"{before[0]} x {before[1]}; the attention between layers needs {name} of "
                    "which one number divides the other, so leave it out (attention=False)"
                )
                raise DetectorError(msg)
        self.before, self.after = before, after

    def forward(self, image: Tensor) -> Tensor:
        """Resize images of shape (rows, columns, channels, N)."""
        for axis, (old, new) in enumerate(zip(self.before, self.after, strict=True)):
            if new > old:
                image = image.repeat_interleave(new // old, dim=axis)
            elif new < old:
                shape = *image.shape[:axis], new, old // new, *image.shape[axis + 1 :]
                image = image.reshape(shape).mean(dim=axis + 1)
        return image


class InpaintingAttention(nn.Module):
    r"""Mix what was painted for a layer with what the layer before carries over.

    Each cell of the output is :math:`W I + (1 - W) I'`, where I is the image of the layer, I' the
    one carried over, and (W, 1 - W) the softmax of a locally connected layer with 3 x 3 kernels
    that looks at both. Its bias begins at -10 for I': at first nothing is carried over.

    Args:
        size: Rows and columns of the images.

    References:
        Paganini, de Oliveira, Nachman, *CaloGAN*, arXiv:1712.10321, section IV A.
    """

    def __init__(self, size: Pair) -> None:
        super().__init__()
        self.scores = LocallyConnected2d(2, 2, size, kernel=(3, 3), padding=1)
        if self.scores.bias is not None:
            nn.init.constant_(self.scores.bias[:, :, 1], -10)

    def forward(self, image: Tensor, carried: Tensor) -> Tensor:
        """Mix two images.

        Args:
            image: Shape (rows, columns, 1, N).
            carried: Shape (rows, columns, 1, N).

        Returns:
            Shape (rows, columns, 1, N).
        """
        both = torch.cat([image, carried], dim=2)
        weights = torch.softmax(self.scores(both), dim=2)
        return (weights * both).sum(dim=2, keepdim=True)
