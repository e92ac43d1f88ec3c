"""How many cores this process may use: seldom all that the machine has."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["available_cores", "most_workers"]

_VARIABLES = ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK")


def available_cores() -> int:
    """The cores that a job has, at least one.

    The least of those that the process is bound to (``taskset``, batch systems), the quota of its
    control groups (containers), and what ``OMP_NUM_THREADS`` and ``SLURM_CPUS_PER_TASK`` say.
    """
    known = [os.cpu_count() or 1]
    if hasattr(os, "sched_getaffinity"):
        known.append(len(os.sched_getaffinity(0)))
    known += [
        int(first)
        for name in _VARIABLES
        if (first := os.environ.get(name, "").partition(",")[0].strip()).isdecimal() and int(first)
    ]
    quota = cgroup_quota(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))
    if quota is not None:
        known.append(max(1, int(quota)))
    return min(known)


def most_workers() -> int:
    """Processes beyond which a number of them is a slip: four for each core of the machine."""
    return max(64, 4 * (os.cpu_count() or 1))


def cgroup_quota(membership: Path, root: Path) -> float | None:
    """The cores that control groups leave to this process.

    Args:
        membership: What says which groups it is in (``/proc/self/cgroup``).
        root: Where the groups are (``/sys/fs/cgroup``).

    Returns:
        Their number; None where there is no limit.
    """
    quotas: list[float] = []
    for line in _read(membership).splitlines():
        number, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        second = number == "0" and not controllers
        if not second and "cpu" not in controllers.split(","):
            continue
        homes = [root] if second else [root / controllers, root / "cpu"]
        for home in homes:
            # A limit of a group holds for all below it; a container may see itself as the root.
            below = Path(*Path(group).parts[1:]) if Path(group).parts else Path()
            for folder in (home / below, *(home / parent for parent in below.parents)):
                words = (
                    _read(folder / "cpu.max").split()
                    if second
                    else [
                        *_read(folder / "cpu.cfs_quota_us").split(),
                        *_read(folder / "cpu.cfs_period_us").split(),
                    ]
                )
                if len(words) == 2 and all(word.isdecimal() for word in words) and int(words[1]):
                    quotas.append(int(words[0]) / int(words[1]))
    return min(quotas, default=None)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
