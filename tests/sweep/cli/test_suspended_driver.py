"""Drivers that are suspended on an object store, as by SIGSTOP or a closed laptop."""

import contextlib
import os
import random
import re
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from analysis.records.confirmation import Confirmation
from analysis.records.ledger import read_ledger
from analysis.storage.folder import Folder
from analysis.storage.local_folder import LocalFolder
from analysis.storage.object_store import open_store
from s3_server import Server, run_server
from waiting import wait_until

pytestmark = pytest.mark.timeout(900)

PROGRAM = Path(__file__).parents[2] / "helpers/small_driver.py"
SETTINGS = (
    "model=mlp",
    "recipe.batch_size=100",
    "space={weight_decay: {low: 1.0e-6, high: 1.0e-2, log: true}}",
    "scheduler=none",
)
SEARCH = ("run", "--name", "mine", "--search-only", "--trials", "2", "--epochs", "4")
SEARCH += tuple(word for setting in SETTINGS for word in ("--set", setting))
EXTEND = ("resume", "mine", "--trials", "3")
CONFIRM = ("confirm", "mine", "--top-k", "1", "--seeds", "1")

STORE = "analysis.storage.object_store:"
CLOSE = STORE + "ObjectAppender.close"
PUT = STORE + "StoreFolder._replace"
RELEASE = "analysis.storage.lease:Lease.release"
END = "sweep.driver.search:TrialRecorder.end"
END_OF_RUN = "sweep.driver.confirm:RunRecorder.end"

TAKEN_OVER = (
    r"error: process \d+ on \S+ has taken over s3://sweeps/\w+/mine, because this process did "
    r"not answer for a while; nothing that is recorded there is lost",
    r"watch it with: sweep status --follow mine",
)
ADVICE = "every finished epoch is kept; continue with: sweep resume mine"
ANSWER_S = 30.0  # much more than it takes
LIMIT_S = 480.0


StartDriver = Callable[..., Any]


@dataclass(frozen=True)
class Team:
    """Starts drivers that share a folder of an object store."""

    start_driver: StartDriver
    uri: str

    @property
    def folder(self) -> Folder:
        storage = open_store(self.uri) if "://" in self.uri else LocalFolder(Path(self.uri))
        return storage.child("mine")

    def start(self, *arguments: str, method: str = "-", text: str = "") -> Any:
        """Start a command; it suspends itself in `method`, if one is given."""
        within = (sys.executable, str(PROGRAM), method, text)
        return self.start_driver(*arguments, within=within, settings={"SWEEP_STORAGE": self.uri})

    def finish(self, *arguments: str) -> None:
        """Run a command to its end."""
        outcome = self.start(*arguments).wait()
        assert outcome.exit_code == 0, outcome

    def records(self) -> bytes:
        """Return the complete lines of the ledger; none before it exists."""
        try:
            found = self.folder.read("ledger.jsonl")
        except FileNotFoundError:
            return b""
        return found[: found.rfind(b"\n") + 1]

    def files(self) -> dict[str, bytes]:
        """Return the contents of all files of the sweep."""
        folders = {"": self.folder} | {n: self.folder.child(n) for n in self.folder.folders()}
        return {f"{n}/{file}": f.read(file) for n, f in folders.items() for file in f.files()}


@pytest.fixture
def team(start_driver: StartDriver, s3: str) -> Team:
    return Team(start_driver, s3.replace("@sweeps", f"@sweeps/{secrets.token_hex(4)}"))


@pytest.fixture
def own_server() -> Iterator[Server]:
    """An S3 server of the test's own, to be stopped."""
    with run_server() as server:
        yield server


def _wait_until_suspended(driver: Any) -> psutil.Process:
    process = psutil.Process(driver.process.pid)
    wait_until(lambda: process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE), LIMIT_S)
    assert driver.process.poll() is None, driver.wait()
    return process


def _suspend(process: psutil.Process) -> None:
    """Suspend a driver with all its processes, as a closed laptop does."""
    for one in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            one.suspend()


def _resume(process: psutil.Process) -> None:
    for one in (*process.children(recursive=True), process):
        with contextlib.suppress(psutil.NoSuchProcess):
            one.resume()


def _check_whole(folder: Folder, n_trials: int, n_epochs: int = 4) -> None:
    """Check that every trial, and every run of the confirmation, has all its epochs."""
    trials, confirmation = read_ledger(folder).trials, Confirmation.read(folder)
    assert sorted(trials) == list(range(1, n_trials + 1))
    for one in (*trials.values(), *(confirmation.runs.values() if confirmation else ())):
        epochs = [epoch.epoch for epoch in one.epochs]
        assert (one.state, epochs) == ("COMPLETE", list(range(1, n_epochs + 1)))


@pytest.mark.parametrize(
    ("command", "method", "text", "second"),
    [
        pytest.param(SEARCH, END, "", EXTEND, id="at the end of a trial"),
        pytest.param(SEARCH, PUT, '"trial_ended"', EXTEND, id="before the ledger is replaced"),
        pytest.param(SEARCH, CLOSE, "", EXTEND, id="in close"),
        pytest.param(SEARCH, PUT, '"finished"', EXTEND, id="before the last record is sent"),
        pytest.param(SEARCH, RELEASE, "", EXTEND, id="before the lock is released"),
        pytest.param(CONFIRM, END_OF_RUN, "", CONFIRM, id="at the end of a run"),
        pytest.param(CONFIRM, PUT, "'predictions/", CONFIRM, id="before predictions are written"),
        pytest.param(CONFIRM, PUT, '"run_ended"', CONFIRM, id="before the record is replaced"),
        pytest.param(CONFIRM, CLOSE, "", EXTEND, id="in close of a confirmation"),
    ],
)
@pytest.mark.long
def test_driver_that_was_taken_over_changes_nothing(command, method, text, second, team):
    if command == CONFIRM:
        team.finish(*SEARCH)
    first = team.start(*command, method=method, text=text)
    process = _wait_until_suspended(first)
    recorded = team.files()
    team.finish(*second)
    files = team.files()
    process.resume()
    first.ends(4, *TAKEN_OVER, within_s=ANSWER_S)
    after = team.files()
    new = after.keys() - files  # a worker may finish the first epoch of a training
    assert {name: data for name, data in after.items() if name not in new} == files
    assert all(name.startswith("checkpoints/") for name in new)
    _check_whole(team.folder, 3 if second == EXTEND else 2)
    assert files["/ledger.jsonl"].startswith(recorded["/ledger.jsonl"])


@pytest.mark.long
def test_driver_that_was_taken_over_stops_while_the_other_goes_on(team):
    first = team.start(*SEARCH, "--epochs", "20", method=END)
    process = _wait_until_suspended(first)
    _suspend(process)
    second = team.start(*EXTEND)
    wait_until(lambda: team.folder.read("ledger.jsonl").count(b'"session"') == 2, LIMIT_S)
    _resume(process)
    first.ends(4, *TAKEN_OVER, within_s=ANSWER_S)
    outcome = second.wait()
    assert outcome.exit_code == 0, outcome
    _check_whole(team.folder, 3, 20)


@pytest.mark.long
@pytest.mark.parametrize("whole", [False, True], ids=["driver", "all its processes"])
def test_driver_that_was_not_taken_over_goes_on(whole, team):
    driver = team.start(*SEARCH, method=END)
    process = _wait_until_suspended(driver)
    if whole:
        _suspend(process)
    time.sleep(25)
    _resume(process)
    outcome = driver.wait()
    assert outcome.exit_code == 0, outcome
    _check_whole(team.folder, 2)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_random_pauses_lose_nothing(team):
    """While a driver is suspended, for 1 to 60 s, a second one tries to go on.

    One of the two goes on and is the next to be suspended. The other says who has the sweep.
    """
    seed = os.environ.get("PAUSE_SEED", "1")
    n_pauses, n_sweeps = int(os.environ.get("PAUSES", "4")), 2  # more are too many for Ray
    print(f"PAUSE_SEED={seed}")
    starting = threading.Lock()

    def pause(number: int) -> int:
        moments = random.Random(f"{seed} {number}")
        own = replace(team, uri=team.uri.replace("?", f"/{number}?"))
        n_trials, n_taken_over = 2, 0
        with starting:  # Ray gives up if many of it start at once
            driver = own.start(*SEARCH, "--epochs", "200")
            wait_until(lambda: own.folder.exists("ledger.jsonl"), LIMIT_S, process=driver.process)
        for _ in range(n_pauses // n_sweeps):
            time.sleep(moments.uniform(0, 8))
            if driver.process.poll() is not None:
                assert driver.process.poll() == 0, driver.wait()
                n_trials += 1
                driver = own.start("resume", "mine", "--trials", str(n_trials))
                time.sleep(moments.uniform(5, 15))
            process = psutil.Process(driver.process.pid)
            (_suspend if moments.random() < 0.5 else psutil.Process.suspend)(process)
            known = own.records()
            other = own.start("resume", "mine")
            time.sleep(moments.uniform(1, 60))
            _resume(process)
            both = (driver.process, other.process)
            wait_until(lambda both=both: any(one.poll() is not None for one in both), LIMIT_S)
            assert own.records().startswith(known)
            # The second one may already have finished the sweep.
            if driver.process.poll() is not None or other.process.poll() == 0:
                driver, other = other, driver
                n_taken_over += 1
            outcome = other.wait()
            assert outcome.exit_code in (0, 4), outcome
            if outcome.exit_code == 4:
                assert re.search("another process is working|has taken over", outcome.err)
        known, outcome = own.records(), driver.wait()
        assert outcome.exit_code == 0, outcome
        assert own.records().startswith(known)
        _check_whole(own.folder, n_trials, 200)
        return n_taken_over

    with ThreadPoolExecutor(n_sweeps) as pool:
        print("taken over:", sum(pool.map(pause, range(n_sweeps))))


@pytest.mark.long
@pytest.mark.parametrize("seconds", [5, 30])
def test_driver_waits_for_a_store_that_does_not_answer(seconds, own_server, start_driver):
    team = Team(start_driver, own_server.uri)
    driver = team.start(*SEARCH, method=END)
    process = _wait_until_suspended(driver)
    own_server.tell("stop")
    process.resume()
    time.sleep(seconds)
    own_server.tell("start")
    outcome = driver.wait()
    assert outcome.exit_code == 0, outcome
    _check_whole(team.folder, 2)


@pytest.mark.long
@pytest.mark.parametrize(
    ("fault", "end_of_fault", "reason", "within_s"),
    [
        ("stop", "start", "the object store does not answer", 120),
        ("forbid", "allow", "the object store says AccessDenied: Access Denied", 30),
    ],
)
def test_lost_store_ends_the_driver_and_keeps_every_epoch(
    fault, end_of_fault, reason, within_s, own_server, start_driver
):
    team = Team(start_driver, own_server.uri)
    driver = team.start(*SEARCH, method=END)
    process = _wait_until_suspended(driver)
    own_server.tell(fault)
    process.resume()
    driver.ends(4, f"error: storage s3://sweeps/mine/.*: {reason}", ADVICE, within_s=within_s)
    own_server.tell(end_of_fault)
    checkpoints = team.folder.child("checkpoints").files()
    assert checkpoints
    team.finish("resume", "mine")
    _check_whole(team.folder, 2)


@pytest.mark.long
@pytest.mark.parametrize("where", ["disk", "s3"])
@pytest.mark.parametrize(
    ("number", "times", "exit_code"), [(signal.SIGHUP, 1, 129), (signal.SIGINT, 2, 130)]
)
def test_signals_end_a_driver_and_all_its_processes(
    number, times, exit_code, where, team, tmp_path
):
    if where == "disk":
        team = replace(team, uri=str(tmp_path))
    driver = team.start(*SEARCH, "--epochs", "1000")
    checkpoints = team.folder.child("checkpoints")
    wait_until(checkpoints.files, LIMIT_S, process=driver.process)
    for _ in range(times):
        driver.process.send_signal(number)
        time.sleep(0.1)  # two at the same moment are one
    within_s = 60 if times == 1 else 1.5  # the second one is obeyed at once
    driver.ends(exit_code, f"interrupted; {ADVICE}", within_s=within_s, is_tidy=times == 1)
    assert read_ledger(team.folder).truncated_bytes == 0
