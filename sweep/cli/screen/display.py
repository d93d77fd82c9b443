"""What a user sees while a sweep runs: a live picture on a terminal, a few lines elsewhere."""

import time
from collections.abc import Mapping
from typing import Protocol, Self, TextIO

from rich.console import RenderableType
from rich.live import Live
from rich.text import Text
from typing_extensions import override

from analysis.records.confirmation import Confirmation
from analysis.records.ledger import Ledger
from sweep.cli.output import escape, open_console
from sweep.cli.screen.confirm_view import ConfirmationView
from sweep.cli.screen.search_view import SearchView

_REFRESH_S = 0.5
_PARTS = 8


class View(Protocol):
    """A search or a confirmation, as text and as a picture."""

    def news(self) -> Mapping[object, str]:
        """Return all notices and failures so far as lines, each under its own key."""

    def fraction(self) -> float:
        """Return the fraction that is done, from 0 to 1."""

    def picture(self) -> RenderableType:
        """Return everything, for a terminal."""

    def line(self) -> str:
        """Return the progress in one line."""


class LineDisplay:
    """Prints a line at each eighth of the progress, and one for each notice or failure."""

    def __init__(self, view: View, stream: TextIO) -> None:
        self._view, self._stream = view, stream
        self._n_parts = int(_PARTS * view.fraction())
        self._shown = view.news().keys()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._show()

    def say(self, line: str) -> None:
        """Print a line; above the picture, if there is one."""
        print(escape(line), file=self._stream, flush=True)

    def update(self) -> None:
        """Print new notices and failures, and the progress if another eighth is done."""
        self._show()

    def _show(self) -> None:
        self._show_news()
        done = int(_PARTS * self._view.fraction())
        if done > self._n_parts:
            self._n_parts = done
            self.say(self._view.line())

    def _show_news(self) -> None:
        news = self._view.news()
        for key, line in news.items():
            if key not in self._shown:
                self.say(line)
        self._shown = news.keys()


class LiveDisplay(LineDisplay):
    """A picture that is redrawn in place, twice a second, and removed at the end."""

    def __init__(self, view: View, stream: TextIO) -> None:
        super().__init__(view, stream)
        self._drawn = 0.0
        self._live = Live(
            console=open_console(stream),
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._show()
        self._live.stop()

    @override
    def say(self, line: str) -> None:
        self._live.console.print(Text(escape(line), style="yellow"))

    @override
    def update(self) -> None:
        if time.monotonic() - self._drawn >= _REFRESH_S:
            self._show()

    @override
    def _show(self) -> None:
        self._drawn = time.monotonic()
        self._show_news()
        self._live.update(self._view.picture(), refresh=True)


def open_display(view: View, stream: TextIO) -> LineDisplay:
    """Return the display for a stream: live on a terminal, lines elsewhere."""
    return LiveDisplay(view, stream) if stream.isatty() else LineDisplay(view, stream)


class TerminalScreen:
    """Shows the search and the confirmation of a driver on a stream."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def search(self, ledger: Ledger) -> LineDisplay:
        """Return the display of a search, from its growing ledger."""
        return open_display(SearchView(ledger), self._stream)

    def confirmation(
        self, confirmation: Confirmation, arms: list[str], seeds: list[int], slots: int
    ) -> LineDisplay:
        """Return the display of a confirmation, from its growing record."""
        return open_display(ConfirmationView(confirmation, arms, seeds, slots), self._stream)
