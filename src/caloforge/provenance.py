"""Where things come from: hashes, versions, machines."""

from __future__ import annotations

import hashlib
import platform
import shlex
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from caloforge.cores import available_cores

__all__ = ["command_line", "file_sha256", "files_sha256", "machine", "processor", "versions"]

Option = str | float | tuple[str | float, ...] | None


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_sha256(paths: Sequence[Path]) -> str:
    """SHA-256 of a file; of several that of their own hashes, in order."""
    found = [file_sha256(path) for path in paths]
    return found[0] if len(found) == 1 else hashlib.sha256("".join(found).encode()).hexdigest()


def machine() -> str:
    """The machine that this runs on: cores, processor, operating system."""
    return f"{available_cores()} cores, {platform.machine()}, {platform.system()}"


def processor() -> str:
    """The processor that this runs on, as its maker calls it where the system tells."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def versions(packages: Iterable[str]) -> dict[str, str]:
    """The version of Python, and those of the packages that are installed.

    Args:
        packages: Their names in the package index.

    Examples:
        >>> list(versions(["numpy", "no-such-package"]))
        ['python', 'numpy']
    """
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def command_line(*words: str, **options: Option) -> str:
    """What is typed to do something (again).

    Args:
        words: The command, and what has no option.
        options: Options, ``_`` for ``-``. Those that are True are flags, those that are None or
            False are left out, those that are several values are repeated.

    Examples:
        >>> command_line("generate", particle="e+", n=5, model=None, conserve_energy=True)
        'caloforge generate --particle e+ -n 5 --conserve-energy'
    """
    line = ["caloforge", *words]
    for name, value in options.items():
        option = f"-{name}" if len(name) == 1 else f"--{name.replace('_', '-')}"
        if value is True:
            line.append(option)
        elif value is not None and value is not False:
            values = value if isinstance(value, tuple) else (value,)
            line += [text for each in values for text in (option, str(each))]
    return shlex.join(line)
