"""Sweeps that signals, kills and the death of Ray cut off: no finished epoch is lost."""

import fcntl
import json
import os
import pty
import random
import re
import select
import signal
import struct
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyte
import pytest
import torch

from analysis.records.confirmation import Confirmation, read_confirmation
from analysis.records.ledger import Ledger, read_ledger
from analysis.storage.folder import LocalFolder
from data_utils.dataset import TrainTest, split_train_validation
from sweep.config import SweepConfig
from sweep.training.loop import TrainingRun, train_epochs

StartDriver = Callable[..., Any]
Brief = tuple[str, ...]

SEARCH = ("run", "--name", "mine", "--search-only", "--resume")
ADVICE = "every finished epoch is kept, continue with: sweep resume mine"
COLUMNS, LINES = 100, 40
QUIET_S = 0.1  # a picture is written at once, and the next one half a second later
LIMIT_S = 10.0

PICTURE = [
    re.compile(pattern)
    for pattern in (
        r"sweep mine: 3 trials of up to 6 epochs, 2 at a time; starting Ray",
        r"trial \d: its process died .*",
        r"",
        r"[━╸╺]+ +\d of 3 trials +(\d+ min )?\d+ s elapsed( +about .* left)?",
        r"\d complete +0 stopped early +[012] running +0 failed +\d+ epochs?",
        r" *trial +epoch +validation +curve +hyperparameters",
        r" +\d +\d/6 +(–|\d\d\.\d\d %) +[▁▂▃▄▅▆▇█·]{6} .*",
        r"best so far +\d\d\.\d\d % +trial \d",
        r"(dropout|weight_decay|rotation|shift) .*",
    )
]


class Terminal:
    """A terminal that a driver writes to.

    Attributes:
        theirs: The driver's end.
        screens: The lines on the screen whenever nothing more came for a while.
        text: All that was written, once it is closed.
    """

    def __init__(self) -> None:
        self._ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self._screen = pyte.Screen(COLUMNS, LINES)
        self.screens: list[list[str]] = []
        self.text = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        stream, seen, is_new = pyte.ByteStream(self._screen), b"", False
        while True:
            if is_new and not select.select([self._ours], [], [], QUIET_S)[0]:
                self.screens.append(self.lines())
                is_new = False
            try:
                data = os.read(self._ours, 4096)
            except OSError:  # the other end is closed
                break
            stream.feed(data)
            seen += data
            is_new = True
        self.text = seen.decode()

    def lines(self) -> list[str]:
        """The lines on the screen now, without the empty ones at its end."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip().split("\n")

    @property
    def has_cursor(self) -> bool:
        return not self._screen.cursor.hidden

    def close(self) -> None:
        """Read what is still on its way."""
        os.close(self.theirs)
        self._reader.join(timeout=10)
        os.close(self._ours)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    if not terminal.text:
        terminal.close()


def _ledger(storage: Path) -> Ledger:
    return read_ledger(LocalFolder(storage / "mine"))


def _assert_kept(before: Ledger, after: Ledger) -> None:
    for trial_id, trial in before.trials.items():
        assert after.trials[trial_id].epochs[: len(trial.epochs)] == trial.epochs


def _assert_interrupted(driver: Any, number: signal.Signals, sent: float) -> None:
    """The command ended in time and cleanly after a signal."""
    outcome = driver.wait(timeout=60)
    assert time.monotonic() - sent < LIMIT_S
    assert (outcome.exit_code, outcome.out) == (128 + number, "")
    if outcome.err:
        assert outcome.err.splitlines()[-1] == f"interrupted; {ADVICE}"
        assert "Traceback" not in outcome.err
    assert driver.left_over() == []


def _retrain(ledger: Ledger, trial_id: int, mnist: TrainTest) -> list[tuple[float, ...]]:
    """The trial's numbers, from a training in this process that nothing interrupts."""
    config = SweepConfig.model_validate(ledger.config)
    trial = ledger.trials[trial_id]
    train, validation = split_train_validation(mnist.train, 10_000, config.split_seed)
    draw = {name: trial.hyperparameters[name] for name in config.space}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        run = TrainingRun.start(config.model, config.hyperparameters(draw), seed=trial.seed)
        return [*map(_numbers, train_epochs(run, train, validation, epochs=config.epochs))]
    finally:
        torch.set_num_threads(threads)


def _numbers(epoch: Any) -> tuple[float, ...]:
    names = ("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy")
    return tuple(getattr(epoch, name) for name in names)


def test_sweep_on_a_terminal_survives_a_dead_worker_and_ctrl_c(
    start_driver: StartDriver, terminal: Terminal, brief: Brief, mnist: TrainTest
) -> None:
    # First a worker dies, in the middle of an epoch; then comes Ctrl-C.
    streams = {"stdin": terminal.theirs, "stdout": terminal.theirs, "stderr": terminal.theirs}
    options = (*SEARCH, *brief, "--concurrency", "2")
    driver = start_driver(*options, **streams, settings={"TERM": "xterm-256color"})
    storage = driver.storage
    driver.wait_for_record('"val_accuracy"')
    driver.wait_for_process("ray::ResourceTrainable.train").kill()
    driver.wait_for_record('"notice"')
    driver.wait_for_record('"val_accuracy"', n=3)
    sent = time.monotonic()
    driver.process.send_signal(signal.SIGINT)
    _assert_interrupted(driver, signal.SIGINT, sent)
    terminal.close()
    ledger = _ledger(storage)
    assert ledger.truncated_bytes == 0
    assert ledger.ended is not None
    assert ledger.ended.reason == "interrupted by SIGINT"
    (notice,) = ledger.notices
    told = f"trial {notice.trial_id}: {notice.text}"
    assert re.fullmatch(r"trial [12]: its process died .*", told)

    pictures = [screen for screen in terminal.screens if any("elapsed" in x for x in screen)]
    assert len(pictures) > 2
    for picture in pictures:
        assert sum("elapsed" in line for line in picture) == 1
        for line in picture:
            assert any(pattern.fullmatch(line) for pattern in PICTURE), picture
    assert any(told in picture for picture in pictures)
    assert "raylet" not in terminal.text
    assert terminal.lines() == [pictures[0][0], told, f"interrupted; {ADVICE}"]
    assert terminal.has_cursor

    # Then the sweep is finished, as if nothing had happened.
    outcome = start_driver("resume", "mine", "--json", storage=storage).wait()
    assert outcome.exit_code == 0, outcome
    assert json.loads(outcome.out)["sweep"] == "mine"
    finished = _ledger(storage)
    _assert_kept(ledger, finished)
    assert [trial.state for trial in finished.trials.values()] == ["COMPLETE"] * 3
    epochs = finished.trials[1].epochs
    assert [_numbers(epoch) for epoch in epochs] == _retrain(finished, 1, mnist)
    folder = LocalFolder(storage / "mine")
    files = {"config.yaml", "environment.json", "ledger.jsonl", "report.html"}
    assert set(folder.files()) - {".lock"} == files
    assert set(folder.folders()) == {"checkpoints", "plots"}


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_while_ray_starts_ends_a_run_in_time(
    number: signal.Signals, start_driver: StartDriver, brief: Brief
) -> None:
    driver = start_driver(*SEARCH, *brief)
    driver.wait_for_process("gcs_server")
    sent = time.monotonic()
    driver.process.send_signal(number)
    outcome = driver.wait(timeout=60)
    assert time.monotonic() - sent < LIMIT_S
    assert (outcome.exit_code, outcome.out) == (128 + number, "")
    assert "Traceback" not in outcome.err
    assert _processes_left(driver) == []


def _processes_left(driver: Any) -> list[str]:
    """What is left after a hasty end, whose files the next run removes."""
    return [entry for entry in driver.left_over() if not entry.startswith(str(driver.temporary))]


@pytest.mark.long
def test_second_sigint_leaves_at_once(start_driver: StartDriver, brief: Brief) -> None:
    driver = start_driver(*SEARCH, *brief)
    driver.wait_for_record('"trial_started"')
    driver.process.send_signal(signal.SIGINT)
    time.sleep(0.1)  # two at the same moment are one
    driver.process.send_signal(signal.SIGINT)
    sent = time.monotonic()
    outcome = driver.wait(timeout=60)
    assert time.monotonic() - sent < 1.5
    assert (outcome.exit_code, outcome.out) == (130, "")
    assert "Traceback" not in outcome.err
    assert _ledger(driver.storage).truncated_bytes == 0
    assert _processes_left(driver) == []


@pytest.mark.long
def test_sigterm_to_all_processes_during_the_confirmation_loses_nothing(
    start_driver: StartDriver, brief: Brief
) -> None:
    plan = ("--trials", "1", "--epochs", "1", "--set", "confirm={top_k: 1, seeds: 1}")
    driver = start_driver("run", "--name", "mine", *brief, *plan, start_new_session=True)
    driver.wait_for_record('"test_accuracy"', file="confirm.jsonl")
    sent = time.monotonic()
    os.killpg(driver.process.pid, signal.SIGTERM)
    _assert_interrupted(driver, signal.SIGTERM, sent)
    before = _confirmation(driver.storage)
    assert any(run.epochs for run in before.runs.values())
    assert start_driver("resume", "mine", storage=driver.storage).wait().exit_code == 0
    after = _confirmation(driver.storage)
    assert {run.state for run in after.runs.values()} == {"COMPLETE"}
    assert len(after.runs) == len(after.arms)
    for key, run in before.runs.items():
        assert after.runs[key].epochs[: len(run.epochs)] == run.epochs


def _confirmation(storage: Path) -> Confirmation:
    confirmation = read_confirmation(LocalFolder(storage / "mine"))
    assert confirmation is not None
    return confirmation


@pytest.mark.long
@pytest.mark.parametrize("process", ["raylet", "gcs_server"])
def test_ray_that_dies_ends_the_sweep_with_a_message(
    process: str, start_driver: StartDriver, brief: Brief
) -> None:
    driver = start_driver(*SEARCH, *brief)
    driver.wait_for_record('"val_accuracy"')
    driver.wait_for_process(process).kill()
    begin = time.monotonic()
    outcome = driver.wait(timeout=60)
    assert time.monotonic() - begin < 20
    assert (outcome.exit_code, outcome.out) == (4, "")
    assert outcome.err.splitlines()[-2:] == [f"error: Ray's {process} has died", ADVICE]
    assert "Traceback" not in outcome.err
    assert driver.left_over() == []
    before = _ledger(driver.storage)
    assert before.truncated_bytes == 0
    assert start_driver("resume", "mine", storage=driver.storage).wait().exit_code == 0
    after = _ledger(driver.storage)
    assert [trial.state for trial in after.trials.values()] == ["COMPLETE"] * 3
    _assert_kept(before, after)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_sweep_survives_sigkill_at_random_moments(
    start_driver: StartDriver, brief: Brief, mnist: TrainTest
) -> None:
    n_kills = int(os.environ.get("KILLS", "3"))
    moments = random.Random(8)
    options = (*SEARCH, *brief, "--trials", f"{2 * n_kills}", "--epochs", "20")
    driver = start_driver(*options, start_new_session=True)
    driver.wait_for_record('"val_accuracy"')
    storage = driver.storage
    before = _ledger(storage)
    for _ in range(n_kills):
        time.sleep(moments.uniform(0, 15))
        os.killpg(driver.process.pid, signal.SIGKILL)
        driver.wait()
        assert _processes_left(driver) == []
        after = _ledger(storage)
        _assert_kept(before, after)
        before = after
        driver = start_driver(*options, storage=storage, start_new_session=True)
    assert driver.wait().exit_code == 0
    finished = _ledger(storage)
    _assert_kept(before, finished)
    assert [trial.state for trial in finished.trials.values()] == ["COMPLETE"] * 2 * n_kills
    for trial in finished.trials.values():
        assert [epoch.epoch for epoch in trial.epochs] == list(range(1, 21))
    epochs = finished.trials[1].epochs  # it was running at the first kill
    assert [_numbers(epoch) for epoch in epochs] == _retrain(finished, 1, mnist)
