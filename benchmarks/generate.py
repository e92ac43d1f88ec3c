"""Speed and memory of `caloforge generate`.

    python benchmarks/generate.py --model atlas-vae --counts 10000 100000 1000000
    python benchmarks/generate.py --counts 200000 --against ../older/src    # side by side, in turn
    python benchmarks/generate.py --counts 100000 --breakdown               # where the time goes

Each run is a process of its own. Prints, for each number of showers and of workers, the wall time
of the whole command, showers per second once the start-up (a run of a single shower) is taken off,
the processor time of all its processes per shower, start-up included, and the largest resident
memory of any of them. The breakdown is of one run in this process, by the clock of its thread.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

OURS = Path(__file__).resolve().parents[1] / "src"


def run(
    count: int, workers: int, words: Sequence[str], folder: Path, source: Path
) -> tuple[float, float, float]:
    """Wall time and processor time in seconds, and peak memory in MB, of one run."""
    command = [
        *(sys.executable, "-m", "caloforge", "generate", "--quiet", "--overwrite", "--seed", "1"),
        *(*words, "--energy", "1:100", "-n", str(count)),
        *("--workers", str(workers), "-o", str(folder / "showers.h5")),
    ]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(source)})
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    # The peak of all children so far: runs go from small to large, so a larger one shows.
    return seconds, processor, after.ru_maxrss / 1024


def breakdown(count: int, words: dict[str, str]) -> dict[str, float]:
    """Processor time in seconds of each part of a run in this process, with one worker."""
    import onnxruntime

    from caloforge.incident.gun import Gun
    from caloforge.random import Streams
    from caloforge.runtime import generate
    from caloforge.showers import output
    from caloforge.showers.hdf5 import chunks, disk

    spent: Counter[str] = Counter()
    inside: list[float] = []  # time of the parts within those that are being timed

    def timed(owner: Any, name: str, part: str) -> None:
        genuine: Callable[..., Any] = getattr(owner, name)

        def wrapper(*args: Any, **options: Any) -> Any:
            inside.append(0.0)
            start = time.thread_time()
            try:
                return genuine(*args, **options)
            finally:
                taken = time.thread_time() - start
                spent[part] += taken - inside.pop()
                if inside:
                    inside[-1] += taken

        setattr(owner, name, wrapper)

    def at_once(_: ThreadPoolExecutor, function: Callable[..., Any], *of: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(function(*of))
        return done

    # All in this thread, so that there is one clock.
    ThreadPoolExecutor.map = lambda _, function, *of: map(function, *of)  # type: ignore[method-assign,assignment]
    ThreadPoolExecutor.submit = at_once  # type: ignore[method-assign,assignment]
    timed(onnxruntime.InferenceSession, "run", "network")
    timed(Streams, "normal", "normal numbers")
    timed(Gun, "sample", "incident particles")
    timed(chunks, "compress", "compression")
    timed(disk.Disk, "write", "the disk")
    timed(output.Output, "append", "segments, but for these")
    timed(output.Output, "finish", "the file from them")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "showers.h5"
        generate(path, energy="1:100", count=1000, seed=1, **words)  # what is done only once
        spent.clear()
        start = time.thread_time()
        generate(path, energy="1:100", count=count, seed=1, overwrite=True, **words)
        spent["the rest"] = time.thread_time() - start - sum(spent.values())
    assert threading.active_count() < 3
    return dict(spent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--particle", default="e+")
    parser.add_argument("--model")
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--against", type=Path, help="the src folder of another version")
    parser.add_argument("--breakdown", action="store_true")
    options = parser.parse_args()
    chosen = {"particle": options.particle}
    if options.model:
        chosen["model"] = options.model
    if options.breakdown:
        count = max(options.counts)
        found = breakdown(count, chosen)
        for part, seconds in [*found.items(), ("all", sum(found.values()))]:
            print(f"{part:24} {1e6 * seconds / count:8.2f} us a shower")
        return
    words = [word for key, value in chosen.items() for word in (f"--{key}", value)]
    sources = {"": OURS} if options.against is None else {"other": options.against, "this": OURS}
    titles = ("showers", "workers", "seconds", "showers/s", "us/shower", "peak MB")
    print(f"{'':5} " + " ".join(f"{title:>10}" for title in titles))
    with tempfile.TemporaryDirectory() as folder:
        for workers in options.workers:
            starts = {
                name: run(1, workers, words, Path(folder), source)[0]
                for name, source in sources.items()
            }
            for count in sorted(options.counts):
                for name, source in sources.items():
                    wall, processor, memory = run(count, workers, words, Path(folder), source)
                    rate = count / (wall - starts[name])
                    print(
                        f"{name:5} {count:10,} {workers:10} {wall:10.1f} {rate:10,.0f} "
                        f"{1e6 * processor / count:10.1f} {memory:10.0f}"
                    )


if __name__ == "__main__":
    main()
