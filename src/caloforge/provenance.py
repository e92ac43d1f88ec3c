"""Where things come from: hashes, versions, machines."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["file_sha256", "machine", "versions"]


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def machine() -> str:
    """The machine that this runs on: cores, processor, operating system."""
    return f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}"


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
