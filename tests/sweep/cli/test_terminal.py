"""A sweep on a terminal: what is on the screen, whatever happens meanwhile."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pyte
import pytest

from analysis.records.ledger import read_ledger
from analysis.storage.folder import LocalFolder

StartDriver = Callable[..., Any]

COLUMNS, LINES = 100, 40
QUIET_S = 0.1  # a picture is written at once, and the next one half a second later


class Terminal:
    """A terminal that a driver writes to.

    Attributes:
        theirs: The driver's end.
        screens: What there was to see whenever nothing more came for a while, line by line.
        text: All that was written.
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
        stream, seen = pyte.ByteStream(self._screen), b""
        is_new = False
        while True:
            if is_new and not select.select([self._ours], [], [], QUIET_S)[0]:
                self.screens.append(self.lines())
                is_new = False
            try:
                data = os.read(self._ours, 4096)
            except OSError:  # nobody has the other end open any more
                break
            stream.feed(data)
            seen += data
            is_new = True
        self.text = seen.decode()

    def lines(self) -> list[str]:
        """What is on the screen now, without the empty lines at its end."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip().split("\n")

    @property
    def has_cursor(self) -> bool:
        """Whether the cursor can be seen."""
        return not self._screen.cursor.hidden

    def close(self) -> None:
        """Takes in what is still on its way."""
        os.close(self.theirs)
        self._reader.join(timeout=10)
        os.close(self._ours)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    if not terminal.text:
        terminal.close()


PICTURE = [
    re.compile(pattern)
    for pattern in (
        r"sweep mine: 3 trials of up to 6 epochs, 2 at a time; starting Ray",
        r"trial \d: its process died (after epoch \d|in its first epoch); another goes on",
        r"",
        r"[━╸╺]+ +\d of 3 trials +\d:\d\d elapsed( +about .* left)?",
        r"\d complete +0 stopped early +[012] running +0 failed +\d+ epochs?",
        r" *trial +epoch +validation +curve +hyperparameters",
        r" +\d +\d/6 +(–|\d\d\.\d\d %) +[▁▂▃▄▅▆▇█·]{6} .*",
        r"best so far +\d\d\.\d\d % +trial \d",
        r"(dropout|weight_decay|rotation|shift) .*",
    )
]


def test_worker_that_dies_leaves_the_picture_whole(
    start_driver: StartDriver, terminal: Terminal, brief: tuple[str, ...]
) -> None:
    streams = {"stdin": terminal.theirs, "stdout": terminal.theirs, "stderr": terminal.theirs}
    options = ("run", "--name", "mine", "--search-only", "--concurrency", "2", *brief)
    driver = start_driver(*options, **streams, settings={"TERM": "xterm-256color"})
    driver.wait_for_record('"val_accuracy"')
    driver.wait_for_process("ray::ResourceTrainable.train").kill()  # in the middle of an epoch
    assert driver.wait().exit_code == 0
    terminal.close()

    ledger = read_ledger(LocalFolder(driver.storage / "mine"))
    assert [trial.state for trial in ledger.trials.values()] == ["COMPLETE"] * 3
    assert {len(trial.epochs) for trial in ledger.trials.values()} == {6}
    (notice,) = ledger.notices
    told = f"trial {notice.trial_id}: {notice.text}"
    assert re.fullmatch(r"trial [12]: its process died .*; another goes on", told)

    pictures = [screen for screen in terminal.screens if any("elapsed" in x for x in screen)]
    assert len(pictures) > 5
    for picture in pictures:
        assert sum("elapsed" in line for line in picture) == 1
        for line in picture:
            assert any(pattern.fullmatch(line) for pattern in PICTURE), picture
    assert any(told in picture for picture in pictures)
    assert "raylet" not in terminal.text
    last = terminal.lines()
    assert last[:2] == [pictures[0][0], told]
    assert last[2].startswith("best of mine: trial ")
    assert terminal.has_cursor


def test_sigint_in_the_middle_leaves_the_terminal_in_order(
    start_driver: StartDriver, terminal: Terminal, brief: tuple[str, ...]
) -> None:
    options = ("run", "--name", "mine", "--search-only", *brief)
    driver = start_driver(*options, stderr=terminal.theirs, settings={"TERM": "xterm-256color"})
    driver.wait_for_record('"trial_started"')
    driver.process.send_signal(signal.SIGINT)
    outcome = driver.wait(timeout=10)
    terminal.close()
    assert (outcome.exit_code, outcome.out) == (130, "")
    ledger = read_ledger(LocalFolder(driver.storage / "mine"))
    assert ledger.truncated_bytes == 0
    assert ledger.ended is not None
    assert ledger.ended.reason == "interrupted by SIGINT"
    assert {trial.state for trial in ledger.trials.values()} == {"RUNNING"}
    first, last = terminal.lines()
    assert first.startswith("sweep mine: ")
    assert last == "interrupted; every finished epoch is kept, go on with: sweep resume mine"
    assert terminal.has_cursor
    assert driver.left_over() == []
