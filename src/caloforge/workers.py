"""Worker processes: they end with the process that started them, and their death has a reason."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, NamedTuple, ParamSpec, TypeVar

from caloforge.errors import CaloforgeError, WorkerError

__all__ = ["Worker", "call_in_process", "death", "start_worker"]

P = ParamSpec("P")
T = TypeVar("T")

_PR_SET_PDEATHSIG = 1
_MEMORY = "as the system does when memory runs out; take fewer processes or smaller batches"


class Worker(NamedTuple):
    """A process, and our end of the pipe to it."""

    process: SpawnProcess
    pipe: Connection

    def stop(self) -> None:
        """End it at once."""
        self.pipe.close()
        self.process.kill()
        self.process.join()


def start_worker(target: Callable[..., None], *arguments: Any) -> Worker:
    """Start a fresh interpreter ("spawn"), so that nothing of this process is in it.

    Args:
        target: Called with its end of the pipe, then the arguments.
        arguments: What is sent to it.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_begin, args=(target, theirs, *arguments), daemon=True)
    process.start()
    theirs.close()  # only the worker holds its end, so that we see it end
    return Worker(process, ours)


def death(worker: Worker) -> WorkerError:
    """Why a worker whose pipe has broken is no more."""
    worker.process.join(10)
    code = worker.process.exitcode
    if code is None:
        what = "does not answer any more"
    elif code >= 0:
        what = f"ended with exit code {code}; what it wrote is above"
    elif -code == signal.SIGKILL:
        what = f"was killed ({_name(-code)}), {_MEMORY}"
    else:
        what = f"was ended by {_name(-code)}; what it wrote is above"
    return WorkerError(f"a worker process {what}")


def call_in_process(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Call a function in a process of its own.

    Raises:
        WorkerError: The process died.
        CaloforgeError: What the function raises.
        RuntimeError: The function met an unforeseen error.
    """
    worker = start_worker(_call, function, arguments, named)
    try:
        result = worker.pipe.recv()
    except (EOFError, ConnectionResetError):
        raise death(worker) from None
    finally:
        worker.stop()
    if isinstance(result, CaloforgeError):
        raise result
    if isinstance(result, _Failure):
        msg = f"a worker process failed:\n{result.text}"
        raise RuntimeError(msg)
    found: T = result
    return found


class _Failure(NamedTuple):
    text: str


def _call(
    pipe: Connection, function: Callable[..., Any], arguments: Any, named: dict[str, Any]
) -> None:
    result: Any
    try:
        result = function(*arguments, **named)
    except CaloforgeError as error:
        result = error
    except MemoryError:
        result = WorkerError(f"a worker process has no memory left, {_MEMORY}")
    except Exception:
        result = _Failure(traceback.format_exc())
    with suppress(BrokenPipeError, ConnectionResetError):
        pipe.send(result)


def _begin(target: Callable[..., None], pipe: Connection, *arguments: Any) -> None:
    # Signals are for the parent to handle, which ends its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _end_with_parent()
    target(pipe, *arguments)


def _end_with_parent() -> None:
    """Have this process killed when its parent ends, however that ends."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent.pid:  # it ended before we had asked
            os._exit(1)
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
