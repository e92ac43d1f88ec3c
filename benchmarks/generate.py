"""Speed and memory of `caloforge generate`.

    python benchmarks/generate.py [--particle e+] [--counts 10000 100000 1000000]

Each run is a process of its own. Prints, for each number of showers and of workers, the wall time
of the whole command, showers per second once the start-up (a run of a single shower) is taken off,
and the largest resident memory of any of its processes.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def run(count: int, workers: int, particle: str, folder: Path) -> tuple[float, float]:
    """Wall time in seconds and peak memory in MB of one run."""
    command = [
        *(sys.executable, "-m", "caloforge", "generate", "--quiet", "--overwrite", "--seed", "1"),
        *("--particle", particle, "--energy", "1:100", "-n", str(count)),
        *("--workers", str(workers), "-o", str(folder / "showers.h5")),
    ]
    start = time.perf_counter()
    subprocess.run(command, check=True)
    seconds = time.perf_counter() - start
    # The peak of all children so far: runs go from small to large, so a larger one shows.
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--particle", default="e+")
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    print(f"{'showers':>10} {'workers':>8} {'seconds':>8} {'showers/s':>10} {'peak MB':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for workers in options.workers:
            start_up, _ = run(1, workers, options.particle, Path(folder))
            for count in sorted(options.counts):
                seconds, memory = run(count, workers, options.particle, Path(folder))
                rate = count / (seconds - start_up)
                print(f"{count:10,} {workers:8} {seconds:8.1f} {rate:10,.0f} {memory:8.0f}")


if __name__ == "__main__":
    main()
