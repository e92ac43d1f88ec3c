"""What is recorded: showers in memory, and the files that hold them."""

from caloforge.showers.container import Showers
from caloforge.showers.convert import convert, convert_file
from caloforge.showers.files import (
    ShowerFile,
    Split,
    open_showers,
    read_part,
    read_showers,
    write_showers,
)
from caloforge.showers.formats import FormatName
from caloforge.showers.report import FileReport, inspect_file
from caloforge.showers.split import split_file

__all__ = [
    "FileReport",
    "FormatName",
    "ShowerFile",
    "Showers",
    "Split",
    "convert",
    "convert_file",
    "inspect_file",
    "open_showers",
    "read_part",
    "read_showers",
    "split_file",
    "write_showers",
]
