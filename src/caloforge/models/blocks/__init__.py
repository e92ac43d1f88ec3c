"""Building blocks that several systems share."""

from caloforge.models.blocks.attention import InpaintingAttention, Resize
from caloforge.models.blocks.convolution import BatchNorm, GlorotLinear, SameConv2d
from caloforge.models.blocks.locally_connected import LocallyConnected2d
from caloforge.models.blocks.minibatch import MinibatchDiscrimination

__all__ = [
    "BatchNorm",
    "GlorotLinear",
    "InpaintingAttention",
    "LocallyConnected2d",
    "MinibatchDiscrimination",
    "Resize",
    "SameConv2d",
]
