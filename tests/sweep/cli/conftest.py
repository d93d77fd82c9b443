import contextlib
import json
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psutil
import pytest

from analysis.records.confirmation import Confirmation
from analysis.records.epochs import Epoch
from analysis.records.ledger import Ledger, read_ledger
from analysis.storage.local_folder import LocalFolder
from sweep.__main__ import main
from waiting import wait_until


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    exit_code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)


Call = Callable[..., Outcome]


@pytest.fixture
def call(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Call:
    """Run a command line in this process, in `tmp_path`, with the storage `storage` in it.

    Further arguments are not split into words.
    """

    def run(command: str = "", *arguments: object) -> Outcome:
        capsys.readouterr()
        exit_code: int | str | None = 0
        try:
            main([*shlex.split(command), *map(str, arguments)])
        except SystemExit as end:
            exit_code = end.code
        out, err = capsys.readouterr()
        assert isinstance(exit_code, int | None)
        return Outcome(exit_code or 0, out, err)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWEEP_STORAGE", "storage")
    monkeypatch.delenv("SWEEP_DATA", raising=False)
    return run


@dataclass(frozen=True)
class Driver:
    """A command in a process of its own.

    Attributes:
        process: The process; its standard output and error are pipes by default.
        temporary: Folder for the temporary files of it and its children.
        storage: Folder of its sweeps.
    """

    process: "subprocess.Popen[str]"
    temporary: Path
    storage: Path

    def wait(self, timeout: float = 300) -> Outcome:
        out, err = self.process.communicate(timeout=timeout)
        return Outcome(self.process.returncode, out or "", err or "")

    def wait_for_record(self, text: str, file: str = "ledger.jsonl", n: int = 1) -> None:
        """Wait until `n` records of the sweeps contain a text."""

        def is_there() -> bool:
            texts = [path.read_text() for path in self.storage.glob(f"*/{file}")]
            return sum(found.count(text) for found in texts) >= n

        wait_until(is_there, 240, process=self.process)

    def wait_for_process(self, name: str) -> psutil.Process:
        """Wait for a child process whose name begins so, and return it."""

        def find() -> psutil.Process | None:
            with contextlib.suppress(psutil.Error):
                children = psutil.Process(self.process.pid).children(recursive=True)
                return next((child for child in children if child.name().startswith(name)), None)

        return wait_until(find, 240, process=self.process)

    def ends(
        self, exit_code: int, *lines: str, within_s: float = 60, is_tidy: bool = True
    ) -> None:
        """Assert that the command ends by itself, without a result and with nothing left over.

        `lines` are patterns of the last lines of its standard error.
        """
        outcome = self.wait(timeout=within_s)
        assert (outcome.exit_code, outcome.out) == (exit_code, ""), outcome
        assert "Traceback" not in outcome.err
        err = outcome.err.splitlines()
        for pattern, line in zip(lines, err[len(err) - len(lines) :], strict=True):
            assert re.fullmatch(pattern, line)
        assert self.left_over(files=is_tidy) == []

    def left_over(self, *, files: bool = True) -> list[str]:
        """Return the processes, then the temporary files, that are left some time after the end.

        Ray's processes end by themselves within seconds of their driver, however that died.
        """
        deadline = time.monotonic() + 30
        while (left := self._processes()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return left + [str(path) for path in self.temporary.glob("sweep-*") if files]

    def _processes(self) -> list[str]:
        """Return the command lines of the processes that have its temporary folder."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("TMPDIR") == str(self.temporary):
                    found.append(" ".join(process.cmdline()))
        return found

    @property
    def ledger(self) -> Ledger:
        return read_ledger(LocalFolder(self.storage / "mine"))

    def epochs(self) -> dict[object, list[Epoch]]:
        """Return the epochs of each trial and each confirmation run of the sweep `mine`."""
        confirmation = Confirmation.read(LocalFolder(self.storage / "mine"))
        runs = confirmation.runs if confirmation else {}
        return {key: one.epochs for key, one in [*self.ledger.trials.items(), *runs.items()]}


@pytest.fixture(scope="session")
def start_driver(clean_environment: dict[str, str]) -> Iterator[Callable[..., Driver]]:
    """Start `sweep` in a process of its own, with a new storage unless one is given.

    `within` is a command that runs the command it is given; `settings` are added to the
    environment.
    """
    drivers: list[Driver] = []

    def start(
        *arguments: str,
        storage: Path | None = None,
        within: Sequence[str] = (),
        settings: Mapping[str, str] = MappingProxyType({}),
        **streams: object,
    ) -> Driver:
        # Short, because Ray's sockets are in it.
        temporary = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
        storage = storage or Path(tempfile.mkdtemp(prefix="storage-"))
        folders = {"TMPDIR": str(temporary), "SWEEP_STORAGE": str(storage)}
        process = subprocess.Popen(
            [*within, sys.executable, "-m", "sweep", *arguments],
            cwd=temporary,
            env={**clean_environment, **folders, **settings},
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


@pytest.fixture
def finish(start_driver: Callable[..., Driver]) -> Callable[..., None]:
    """Resume the sweep `mine` of a driver to its end; `before` are its epochs so far."""

    def finish(driver: Driver, before: Mapping[object, list[Epoch]]) -> None:
        outcome = start_driver("resume", "mine", "--json", storage=driver.storage).wait()
        assert outcome.exit_code == 0, outcome
        assert outcome.document["sweep"] == "mine"
        after = driver.epochs()
        for key, epochs in before.items():
            assert after[key][: len(epochs)] == epochs
        assert {trial.state for trial in driver.ledger.trials.values()} == {"COMPLETE"}
        assert len(driver.ledger.trials) == driver.ledger.config["trials"]
        if confirmation := Confirmation.read(LocalFolder(driver.storage / "mine")):
            assert {run.state for run in confirmation.runs.values()} == {"COMPLETE"}
            assert len(confirmation.runs) == len(confirmation.arms)

    return finish


@pytest.fixture(scope="session")
def brief() -> tuple[str, ...]:
    """Options of a search of three trials with short epochs, though on all of MNIST."""
    settings = (
        "model=mlp",
        "recipe.batch_size=1000",
        "space={weight_decay: {low: 1.0e-6, high: 1.0e-2, log: true}}",
        "searcher=random",
        "scheduler=none",
    )
    options = [word for setting in settings for word in ("--set", setting)]
    return ("--trials", "3", "--epochs", "6", *options)
