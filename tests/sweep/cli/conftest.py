import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, ModuleType

import psutil
import pytest

from analysis.storage.folder import Folder, LocalFolder
from sweep.__main__ import main


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    exit_code: int
    out: str
    err: str


Call = Callable[..., Outcome]


@pytest.fixture
def call(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Call:
    """Runs a command in this process, in `tmp_path`, with the storage `storage` in it."""

    def run(*arguments: str | Path) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["sweep", *map(str, arguments)])
        capsys.readouterr()
        exit_code: int | str | None = 0
        try:
            main()
        except SystemExit as end:
            exit_code = end.code
        out, err = capsys.readouterr()
        assert isinstance(exit_code, int | None)
        return Outcome(exit_code or 0, out, err)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWEEP_STORAGE", "storage")
    monkeypatch.delenv("SWEEP_DATA", raising=False)
    return run


@pytest.fixture
def add_sweep(tmp_path: Path, synthetic: ModuleType) -> Callable[..., Folder]:
    """Writes a sweep that never ran into the storage; takes what `synthetic.Search` takes."""

    def add(name: str, **search: object) -> Folder:
        folder = LocalFolder(tmp_path / "storage" / name)
        synthetic.write_search(folder, synthetic.Search(name=name, **search))
        return folder

    return add


@dataclass(frozen=True)
class Driver:
    """A command in a process of its own.

    Attributes:
        process: Its standard output and error are pipes, unless it was asked otherwise.
        temporary: Where it and all that it starts keep their temporary files.
        storage: Where it keeps its sweeps.
    """

    process: "subprocess.Popen[str]"
    temporary: Path
    storage: Path

    def wait(self, timeout: float = 300) -> Outcome:
        """Waits for its end."""
        out, err = self.process.communicate(timeout=timeout)
        return Outcome(self.process.returncode, out or "", err or "")

    def wait_for_record(self, text: str, file: str = "ledger.jsonl", timeout: float = 120) -> None:
        """Waits until a text is in a sweep's file."""

        def is_there() -> bool:
            return any(text in path.read_text() for path in self.storage.glob(f"*/{file}"))

        self._wait_until(is_there, timeout)

    def wait_for_process(self, name: str, timeout: float = 120) -> psutil.Process:
        """Waits until something it has started is called so; returns that."""
        found: list[psutil.Process] = []

        def is_there() -> bool:
            with contextlib.suppress(psutil.Error):
                children = psutil.Process(self.process.pid).children(recursive=True)
                found.extend(child for child in children if child.name().startswith(name))
            return bool(found)

        self._wait_until(is_there, timeout)
        return found[0]

    def _wait_until(self, is_there: Callable[[], bool], timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not is_there():
            assert self.process.poll() is None, "it has ended"
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def left_over(self, patience_s: float = 20) -> list[str]:
        """What is still there, some time after its end: processes, then temporary files.

        Ray's processes end by themselves within seconds of their driver, however that died.
        """
        deadline = time.monotonic() + patience_s
        while (left := self._processes()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return left + [str(path) for path in self.temporary.glob("sweep-*")]

    def _processes(self) -> list[str]:
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("TMPDIR") == str(self.temporary):
                    found.append(" ".join(process.cmdline()))
        return found


@pytest.fixture(scope="session")
def start_driver() -> Iterator[Callable[..., Driver]]:
    """Starts `sweep` with a storage of its own, unless one is given.

    `within` is a command that runs the command it is given; `settings` are of the environment.
    """
    drivers: list[Driver] = []
    prefixes = ("RAY_", "TUNE_", "SWEEP_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}

    def start(
        *arguments: str,
        storage: Path | None = None,
        within: Sequence[str] = (),
        settings: Mapping[str, str] = MappingProxyType({}),
        **streams: object,
    ) -> Driver:
        # Short, as Ray's sockets are to lie in it.
        temporary = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
        storage = storage or Path(tempfile.mkdtemp(prefix="storage-"))
        places = {"TMPDIR": str(temporary), "SWEEP_STORAGE": str(storage)}
        process = subprocess.Popen(
            [*within, sys.executable, "-m", "sweep", *arguments],
            cwd=temporary,
            env={**clean, **places, **settings},
            text=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams},
        )
        drivers.append(Driver(process, temporary, storage))
        return drivers[-1]

    yield start
    for driver in drivers:
        driver.process.kill()
        driver.process.communicate()
        shutil.rmtree(driver.temporary, ignore_errors=True)
        shutil.rmtree(driver.storage, ignore_errors=True)


@pytest.fixture(scope="session")
def brief() -> tuple[str, ...]:
    """Options of a search of three trials whose epochs are short, though on all of MNIST."""
    settings = (
        "model=mlp",
        "recipe.batch_size=1000",
        "space={weight_decay: {low: 1.0e-6, high: 1.0e-2, log: true}}",
        "scheduler=none",
    )
    options = [word for setting in settings for word in ("--set", setting)]
    return ("--trials", "3", "--epochs", "6", *options)


@dataclass(frozen=True)
class RealSweep:
    """A sweep `real` of two trials of an epoch, run by the command line on all of MNIST.

    The folder it is started in has a `models.py` of somebody else's.
    """

    driver: Driver
    outcome: Outcome

    @property
    def folder(self) -> Folder:
        return LocalFolder(self.driver.storage / "real")


@pytest.fixture(scope="session")
def real_sweep(start_driver: Callable[..., Driver]) -> RealSweep:
    small = ("--trials", "2", "--epochs", "1", "--search-only")
    # As for the command itself, which unlike `python -m` does not look for modules here.
    alike = {"PYTHONSAFEPATH": "1"}
    driver = start_driver("run", "--name", "real", *small, "--json", settings=alike)
    (driver.temporary / "models.py").write_text("raise RuntimeError")
    return RealSweep(driver, driver.wait())


def _words(text: str) -> list[list[str]]:
    """The words of each line, without colours."""
    return [re.sub("\x1b\\[[0-9;]*m", "", line).split() for line in text.splitlines()]


@pytest.fixture(scope="session")
def words() -> Callable[[str], list[list[str]]]:
    return _words
