import io
import os
import pty
import termios
import time
from collections.abc import Callable

import pytest
from rich.console import RenderableType
from rich.text import Text

from sweep.screen.display import Display
from sweep.screen.output import open_console, say


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class _View:
    """Something that is `done` of 100, and counts how often it is looked at."""

    def __init__(self) -> None:
        self.done, self.n_looks = 0, 0
        self.lines = ["before the display"]

    def news(self) -> list[str]:
        self.n_looks += 1
        return self.lines

    def fraction(self) -> float:
        return self.done / 100

    def picture(self) -> RenderableType:
        return Text(f"picture of {self.done}")

    def line(self) -> str:
        return f"{self.done} of 100"


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Advances the display's clock by a number of seconds."""
    monkeypatch.setenv("TERM", "xterm")
    now = 1000.0

    def wait(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(time, "monotonic", lambda: now)
    return wait


def test_line_display_prints_few_lines(wait):
    view, stream = _View(), io.StringIO()
    with Display(view, stream) as display:
        for view.done in range(101):
            for _ in range(3):
                wait(0.5)
                display.update()
    eighths = (13, 25, 38, 50, 63, 75, 88, 100)
    assert stream.getvalue().splitlines() == [f"{done} of 100" for done in eighths]


def test_line_display_prints_news_once(wait):
    view, stream = _View(), io.StringIO()
    with Display(view, stream) as display:
        view.lines += ["trial 1 failed"]
        for _ in range(2):
            wait(0.5)
            display.update()
            assert stream.getvalue() == "trial 1 failed\n"
        view.lines += ["at the very end"]
    assert stream.getvalue() == "trial 1 failed\nat the very end\n"


def test_line_display_prints_a_long_line_as_one_where_colors_are_forced(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # as continuous integration does
    stream = io.StringIO()
    with Display(_View(), stream) as display:
        display.say("a word " * 40)
    assert stream.getvalue() == "a word " * 40 + "\n"


def test_live_display_has_the_size_of_its_terminal(wait, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    ours, theirs = pty.openpty()
    view = _View()
    monkeypatch.setattr(view, "picture", lambda: Text("a line\n" * 100))
    with os.fdopen(ours, "rb"), os.fdopen(theirs, "w") as stream:
        termios.tcsetwinsize(theirs, (40, 140))
        assert open_console(stream).width == 140
        with Display(view, stream) as display:
            for height in (40, 20):
                termios.tcsetwinsize(theirs, (height, 60))
                wait(0.5)
                display.update()
                drawn = b""
                while b"..." not in drawn:
                    drawn += os.read(ours, 1000)
                assert drawn.count(b"a line") == height - 1


def test_dumb_terminal_gets_lines(wait, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    view, stream = _View(), _Terminal()
    with Display(view, stream) as display:
        view.done = 50
        wait(0.5)
        display.update()
    assert stream.getvalue() == "50 of 100\n"


@pytest.mark.parametrize("stream", [io.StringIO(), _Terminal()])
def test_view_is_read_twice_a_second_at_most(wait, stream):
    view = _View()
    with Display(view, stream) as display:
        for _ in range(100):
            wait(0.01)
            display.update()
    assert view.n_looks == 4  # at the start, twice meanwhile, at the end


def test_live_display_redraws_in_place_and_leaves_only_the_news(wait):
    view, stream = _View(), _Terminal()
    with Display(view, stream) as display:
        for view.done in range(20):
            wait(0.1)
            display.update()
        view.lines += ["trial 1 failed"]
    drawn = [done for done in range(20) if f"picture of {done}\n" in _plain(stream)]
    assert drawn[0] == 0
    assert len(drawn) in (4, 5)  # every half second, and at the end
    assert drawn[-1] == 19
    assert "trial 1 failed" in stream.getvalue()
    # The picture is erased, the cursor is there again, and one line says how it ended.
    erased, last = stream.getvalue().rsplit("\x1b", 1)
    assert last.endswith("19 of 100\n")
    assert "\x1b[?25h" in stream.getvalue()
    assert erased.count("trial 1 failed") == 1


def _plain(stream: io.StringIO) -> str:
    """What was written, each picture on a line of its own."""
    return stream.getvalue().replace("\r", "\n").replace("\x1b", "\n")


def test_live_display_puts_the_cursor_back_after_an_error(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = _Terminal()
    with pytest.raises(KeyboardInterrupt), Display(_View(), stream):
        raise KeyboardInterrupt
    assert stream.getvalue().count("\x1b[?25l") == stream.getvalue().count("\x1b[?25h") == 1


@pytest.mark.parametrize(
    ("message", "lines"),
    [
        (
            "interrupted; continue with: sweep resume b1",
            ["interrupted; continue with:", "sweep resume b1"],
        ),
        (
            "continue with: sweep resume a-sweep --storage /a/folder",
            ["continue with:", "sweep resume a-sweep --storage /a/folder"],
        ),
        (
            "did you mean the command `sweep run --trials 3` of today?",
            ["did you mean the command", "`sweep run --trials 3` of", "today?"],
        ),
        ("two-words are broken between-words", ["two-words are broken", "between-words"]),
        ("it fits: sweep best\n\nso it", ["it fits: sweep best", "", "so it"]),
    ],
)
def test_terminal_breaks_no_word_and_no_command(message, lines):
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb"), os.fdopen(theirs, "w") as terminal, io.StringIO() as elsewhere:
        termios.tcsetwinsize(theirs, (24, 30))
        say(message, terminal)
        assert os.read(ours, 1000).decode().splitlines() == lines
        say(message, elsewhere)
        assert elsewhere.getvalue() == message + "\n"
