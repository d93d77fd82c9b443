import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest
import torch

from analysis.storage.local_folder import LocalFolder
from data_utils.dataset import TrainTest
from sweep.__main__ import main
from tests.crash.checks import NAME, Checker, outcome, run_options, trained_states
from tests.crash.recorder import Log, Step, read_log, recording
from tests.crash.replay import exit_code, without_ray

HERE = Path(__file__).parent
KILLED_AT_WRITE = 7  # of the ledger: some epochs are recorded


@pytest.fixture(scope="session")
def few(mnist: TrainTest) -> TrainTest:
    """Images for trainings of a few milliseconds."""
    torch.set_num_threads(1)
    return TrainTest(mnist.train.take(range(512)), mnist.test.take(range(64)))


@pytest.fixture(scope="session")
def root() -> Iterator[Path]:
    """An empty folder in memory."""
    path = Path(tempfile.mkdtemp(dir="/dev/shm"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def plain(few: TrainTest, root: Path) -> tuple[list[Step], Callable[..., Checker]]:
    """The steps of a sweep that ran in this process, and what makes a checker of its states."""
    log, run = Log(), run_options(seeds=1)
    with recording(root, log), without_ray(few):
        assert exit_code(partial(main, (*run, "--storage", str(root)))) == 0
    states, expected = trained_states(log.steps), outcome(LocalFolder(root / NAME))
    return log.steps, partial(Checker, few, states, expected, run)


@pytest.fixture(scope="session")
def real(mnist: TrainTest) -> Iterator[tuple[list[Step], Checker, Path]]:
    """The steps of a sweep that Ray's workers trained, a checker of its states, its storage.

    Its driver was killed.
    """
    torch.set_num_threads(1)
    root, run = Path(tempfile.mkdtemp(dir="/dev/shm")), run_options(seeds=2)
    storage = root / "storage"
    storage.mkdir()
    few = TrainTest(mnist.train.take(range(2000)), mnist.test.take(range(300)))
    _drive(root, *run, kill=KILLED_AT_WRITE)
    _drive(root, "resume", NAME)
    steps = read_log(root / "log")
    expected = outcome(LocalFolder(storage / NAME))
    yield steps, Checker(few, trained_states(steps), expected, run), storage
    shutil.rmtree(root)


def _drive(root: Path, *arguments: str, kill: int = 0) -> None:
    """Run a driver that records its steps, and wait until no process of it is left."""
    temporary = tempfile.mkdtemp(prefix="t", dir="/tmp")  # short: Ray's sockets are in it
    prefixes = ("RAY_", "TUNE_", "SWEEP_")
    environment = {name: v for name, v in os.environ.items() if not name.startswith(prefixes)}
    environment |= {
        "PYTHONPATH": os.pathsep.join(map(str, (HERE / "inject", HERE.parents[1]))),
        "CRASH_LOG": str(root / "log"),
        "CRASH_ROOT": str(root / "storage"),
        "CRASH_KILL": str(kill),
        "TMPDIR": temporary,
    }
    command = (sys.executable, "-m", "sweep", *arguments, "--storage", str(root / "storage"))
    done = subprocess.run(
        command, env=environment, cwd=temporary, capture_output=True, text=True, check=False
    )
    assert done.returncode == (-9 if kill else 0), done
    while any(_is_of(process, temporary) for process in psutil.process_iter()):
        time.sleep(0.2)
    shutil.rmtree(temporary, ignore_errors=True)


def _is_of(process: psutil.Process, temporary: str) -> bool:
    try:
        return process.environ().get("TMPDIR") == temporary
    except psutil.Error:
        return False
