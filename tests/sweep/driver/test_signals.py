import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweep.driver.signals import Interrupted, Interruption, interruptible

# Prints when its handlers are in place; attentive ones then check every 20 ms.
DRIVER = """
import sys, time
import sweep.driver.signals
from sweep.driver.signals import Interrupted, Interruption
how, screen = sys.argv[1], open(sys.argv[2], "w")
sweep.driver.signals._LIMIT_S = float(sys.argv[3])
if how == "without a terminal":
    screen.close()
advise = (lambda: time.sleep(60)) if how == "stuck" else (lambda: "go on with: sweep resume")
try:
    with Interruption(screen, advise) as interruption:
        print("ready", flush=True)
        while True:
            if how == "attentive":
                interruption.check()
            time.sleep(0.02)
except Interrupted as interrupted:
    print(interrupted, flush=True)
    print(interrupted, file=screen, flush=True)
    sys.exit(interrupted.exit_code)
"""


@pytest.fixture(autouse=True)
def _hangup_is_not_ignored() -> Iterator[None]:
    """Let a signal have its effect although the tests may run under `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def _start(
    how: str, screen: str | Path = os.devnull, limit_s: float = 60
) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", DRIVER, how, str(screen), str(limit_s)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_handlers_are_replaced_and_put_back():
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    with Interruption(sys.stderr, str) as interruption:
        assert not set(before) & {signal.getsignal(number) for number in numbers}
        interruption.check()  # no signal has come
    assert [signal.getsignal(number) for number in numbers] == before


def test_hangup_that_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interruption(sys.stderr, str) as interruption:
            os.kill(os.getpid(), signal.SIGHUP)
            interruption.check()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_check_raises_again_and_again_what_no_library_catches():
    with Interruption(sys.stderr, str) as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(2):
            with pytest.raises(Interrupted, match="SIGINT"):
                interruption.check()
    assert not issubclass(Interrupted, Exception)


@pytest.mark.parametrize(
    ("number", "exit_code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
)
def test_signal_ends_a_process_cleanly(number, exit_code):
    with _start("attentive") as process:
        process.send_signal(number)
        output, _ = process.communicate(timeout=20)
    assert (process.returncode, output) == (exit_code, f"{number.name}\n")


def test_hangup_closes_the_terminal_and_still_ends_cleanly():
    ours, theirs = pty.openpty()
    with _start("attentive", os.ttyname(theirs)) as process:
        os.close(ours)
        os.close(theirs)
        process.send_signal(signal.SIGHUP)
        process.communicate(timeout=20)
    assert process.returncode == 129


def test_second_sigint_leaves_at_once_and_says_how_to_go_on(tmp_path):
    with _start("deaf", tmp_path / "screen") as process:
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.3)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)
    assert (process.returncode, output) == (130, "")
    assert (tmp_path / "screen").read_text() == "interrupted; go on with: sweep resume\n"


@pytest.mark.parametrize(
    ("how", "number", "times", "exit_code"),
    [
        ("deaf", signal.SIGTERM, 1, 143),
        ("without a terminal", signal.SIGINT, 1, 130),
        ("stuck", signal.SIGINT, 2, 130),
    ],
)
def test_signal_ends_a_process_in_time_whatever_it_does(how, number, times, exit_code, tmp_path):
    screen = tmp_path / "screen"
    with _start(how, screen, limit_s=0.5) as process:
        for _ in range(times):
            process.send_signal(number)
            time.sleep(0.1)
        output, _ = process.communicate(timeout=20)
    assert (process.returncode, output) == (exit_code, "")
    if how != "without a terminal":
        assert screen.read_text().startswith("interrupted")


def test_leaving_at_once_shows_the_cursor_on_a_terminal():
    ours, theirs = pty.openpty()
    try:
        with _start("deaf", os.ttyname(theirs), limit_s=0.2) as process:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)
        assert process.returncode == 143
        assert os.read(ours, 100).startswith(b"\x1b[?25h")
    finally:
        os.close(ours)
        os.close(theirs)


def test_signal_is_an_exception_whose_cleaning_up_no_other_signal_ends():
    cleaned = []

    def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            for number in (signal.SIGHUP, signal.SIGTERM):
                os.kill(os.getpid(), number)
                cleaned.append(number)

    with pytest.raises(Interrupted) as interrupted, interruptible():
        work()
    assert (interrupted.value.exit_code, len(cleaned)) == (143, 2)
    assert {signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGHUP)} == {signal.SIG_DFL}
    with interruptible():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under `nohup`
        with interruptible():
            os.kill(os.getpid(), signal.SIGHUP)


# Closes the terminal of the process while it says something, and says how the process ended.
CLOSING = """
import os, pty, signal, sys
pid, terminal = pty.fork()
if pid == 0:
    from sweep.driver.signals import Interrupted, interruptible
    try:
        with interruptible():
            print("ready", file=sys.stderr, flush=True)
            signal.pause()
    except Interrupted as interrupted:
        print("not lost", file=sys.stderr, flush=True)
        os._exit(interrupted.exit_code)
assert os.read(terminal, 5) == b"ready"
os.close(terminal)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def test_closed_terminal_does_not_disturb_the_cleaning_up():
    done = subprocess.run([sys.executable, "-c", CLOSING], capture_output=True, timeout=60)
    assert (done.stdout, done.stderr) == (b"129\n", b"")
