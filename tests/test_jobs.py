"""What a job meets on a batch node: cores, signals, workers that die, no home directory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from artefacts import make_artefact
from caloforge import cores
from caloforge.cores import available_cores, cgroup_quota
from caloforge.detector import load_detector
from caloforge.errors import EnergyError, WorkerError
from caloforge.showers import Showers, write_showers
from caloforge.showers.output import Output
from caloforge.showers.production import produce
from caloforge.workers import call_in_process, start_worker
from conftest import PATIENCE
from sources import Cheap

# Cores (10)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """64 cores, all of them ours."""
    for name in ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(cores, "cgroup_quota", lambda *_: None)
    return monkeypatch


def test_cores_of_a_job(machine: pytest.MonkeyPatch) -> None:
    assert available_cores() == 64
    machine.setenv("SLURM_CPUS_PER_TASK", "16")
    assert available_cores() == 16
    machine.setenv("OMP_NUM_THREADS", "8,2")
    assert available_cores() == 8
    machine.setattr(cores, "cgroup_quota", lambda *_: 4.5)
    assert available_cores() == 4
    machine.setattr(os, "sched_getaffinity", lambda _: {3})
    assert available_cores() == 1


@pytest.mark.parametrize("text", ["", "0", "many", "-4", "1e3", " "])
def test_cores_of_nonsense(machine: pytest.MonkeyPatch, text: str) -> None:
    machine.setenv("OMP_NUM_THREADS", text)
    assert available_cores() == 64
    machine.setattr(cores, "cgroup_quota", lambda *_: 0.2)
    assert available_cores() == 1


@pytest.mark.parametrize(
    ("membership", "files", "quota"),
    [
        ("0::/job/step\n", {"job/step/cpu.max": "150000 100000\n"}, 1.5),
        ("0::/job/step\n", {"job/cpu.max": "200000 100000\n", "job/step/cpu.max": "max 1"}, 2),
        ("0::/\n", {"cpu.max": "400000 100000"}, 4),
        ("0::/elsewhere\n", {"cpu.max": "max 100000"}, None),
        (
            "5:cpu,cpuacct:/slurm\n",
            {
                "cpu,cpuacct/slurm/cpu.cfs_quota_us": "300000",
                "cpu,cpuacct/slurm/cpu.cfs_period_us": "100000",
            },
            3,
        ),
        ("5:cpu:/a\n", {"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "100000"}, None),
        ("4:memory:/a\n", {"cpu.max": "1 1"}, None),
        ("", {}, None),
    ],
)
def test_quota(tmp_path: Path, membership: str, files: dict[str, str], quota: float | None) -> None:
    (tmp_path / "cgroup").write_text(membership)
    for name, text in files.items():
        path = tmp_path / "fs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert cgroup_quota(tmp_path / "cgroup", tmp_path / "fs") == quota


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_one_core_is_one_worker() -> None:
    core = next(iter(os.sched_getaffinity(0)))
    code = (
        f"import os; os.sched_setaffinity(0, [{core}]);"
        "from caloforge.cores import available_cores; print(available_cores())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


# Signals (11)


def started(*arguments: object, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "caloforge", *map(str, arguments)],
        cwd=folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        preexec_fn=_heed_signals,
    )


def _heed_signals() -> None:
    """Whatever the tests were started by: what runs in the background, or under nohup, ignores."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_signals_leave_nothing_behind(tmp_path: Path, number: str) -> None:
    """A conversion that takes long enough is ended half-way."""
    calogan = load_detector("calogan")
    deposits = np.random.default_rng(1).exponential(1, (6000, 504)).astype(np.float32)
    write_showers(tmp_path / "a.h5", Showers(calogan, np.full(6000, 5.0), deposits))
    line = ("data", "convert", "a.h5", "-o", "b.h5", "--points", 10000, "--detector", "lar-voxels")
    process = started(*line, folder=tmp_path)
    wait_for(lambda: any(tmp_path.glob(".b.h5.*.tmp")), process)
    process.send_signal(getattr(signal, number))
    _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (130, "caloforge: error: interrupted\n")
    assert [item.name for item in tmp_path.iterdir()] == ["a.h5"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.slow
@pytest.mark.parametrize("many", [1, 2])
def test_what_a_run_has_is_kept_when_the_time_is_over(tmp_path: Path, many: int) -> None:
    make_artefact(tmp_path / "tiny")
    line = ("generate", "--model", "tiny", "--particle", "e+", "--energy", 5, "-n", 3000000)
    process = started(*line, "--workers", many, "-o", "a.h5", folder=tmp_path)
    wait_for(lambda: any((tmp_path / "a.h5.part").glob("*.0.h5")), process)
    os.killpg(process.pid, signal.SIGTERM)  # as a batch system does: the workers, too
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, err
    assert err.startswith("caloforge: error: interrupted; go on with: caloforge generate ")
    assert err.endswith(" -o a.h5 --resume\n")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["a.h5.part", "tiny"]


# Workers that die (16)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("os._exit(3)", "ended with exit code 3"),
        ("os.kill(os.getpid(), 9)", r"was killed \(SIGKILL\), as the system does when memory"),
        ("os.kill(os.getpid(), 6)", "was ended by SIGABRT"),
        ("raise MemoryError", "has no memory left"),
    ],
)
def test_death_of_a_worker(how: str, words: str) -> None:
    with pytest.raises(WorkerError, match=f"^a worker process {words}"):
        call_in_process(exec, f"import os; {how}")


def test_what_a_worker_raises() -> None:
    assert call_in_process(max, 2, 3) == 3
    with pytest.raises(EnergyError, match="energies: got -1"):
        call_in_process(_fail)
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        call_in_process(divmod, 1, 0)


def _fail() -> None:
    msg = "energies: got -1"
    raise EnergyError(msg)


def test_death_names_what_is_kept(tmp_path: Path) -> None:
    with (
        pytest.raises(WorkerError, match=r"exit code 9.*; 300 of 1000 showers are kept; .*resume"),
        Output([tmp_path / "a.h5"], {}, 1000) as output,
    ):
        produce(Cheap(fails_at=350, how="death"), output, 1000, block_size=100, workers=2)
    with (
        pytest.raises(WorkerError, match=r"what it wrote is above$"),
        Output([tmp_path / "b.h5"], {}, 1000) as output,
    ):
        produce(Cheap(fails_at=0, how="death"), output, 1000, block_size=100, workers=2)
    assert not (tmp_path / "b.h5.part").exists()


# Orphans (24)


def _sleep(pipe: object) -> None:
    time.sleep(PATIENCE)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    """Even in the middle of their work, and however the parent ends."""
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys, time\n"
        "from caloforge.workers import start_worker\n"
        "if __name__ == '__main__':\n"
        "    worker = start_worker(__import__('test_jobs')._sleep)\n"
        "    print(worker.process.pid, flush=True)\n"
        "    time.sleep(1000)\n"
    )
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parent)])
    }
    parent = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    stat = Path(f"/proc/{child}/stat")
    # Until the worker has asked for it: it then ignores SIGTERM.
    status = Path(f"/proc/{child}/status")
    deadline = time.monotonic() + PATIENCE
    while not int(status.read_text().partition("SigIgn:")[2].split()[0], 16) >> 14 & 1:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.2)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    while stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline, "the worker outlives its parent"
        time.sleep(0.01)


def test_stopping_a_worker() -> None:
    worker = start_worker(_sleep)
    worker.stop()
    assert worker.process.exitcode == -signal.SIGKILL


# Output that takes less than Unicode


def test_any_terminal(tmp_path: Path) -> None:
    calogan = load_detector("calogan")
    name = "\u00e9\u4e16.h5"
    write_showers(
        tmp_path / name, Showers(calogan, np.ones(1), np.ones((1, 504), np.float32)), overwrite=True
    )
    done = subprocess.run(
        [sys.executable, "-m", "caloforge", "data", "info", name],
        cwd=tmp_path,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == rb"\xe9\u4e16.h5"
