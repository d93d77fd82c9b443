"""Sweeps that signals, kills and the death of Ray cut off: no finished epoch is lost."""

import fcntl
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

import pyte
import pytest

from analysis.storage.local_folder import LocalFolder
from retraining import retrain, timeless
from sweep.config import SweepConfig
from waiting import wait_until

SEARCH = ("run", "--name", "mine", "--search-only", "--resume")
ADVICE = "every finished epoch is kept; continue with: sweep resume mine"
EPOCH = '"val_accuracy"'  # only in the record of an epoch
COLUMNS, LINES = 100, 40
QUIET_S = 0.1  # a picture is written at once, and the next one half a second later
LIMIT_S = 10.0

PICTURE = [
    re.compile(pattern)
    for pattern in (
        r"sweep mine: 3 trials of up to 6 epochs",
        r"  (searched  |fixed     |off       |first     |time      |          )\S.*\S",  # wrapped
        r"trial \d: its process died .*",
        r"",
        r"searching  [━─]{24}  \d of 3 trials  (\d+ min )?\d+ s elapsed(  about .* left)?",
        r"\d complete +0 stopped early +([012] running|starting workers) +0 failed +\d+ epochs?",
        r"trial  epoch  validation  curve +(dropout|rotation|shift|weight_decay| )+",
        r" +\d +\d/6 +(–|\d\d\.\d\d %) +[▁▂▃▄▅▆▇█·]{6} .*",
        r"best so far \d\d\.\d\d % \(trial \d\)  .*",
    )
]


class Terminal:
    """A terminal that a driver writes to.

    Attributes:
        theirs: The driver's end.
        screens: The lines on the screen whenever nothing more came for a while.
    """

    def __init__(self) -> None:
        self._ours, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self.screen = pyte.Screen(COLUMNS, LINES)
        self.screens: list[list[str]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        stream, is_new = pyte.ByteStream(self.screen), False
        while True:
            if is_new and not select.select([self._ours], [], [], QUIET_S)[0]:
                self.screens.append(self.lines())
                is_new = False
            try:
                stream.feed(os.read(self._ours, 4096))
            except OSError:  # the other end is closed
                return
            is_new = True

    def lines(self) -> list[str]:
        """The lines on the screen now, without the empty ones at its end."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip().split("\n")

    def wait_for(self, text: str) -> None:
        """Wait until a screen with a text has been kept."""
        wait_until(lambda: any(text in line for one in self.screens for line in one), LIMIT_S)

    def close(self) -> None:
        """Read what is still on its way."""
        os.close(self.theirs)
        self._reader.join(timeout=10)
        os.close(self._ours)


def test_sweep_on_a_terminal_survives_a_dead_worker_and_ctrl_c(start_driver, finish, brief):
    terminal = Terminal()
    streams = {"stdin": terminal.theirs, "stdout": terminal.theirs, "stderr": terminal.theirs}
    options = (*SEARCH, *brief, "--concurrency", "2")
    driver = start_driver(*options, **streams, settings={"TERM": "xterm-256color"})
    driver.wait_for_record(EPOCH)
    driver.wait_for_process("ray::ResourceTrainable.train").kill()  # in the middle of an epoch
    driver.wait_for_record('"notice"')
    driver.wait_for_record(EPOCH, n=3)
    terminal.wait_for("its process died")  # fast cores are ahead of the display
    driver.process.send_signal(signal.SIGINT)
    driver.ends(130, within_s=LIMIT_S)
    terminal.close()
    assert driver.ledger.truncated_bytes == 0
    assert driver.ledger.ended is not None
    assert driver.ledger.ended.reason == "interrupted by SIGINT"
    (notice,) = driver.ledger.notices
    told = f"trial {notice.trial_id}: {notice.text}"
    assert re.fullmatch(r"trial [12]: its process died .*", told)

    pictures = [screen for screen in terminal.screens if any("searching  " in x for x in screen)]
    assert len(pictures) > 2
    for picture in pictures:
        assert sum("elapsed" in line for line in picture) == 1
        for line in picture:
            assert any(pattern.fullmatch(line) for pattern in PICTURE), line
    assert any(told in picture for picture in pictures)
    assert any("2 at a time; starting Ray" in screen for screen in terminal.screens)
    header = [line for line in pictures[0] if line.startswith(("sweep mine", "  "))]
    *above, state, end = terminal.lines()
    assert (above, end) == ([*header, told], f"interrupted; {ADVICE}")
    assert re.fullmatch(r"searching: \d/3 trials, .* elapsed.*", state)
    assert not terminal.screen.cursor.hidden

    finish(driver, driver.epochs())  # as if nothing had happened
    folder = LocalFolder(driver.storage / "mine")
    files = {"config.yaml", "environment.json", "ledger.jsonl", "report.html"}
    assert set(folder.files()) - {".lock"} == files
    assert set(folder.folders()) == {"checkpoints", "plots"}


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_while_ray_starts_ends_a_run_in_time(number, start_driver, brief):
    driver = start_driver(*SEARCH, *brief)
    driver.wait_for_process("gcs_server")
    driver.process.send_signal(number)
    driver.ends(128 + number, within_s=LIMIT_S, is_tidy=False)


@pytest.mark.long
def test_sigterm_to_all_processes_during_the_confirmation_loses_nothing(
    start_driver, finish, brief
):
    plan = ("--trials", "1", "--epochs", "1", "--set", "confirm={top_k: 1, seeds: 1}")
    driver = start_driver("run", "--name", "mine", *brief, *plan, start_new_session=True)
    driver.wait_for_record('"test_accuracy"', file="confirm.jsonl")
    os.killpg(driver.process.pid, signal.SIGTERM)
    driver.ends(143, f"interrupted; {ADVICE}", within_s=LIMIT_S)
    finish(driver, driver.epochs())


@pytest.mark.long
@pytest.mark.parametrize("process", ["raylet", "gcs_server"])
def test_ray_that_dies_ends_the_sweep_with_a_message(process, start_driver, finish, brief):
    driver = start_driver(*SEARCH, *brief)
    driver.wait_for_record(EPOCH)
    driver.wait_for_process(process).kill()
    driver.ends(4, f"error: Ray's {process} has died", ADVICE, within_s=20)
    finish(driver, driver.epochs())


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_sweep_survives_sigkill_at_random_moments(start_driver, brief, mnist):
    n_kills = int(os.environ.get("KILLS", "3"))
    moments = random.Random(8)
    options = (*SEARCH, *brief, "--trials", f"{2 * n_kills}", "--epochs", "20")
    driver = start_driver(*options, start_new_session=True)
    driver.wait_for_record(EPOCH)
    for _ in range(n_kills):
        before = driver.epochs()
        time.sleep(moments.uniform(0, 15))
        os.killpg(driver.process.pid, signal.SIGKILL)
        driver.wait()
        assert driver.left_over(files=False) == []
        after = driver.epochs()
        assert all(after[key][: len(epochs)] == epochs for key, epochs in before.items())
        driver = start_driver(*options, storage=driver.storage, start_new_session=True)
    assert driver.wait().exit_code == 0
    trials = driver.ledger.trials
    assert [trial.state for trial in trials.values()] == ["COMPLETE"] * 2 * n_kills
    for key, trial in trials.items():
        assert [epoch.epoch for epoch in trial.epochs] == list(range(1, 21))
        assert trial.epochs[: len(after.get(key, []))] == after.get(key, [])
    config = SweepConfig.model_validate(driver.ledger.config)
    again = retrain(config, trials[1], mnist)  # it was running at the first kill
    assert timeless(trials[1].epochs) == timeless(again)
