"""Signals that end a sweep: noted when they come, acted on when nothing is half done."""

import contextlib
import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Self, TextIO

_LIMIT_S = 8.0
_SHOW_CURSOR = b"\x1b[?25h\n"


class Interrupted(BaseException):
    """The user, or the machine, wants the sweep to end; `signal_number` says how."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.signal_number = signal_number

    @property
    def exit_code(self) -> int:
        """130 for SIGINT, 143 for SIGTERM."""
        return 128 + self.signal_number


class Interruption:
    """Catches SIGINT and SIGTERM in a `with` block, for `check` to act on.

    After a signal the process has eight seconds, then it leaves at once, by way of a visible
    cursor on `screen`, as it does on a second SIGINT: whoever sent the signal will send SIGKILL
    next, and the ledger is whole at any moment.
    """

    def __init__(self, screen: TextIO) -> None:
        self._screen = screen
        self._received: int | None = None
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Self:
        self._previous = {
            number: signal.signal(number, self._handle)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raises Interrupted if a signal has come."""
        if self._received is not None:
            raise Interrupted(self._received)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._received is not None and number == signal.SIGINT:
            self.leave(128 + number)
        self._received = number
        if self._timer is None:
            self._timer = threading.Timer(_LIMIT_S, self.leave, (128 + number,))
            self._timer.daemon = True
            self._timer.start()

    def leave(self, exit_code: int, words: str = "") -> None:
        """Ends the process at once, with words on `screen`; does not return."""
        with contextlib.suppress(OSError, ValueError):  # nothing may keep us from leaving
            cursor = _SHOW_CURSOR if self._screen.isatty() else b""
            os.write(self._screen.fileno(), cursor + words.encode())
        os._exit(exit_code)
