"""Making many showers: blocks from one or several worker processes, in order, into files."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Self, cast

from caloforge.errors import CaloforgeError, WorkerError
from caloforge.explain import option
from caloforge.showers.output import Output
from caloforge.showers.source import Block, Source
from caloforge.workers import Worker, death, start_worker

__all__ = ["blocks", "produce"]


def produce(
    source: Source,
    output: Output,
    count: int,
    *,
    block_size: int,
    workers: int = 1,
    isolated: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Make the showers that ``output`` does not have yet, and finish it.

    Blocks are written in a thread beside, while the next ones are made.

    Args:
        source: What makes them.
        output: Where they go; its context has been entered.
        count: Number of indices (showers, or events) in all.
        block_size: Indices that are made at a time.
        workers: Number of processes.
        isolated: Use worker processes even for one worker, for sources that a process can open
            only once.
        progress: Called with the number of indices made so far.

    Raises:
        WorkerError: A worker process died.
        CaloforgeError: What the source or the output raises.
        RuntimeError: A worker process met an unforeseen error.
    """
    done = output.done
    progress(done)
    with _Beside(output.append) as writing:
        try:
            for block in blocks(
                source, done, count, block_size=block_size, workers=workers, isolated=isolated
            ):
                writing.do(block)
                done += block.count
                progress(done)
        except WorkerError as error:
            # What is there is kept as the context of the output ends.
            if not done:
                raise
            kept = f"{done} of {count} showers are kept; go on from there ({option('resume')})"
            msg = f"{error}; {kept}"
            raise WorkerError(msg) from None
        finally:
            writing.wait()
    output.finish()


class _Beside:
    """Does something with one block after the other, in order, while the next is being made.

    Compressing and writing take no time from what makes showers on another core, which then does
    not wait for a disk either. No more than one block waits, so that memory stays what it is.
    """

    def __init__(self, what: Callable[[Block], None]) -> None:
        self._what = what
        self._pool = ThreadPoolExecutor(1)
        self._last: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def do(self, block: Block) -> None:
        """Begin with a block, once the one before is done.

        Raises:
            CaloforgeError: What was raised over the one before.
        """
        self.wait()
        self._last = self._pool.submit(self._what, block)

    def wait(self) -> None:
        """Wait until all is done.

        Raises:
            CaloforgeError: What was raised over the last one.
        """
        last, self._last = self._last, None
        if last is not None:
            last.result()


def blocks(
    source: Source,
    first: int,
    stop: int,
    *,
    block_size: int,
    workers: int = 1,
    isolated: bool = False,
) -> Iterator[Block]:
    """What has the indices ``first`` to ``stop``, in order, block by block.

    Args:
        source: What makes it.
        first: The first index.
        stop: The index behind the last.
        block_size: Indices that are made at a time.
        workers: Number of processes.
        isolated: Use worker processes even for one worker.

    Yields:
        The blocks, each of ``block_size`` indices but the last.
    """
    starts = range(first, stop, block_size)
    if not isolated and (workers == 1 or len(starts) < 2):
        for at in starts:
            yield source.block(at, min(block_size, stop - at))
    elif starts:
        yield from _in_processes(source, starts, stop, min(workers, len(starts)))


def _in_processes(source: Source, starts: range, stop: int, workers: int) -> Iterator[Block]:
    started: list[Worker] = []
    try:
        started.extend(start_worker(_work, source) for _ in range(workers))
        yield from _in_order(started, starts, stop)
    finally:
        for worker in started:
            worker.stop()


def _in_order(workers: Sequence[Worker], starts: range, stop: int) -> Iterator[Block]:
    """Hand out blocks to whoever is free, and yield them in order.

    No block is handed out that is more than a few per worker ahead of the one that is due, so a
    slow block cannot make the others pile up.
    """
    ahead = 4 * len(workers)
    due, given = 0, 0
    busy: dict[Connection, tuple[Worker, int]] = {}
    idle = list(workers)
    made: dict[int, Block | Exception] = {}
    while due < len(starts):
        while idle and given < min(len(starts), due + ahead):
            worker = idle.pop()
            with suppress(BrokenPipeError, ConnectionResetError):  # receiving will tell
                worker.pipe.send((starts[given], min(starts.step, stop - starts[given])))
            busy[worker.pipe] = worker, given
            given += 1
        for pipe in cast("list[Connection]", wait(list(busy))):
            worker, block = busy.pop(pipe)
            try:
                made[block] = _unwrap(pipe.recv())
                idle.append(worker)
            except (EOFError, ConnectionResetError):
                made[block] = death(worker)
        while due in made:
            result = made.pop(due)
            if isinstance(result, Exception):  # in its turn: the blocks before it are kept
                raise result
            yield result
            due += 1


def _unwrap(result: Block | CaloforgeError | str) -> Block | Exception:
    if isinstance(result, str):
        return RuntimeError(f"a worker process failed:\n{result}")
    return result


def _work(pipe: Connection, source: Source) -> None:
    """What a worker process does until its pipe is closed."""
    while True:
        try:
            first, count = pipe.recv()
        except EOFError:
            return
        result: Block | CaloforgeError | str
        try:
            result = source.block(first, count)
        except CaloforgeError as error:
            result = error
        except MemoryError:
            result = WorkerError(
                "a worker process has no memory left; take fewer workers or smaller batches"
            )
        except Exception:
            result = traceback.format_exc()
        try:
            pipe.send(result)
        except (BrokenPipeError, ConnectionResetError):
            return
