"""Geant4 and its data tables: are they there, where, and how to get them."""

from __future__ import annotations

import os
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caloforge.errors import Geant4DataError
from caloforge.fullsim.physics import PhysicsSettings

__all__ = [
    "DATASETS",
    "DataLibrary",
    "data_directory",
    "download_data",
    "download_size",
    "import_calzone",
    "missing_datasets",
    "require_data",
]

_URL = "https://cern.ch/geant4-data/datasets"
_VARIABLE = "GEANT4_DATA_DIR"


@dataclass(frozen=True)
class DataLibrary:
    """One of Geant4's data libraries.

    Attributes:
        name: Name by which calzone knows it, ``"G4EMLOW"``.
        version: ``"8.8"``.
    """

    name: str
    version: str

    @property
    def folder(self) -> str:
        """Name of its folder within the data directory."""
        return f"{self.name}{self.version}"

    @property
    def url(self) -> str:
        """Where its archive is."""
        prefix = "" if self.name.startswith("G4") else "G4"
        return f"{_URL}/{prefix}{self.name}.{self.version}.tar.gz"


# Those of Geant4 11.4.0, which calzone 1.2 contains; it refuses to run if a folder is missing.
DATASETS = tuple(
    DataLibrary(name, version)
    for name, version in (
        ("G4NDL", "4.7.1"),
        ("G4EMLOW", "8.8"),
        ("PhotonEvaporation", "6.1.2"),
        ("RadioactiveDecay", "6.1.2"),
        ("G4PARTICLEXS", "4.2"),
        ("G4PII", "1.3"),
        ("RealSurface", "2.2"),
        ("G4SAIDDATA", "2.0"),
        ("G4ABLA", "3.3"),
        ("G4INCL", "1.3"),
        ("G4ENSDFSTATE", "3.0"),
        ("G4CHANNELING", "2.0"),
        ("G4TENDL", "1.4"),
        ("G4NUDEXLIB", "1.0"),
        ("G4URRPT", "1.1"),
    )
)

# A folder that the physics reads and a reduced set of tables may lack. Geant4 would end the whole
# process over it.
_STANDARD_TABLES = ("G4EMLOW8.8/brem_SB", "G4PARTICLEXS4.2/gamma")
_TABLES = {
    "option3": ("G4EMLOW8.8/fluor",),
    "option4": ("G4EMLOW8.8/fluor",),
    "livermore": ("G4EMLOW8.8/fluor", "G4EMLOW8.8/livermore"),
    "penelope": ("G4EMLOW8.8/fluor", "G4EMLOW8.8/penelope"),
    "dna": ("G4EMLOW8.8/dna",),
}
_NEUTRON_TABLES = "G4NDL4.7.1/Inelastic"


def import_calzone() -> Any:
    """The module ``calzone``.

    Raises:
        Geant4DataError: It is not installed, or nothing says where its data tables are.
    """
    data_directory()
    if not os.environ.get(_VARIABLE) and sys.platform != "win32":
        # It panics without, though the system may know the home directory of the user.
        os.environ.setdefault("HOME", str(Path.home()))
    try:
        import calzone
    except ImportError as error:
        msg = f"Geant4 needs the package calzone: pip install 'calzone>=1.2.2,<2' ({error})"
        raise Geant4DataError(msg) from None
    return calzone


def data_directory() -> Path:
    """Where Geant4 looks for its tables: ``GEANT4_DATA_DIR``, or else calzone's own folder.

    Raises:
        Geant4DataError: It is not set, and there is no home directory that this folder is in.
    """
    named = os.environ.get(_VARIABLE)
    if named:
        return Path(named)
    try:
        if sys.platform == "win32":
            return Path(os.environ["LOCALAPPDATA"]) / "calzone" / "data"
        return Path.home() / ".local/share/calzone/data"
    except (RuntimeError, KeyError):  # a batch node that does not know the user
        msg = (
            f"Geant4 needs its data tables, but there is no home directory to find them in; set "
            f"{_VARIABLE} to the folder that has them, or HOME"
        )
        raise Geant4DataError(msg) from None


def missing_datasets(directory: Path) -> tuple[DataLibrary, ...]:
    """The data libraries that a directory does not have."""
    return tuple(data for data in DATASETS if not (directory / data.folder).is_dir())


def require_data(physics: PhysicsSettings) -> None:
    """Make sure that the tables are there.

    Args:
        physics: What Geant4 is to simulate with them.

    Raises:
        Geant4DataError: They are not, or they are a reduced set that lacks what ``physics`` needs.
    """
    directory = data_directory()
    missing = missing_datasets(directory)
    if missing:
        few = ", ".join(data.folder for data in missing[:3])
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        msg = (
            f"Geant4 needs its data tables: {directory} has no {few}{more}; get them with "
            "'caloforge geant4 --download-data' (it shows the size and asks first), "
            f"or set {_VARIABLE} to a folder that has them"
        )
        raise Geant4DataError(msg)
    needed = [*_STANDARD_TABLES, *_TABLES.get(physics.em, ())]
    if physics.hadronic.endswith("_HP"):
        needed.append(_NEUTRON_TABLES)
    for table in needed:
        if not (directory / table).is_dir():
            msg = (
                f"Geant4 needs {table} for {physics.em} and {physics.hadronic}, but the tables in "
                f"{directory} are a reduced set without it; choose other physics, or set "
                f"{_VARIABLE} to another folder and run 'caloforge geant4 --download-data'"
            )
            raise Geant4DataError(msg)


def download_size(datasets: Sequence[DataLibrary], timeout: float = 30.0) -> int:
    """How much there is to download, asked from the server.

    Args:
        datasets: What to download.
        timeout: Seconds to wait for each answer.

    Returns:
        Bytes of all archives; unpacked they take two to three times as much.

    Raises:
        Geant4DataError: The server cannot be reached.
    """
    size = 0
    for data in datasets:
        request = urllib.request.Request(data.url, method="HEAD")  # noqa: S310 (always https)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310
                size += int(answer.headers["Content-Length"])
        except (OSError, TypeError, ValueError) as error:
            msg = f"cannot ask for the size of {data.url}: {error}; check the network connection"
            raise Geant4DataError(msg) from None
    return size


def download_data(
    directory: Path,
    datasets: Sequence[DataLibrary],
    progress: Callable[[DataLibrary], None] = lambda _: None,
) -> None:
    """Download and unpack data libraries; each appears whole or not at all.

    Args:
        directory: Where to.
        datasets: Which, usually :func:`missing_datasets`.
        progress: Called before each.

    Raises:
        Geant4DataError: A download failed, or the directory cannot be written.
    """
    calzone = import_calzone()
    for data in datasets:
        progress(data)
        try:
            directory.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=directory, prefix=".download-") as folder:
                calzone.download(folder, include=[data.name], verbose=False)
                (Path(folder) / data.folder).rename(directory / data.folder)
        except (OSError, ValueError) as error:
            msg = f"cannot download {data.url} to {directory}: {error}"
            raise Geant4DataError(msg) from None
