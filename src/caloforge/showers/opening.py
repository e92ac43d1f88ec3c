"""Opening HDF5 files: which ones are meant, and whether they can give what they hold.

HDF5 opens many a file that it cannot read, or of which it reads zeros: links that lead nowhere,
parts of a virtual dataset that are missing, chunks that were never written, filters that are not
installed. All that is found here, before anything is read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from glob import escape
from importlib import import_module
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from caloforge.atomic import reason
from caloforge.errors import CaloforgeError, FileFormatError
from caloforge.showers.fields import RUN_ATTRIBUTE, SPLITS
from caloforge.showers.formats import FORMATS, Format

__all__ = [
    "Paths",
    "attribute",
    "check_datasets",
    "find_files",
    "find_format",
    "find_run",
    "find_split",
    "open_file",
    "reading",
]

Paths = str | Path | Sequence[str | Path]
"""A file of showers, or several that hold one sample: a list, or a name with ``*`` or ``?``."""

# https://github.com/HDFGroup/hdf5_plugins/blob/master/docs/RegisteredFilterPlugins.md
_FILTERS = {
    4: "SZIP", 305: "LZO", 307: "BZIP2", 32000: "LZF", 32001: "Blosc", 32004: "LZ4",
    32008: "Bitshuffle", 32013: "ZFP", 32015: "Zstandard", 32017: "SZ", 32018: "FCIDECOMP",
    32019: "JPEG", 32024: "SZ3", 32026: "Blosc2", 32028: "SPERR",
}  # fmt: skip


def find_files(source: Paths) -> tuple[Path, ...]:
    """The files that are meant.

    Args:
        source: One file or several. In the name of a file that does not exist ``*`` and ``?`` stand
            for anything, as in a shell: these files are taken in the order of their numbers.

    Raises:
        FileFormatError: The list is empty.
    """
    names = [source] if isinstance(source, str | Path) else list(source)
    if not names:
        msg = "file: got none, must be at least one"
        raise FileFormatError(msg)
    return tuple(chain.from_iterable(_matching(Path(name)) for name in names))


def _matching(path: Path) -> list[Path]:
    if not re.search(r"[*?]", path.name) or _there(path):
        return [path]
    # Brackets stand for themselves: a name that exists is more likely than a set of characters.
    pattern = re.sub(r"\[([*?])\]", r"\1", escape(path.name))
    found = [item for item in path.parent.glob(pattern) if not item.is_dir()]
    return sorted(found, key=_by_number) or [path]


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _by_number(path: Path) -> list[tuple[bool, int, str]]:
    words = re.split(r"(\d+)", path.name)
    return [(word.isdigit(), int(word) if word.isdigit() else 0, word) for word in words]


def open_file(path: Path) -> h5py.File:
    """Open an HDF5 file to read it.

    Raises:
        FileFormatError: There is none, or it cannot be opened.
    """
    try:
        if path.is_dir():
            what = "is a folder, must be an HDF5 file"
        elif not path.exists():
            what = "does not exist"
        elif not path.is_file():
            what = "is no file"
        elif path.stat().st_size == 0:
            what = "is empty, must be an HDF5 file of showers"
        else:
            return h5py.File(path, "r")
    except FileNotFoundError:
        what = "does not exist"
    except PermissionError:
        what = "no permission to read it"
    except OSError as error:
        if "truncated" in str(error):
            what = "is truncated; fetch or make it again"
        elif "signature" in str(error):
            what = "is not an HDF5 file"
        else:
            what = f"cannot be opened as HDF5: {reason(error)}"
    except (RuntimeError, ValueError, KeyError) as error:  # what HDF5 makes of damaged headers
        what = f"cannot be opened as HDF5: {_first_line(error)}"
    msg = f"file {path}: {what}"
    raise FileFormatError(msg)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say in one sentence what HDF5 could not read.

    Raises:
        FileFormatError: The file is damaged.
    """
    try:
        yield
    except CaloforgeError:
        raise
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, ArithmeticError) as error:
        msg = f"file {path}: is damaged: {_first_line(error)}"
        raise FileFormatError(msg) from None
    except MemoryError:
        msg = f"file {path}: does not fit into memory; it is damaged, or has absurdly large rows"
        raise FileFormatError(msg) from None


def check_datasets(file: h5py.File, keys: Sequence[str], path: Path) -> None:
    """Make sure that the datasets that are there can give what they promise.

    Args:
        file: The open file.
        keys: Datasets that will be read; what the file does not name is passed over.
        path: Where it lies, for messages.

    Raises:
        FileFormatError: One leads nowhere, has no data, misses a part, was not written to its end,
            or is compressed with a filter that is not installed.
    """
    for key in keys:
        link = file.get(key, getlink=True)
        if link is None:
            continue
        where = f"file {path}: {key!r}"
        try:
            item = file[key]
        except (KeyError, OSError, RuntimeError):
            if isinstance(link, h5py.SoftLink | h5py.ExternalLink):
                there = f" in {link.filename}" if isinstance(link, h5py.ExternalLink) else ""
                msg = f"{where} is a link to {link.path}{there}, which is not there; fetch it too"
            else:
                msg = f"{where} cannot be opened: it is damaged; fetch or make the file again"
            raise FileFormatError(msg) from None
        if isinstance(item, h5py.Dataset):
            _check_dataset(item, where, path.parent)


def attribute(file: h5py.File, key: str) -> str:
    """An attribute of a file as text; empty where there is none."""
    value = file.attrs.get(key, "")
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def find_format(file: h5py.File, path: Path) -> Format:
    """The format that a file is in.

    Raises:
        FileFormatError: It is in none.
    """
    keys = [key if isinstance(key, str) else key.decode("utf-8", "replace") for key in file]
    for candidate in FORMATS.values():
        if candidate.energy_key in keys and candidate.deposit_keys(file):
            return candidate
    wanted = " or ".join(
        f"{name} ({fmt.energy_key}, {'layer_0' if name == 'calogan' else 'showers'}, ...)"
        for name, fmt in FORMATS.items()
    )
    found = " ".join(", ".join(keys[:8]).split()) or "nothing"
    msg = f"file {path}: has {found}; must be in the format {wanted}"
    raise FileFormatError(msg)


def find_run(file: h5py.File, path: Path) -> dict[str, object]:
    """How a file was made; empty where it does not say.

    Raises:
        FileFormatError: What it says is no JSON object.
    """
    try:
        run = json.loads(attribute(file, RUN_ATTRIBUTE) or "{}")
    except (ValueError, RecursionError):
        run = None
    if not isinstance(run, dict):
        msg = f"file {path}: the attribute {RUN_ATTRIBUTE!r} must be a JSON object"
        raise FileFormatError(msg)
    return run


def find_split(file: h5py.File, count: int, path: Path) -> NDArray[np.int8] | None:
    """What each of the rows of a file is for: shape (count,); None where it does not say.

    Raises:
        FileFormatError: What it says has another shape or other values.
    """
    if "split" not in file:
        return None
    split = file["split"]
    if isinstance(split, h5py.Dataset) and split.shape == (count,):
        values = np.asarray(split[:])
        if np.isin(values, list(SPLITS.values())).all():
            return values.astype(np.int8)
    msg = (
        f"file {path}: 'split' must have shape {(count,)} and hold 0 (train), 1 (validation) or "
        "2 (test)"
    )
    raise FileFormatError(msg)


def _check_dataset(dataset: h5py.Dataset, where: str, folder: Path) -> None:
    if dataset.shape is None:
        msg = f"{where} has no data (a null dataspace), must be an array of numbers"
        raise FileFormatError(msg)
    if dataset.is_virtual:
        for source in dataset.virtual_sources():
            _check_part(source.file_name, source.dset_name, dataset, where, folder)
    for name, *_ in dataset.external or ():
        if not (folder / name).exists():
            msg = f"{where} keeps its data in {name}, which is not there; fetch it too"
            raise FileFormatError(msg)
    if dataset.chunks is not None:
        _check_chunks(dataset, where)


def _check_part(name: str, key: str, dataset: h5py.Dataset, where: str, folder: Path) -> None:
    if "%" in name:  # a pattern: as many files as there are
        return
    path = Path(dataset.file.filename) if name == "." else folder / name
    problem = "is not there; fetch it too"
    if path.exists():
        try:
            if name == ".":
                _ = dataset.file[key]
            else:
                with h5py.File(path, "r") as file:
                    _ = file[key]
        except (KeyError, OSError, RuntimeError):
            problem = f"has no readable {key!r}; fetch it again"
        else:
            return
    msg = f"{where} is put together of parts, of which {path} {problem}"
    raise FileFormatError(msg)


def _check_chunks(dataset: h5py.Dataset, where: str) -> None:
    expected = int(
        np.prod([-(-n // c) for n, c in zip(dataset.shape, dataset.chunks, strict=True)])
    )
    if expected == 0:
        return
    found = dataset.id.get_num_chunks()
    if found < expected:
        msg = (
            f"{where} holds {found} of {expected} chunks, so it was not written to its end; fetch "
            "or make the file again"
        )
        raise FileFormatError(msg)
    filters = dataset.id.get_create_plist()
    skipped = dataset.id.get_chunk_info(0).filter_mask
    for i in range(filters.get_nfilters()):
        code = filters.get_filter(i)[0]
        if not (skipped >> i) & 1 and not _available(code):
            name = f"{_FILTERS[code]} (filter {code})" if code in _FILTERS else f"filter {code}"
            msg = f"{where} is compressed with {name}, which is missing; pip install hdf5plugin"
            raise FileFormatError(msg)


def _available(code: int) -> bool:
    if not h5py.h5z.filter_avail(code) and find_spec("hdf5plugin") is not None:
        import_module("hdf5plugin")  # makes its filters known to HDF5
    return bool(h5py.h5z.filter_avail(code))


def _first_line(error: Exception) -> str:
    if isinstance(error, OSError):
        return reason(error)
    return next(iter(str(error).splitlines()), type(error).__name__)
