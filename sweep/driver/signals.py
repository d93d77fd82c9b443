"""Signals that end a sweep: caught at any time, handled between two steps."""

import contextlib
import os
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Self, TextIO

_LIMIT_S = 8.0
_SHOW_CURSOR = b"\x1b[?25h\n"


class Interrupted(BaseException):
    """A signal, `signal_number`, asked the sweep to end."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.signal_number = signal_number

    @property
    def exit_code(self) -> int:
        """130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP."""
        return 128 + self.signal_number


def silence(screen: TextIO) -> None:
    """Discard what is written to a terminal that is gone, where it would be an error."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        for descriptor in (1, 2, screen.fileno()):
            if stat.S_ISCHR(os.fstat(descriptor).st_mode):
                os.dup2(null, descriptor)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise Interrupted in a `with` block, instead of ending the process.

    So a command cleans up also where no `Interruption` catches them. Only in the main thread.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        for other in numbers:  # nothing may interrupt the cleaning up
            signal.signal(other, signal.SIG_IGN)
        if number == signal.SIGHUP:
            silence(sys.stderr)
        raise Interrupted(number)

    is_main = threading.current_thread() is threading.main_thread()
    both = (signal.SIGTERM, signal.SIGHUP)
    numbers = [n for n in both if is_main and signal.getsignal(n) == signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


class Interruption:
    """Catches SIGINT, SIGTERM and SIGHUP in a `with` block, for `check` to act on.

    Eight seconds after a signal, or on a second SIGINT, the process exits immediately:
    whoever sent the signal may send SIGKILL next. This is safe, as the ledger is complete at any
    moment. A SIGHUP that is ignored, by `nohup`, stays ignored. Only the main thread catches
    signals.

    Before the process exits, the cursor of the terminal `screen` is made visible. `advise` returns
    how to continue, for the user who sends a second SIGINT. A process that has other work, a
    notebook, may not exit.
    """

    def __init__(
        self, screen: TextIO, advise: Callable[[], str], *, may_exit: bool = True
    ) -> None:
        self._screen, self._advise, self._may_exit = screen, advise, may_exit
        self._received: int | None = None
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Self:
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        if threading.current_thread() is not threading.main_thread():
            numbers.clear()
        self._previous = {number: signal.signal(number, self._handle) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._received == signal.SIGHUP:  # the session has put the terminal back meanwhile
            silence(self._screen)
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise Interrupted if a signal has come."""
        if self._received is not None:
            raise Interrupted(self._received)

    def leave(self, exit_code: int, text: str) -> None:
        """End the process at once, with a text on the screen. Does not return."""
        with contextlib.suppress(OSError, ValueError):  # nothing may keep us from leaving
            cursor = _SHOW_CURSOR if self._screen.isatty() else b""
            os.write(self._screen.fileno(), cursor + text.encode())
        os._exit(exit_code)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        is_first, self._received = self._received is None, number
        if number == signal.SIGHUP:
            silence(self._screen)
        if not self._may_exit:
            return
        if is_first:
            text = "interrupted in the middle of its work; every finished epoch is kept\n"
            self._timer = threading.Timer(_LIMIT_S, self.leave, (128 + number, text))
            self._timer.daemon = True
            self._timer.start()
        elif number == signal.SIGINT:
            advise, self._advise = self._advise, str  # a third SIGINT does not wait for it
            self.leave(128 + number, f"interrupted; {advise()}\n")
