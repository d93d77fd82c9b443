import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sweep.driver.signals import Interrupted, Interruption

SIGNALS = (signal.SIGINT, signal.SIGTERM)

# Says when its handlers are in place, then what it is told to do; `check` every 20 ms.
DRIVER = """
import sys, time
from sweep.driver.signals import Interrupted, Interruption
import sweep.driver.signals
screen = open(sys.argv[2], "w")
sweep.driver.signals._LIMIT_S = float(sys.argv[3])
if sys.argv[1] == "closed":
    screen.close()
try:
    with Interruption(screen, lambda: "go on with: sweep resume") as interruption:
        print("ready", flush=True)
        while True:
            if sys.argv[1] == "attentive":
                interruption.check()
            time.sleep(0.02)
except Interrupted as interrupted:
    print(interrupted, flush=True)
    sys.exit(interrupted.exit_code)
"""


def _start(how: str, screen: str = os.devnull, limit_s: float = 0.5) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", DRIVER, how, screen, str(limit_s)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_check_does_nothing_before_a_signal() -> None:
    with Interruption(sys.stderr, str) as interruption:
        interruption.check()


@pytest.mark.parametrize("number", SIGNALS)
def test_handlers_are_put_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Interruption(sys.stderr, str):
        assert signal.getsignal(number) != before
    assert signal.getsignal(number) == before


def test_check_raises_after_a_signal_and_again() -> None:
    with Interruption(sys.stderr, str) as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        for _ in range(2):
            with pytest.raises(Interrupted, match="SIGINT") as raised:
                interruption.check()
            assert raised.value.exit_code == 130


def test_interrupted_is_no_error_that_a_library_would_swallow() -> None:
    assert not issubclass(Interrupted, Exception)


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_ends_a_process_in_good_order(number: signal.Signals, exit_code: int) -> None:
    with _start("attentive") as process:
        process.send_signal(number)
        output, _ = process.communicate(timeout=20)
    assert (process.returncode, output) == (exit_code, f"{number.name}\n")


def test_second_sigint_leaves_at_once() -> None:
    with _start("deaf", limit_s=60) as process:
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.3)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)
    assert (process.returncode, output) == (130, "")


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("how", ["deaf", "closed"])
def test_signal_ends_a_process_in_time_whatever_it_does(
    how: str, number: signal.Signals, exit_code: int
) -> None:
    with _start(how) as process:
        process.send_signal(number)
        output, _ = process.communicate(timeout=20)
    assert (process.returncode, output) == (exit_code, "")


def test_leaving_at_once_says_why(tmp_path: Path) -> None:
    code = """
import sys
from sweep.driver.signals import Interruption
with open(sys.argv[1], "w") as screen:
    Interruption(screen, lambda: "go on with: sweep resume").leave(4, "why\\n")
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "screen"], check=False)
    assert done.returncode == 4
    assert (tmp_path / "screen").read_text() == "why\n"


def test_leaving_at_once_shows_the_cursor_on_a_terminal() -> None:
    ours, theirs = pty.openpty()
    try:
        with _start("deaf", os.ttyname(theirs)) as process:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)
        assert process.returncode == 143
        assert os.read(ours, 100).startswith(b"\x1b[?25h")
    finally:
        os.close(ours)
        os.close(theirs)
