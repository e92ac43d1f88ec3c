"""What is recorded: showers in memory, and the files that hold them."""

from caloforge.showers.cleaning import Cleaning
from caloforge.showers.container import Showers
from caloforge.showers.convert import Conversion, convert, convert_file
from caloforge.showers.fields import FormatName, Split
from caloforge.showers.inspection import FileReport, inspect_file
from caloforge.showers.opening import Paths
from caloforge.showers.reading import ShowerFile
from caloforge.showers.samples import open_showers, read_part, read_parts, read_showers
from caloforge.showers.split import split_file
from caloforge.showers.writing import write_showers

__all__ = [
    "Cleaning",
    "Conversion",
    "FileReport",
    "FormatName",
    "Paths",
    "ShowerFile",
    "Showers",
    "Split",
    "convert",
    "convert_file",
    "inspect_file",
    "open_showers",
    "read_part",
    "read_parts",
    "read_showers",
    "split_file",
    "write_showers",
]
