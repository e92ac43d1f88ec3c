"""What is recorded: showers in memory, and the files that hold them."""

from caloforge.showers.container import Showers
from caloforge.showers.files import (
    ShowerFile,
    Split,
    open_showers,
    read_showers,
    write_showers,
)
from caloforge.showers.formats import FormatName

__all__ = [
    "FormatName",
    "ShowerFile",
    "Showers",
    "Split",
    "open_showers",
    "read_showers",
    "write_showers",
]
