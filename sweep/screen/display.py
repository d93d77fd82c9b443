"""What a user sees while a sweep runs: a live picture on a terminal, a few lines elsewhere."""

import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Self, TextIO

from rich.live import Live
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
from rich.text import Text

from data_utils import DEFAULT_SPLIT, Split
from data_utils.dataset import TrainTest
from data_utils.registry import load_dataset
from data_utils.sources import Progress as FetchProgress
from sweep.screen.confirm_view import ConfirmationView
from sweep.screen.output import escape, follow_size, is_live, open_console, wrap
from sweep.screen.search_view import SearchView

_REFRESH_S = 0.5
_PARTS = 8


class Display:
    """Shows the progress of a search or a confirmation on a stream.

    On a terminal a picture is redrawn in place. At the end it is replaced by a line, unless
    `ends_silently`. Elsewhere a line is printed at each eighth of the progress. Every notice and
    every failure is printed on a line of its own. What is new is looked for at most twice a
    second: a view reads every trial. The `view` may be replaced by that of the next stage.
    """

    def __init__(
        self, view: SearchView | ConfirmationView, stream: TextIO, *, ends_silently: bool = False
    ) -> None:
        self.view, self._is_live, self._ends_silently = view, is_live(stream), ends_silently
        self._console = open_console(stream)
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            transient=True,
        )
        self._shown, self._drawn = Counter(view.news()), 0.0
        self._n_parts = int(_PARTS * view.fraction())

    def __enter__(self) -> Self:
        if self._is_live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._show()
        self._live.stop()
        if self._is_live and not self._ends_silently:
            self._print(self.view.line())

    def say(self, line: str) -> None:
        """Print a line that the user must not miss; on a terminal above the picture."""
        self._print(line, style="yellow" if self._is_live else "")

    def _print(self, line: str, style: str = "") -> None:
        text = wrap(escape(line), self._console.width) if self._is_live else escape(line)
        self._console.print(Text(text, style=style), soft_wrap=True)

    def update(self) -> None:
        """Show what is new."""
        if time.monotonic() - self._drawn >= _REFRESH_S:
            self._show()

    def _show(self) -> None:
        self._drawn = time.monotonic()
        news = Counter(self.view.news())
        for line in (news - self._shown).elements():
            self.say(line)
        self._shown = news
        if self._is_live:
            follow_size(self._console)
            self._live.update(self.view.picture(), refresh=True)
        elif (n_parts := int(_PARTS * self.view.fraction())) != self._n_parts:
            self._n_parts = n_parts
            self._print(self.view.line())


def load_data(
    name: str,
    folder: str | os.PathLike[str] | None,
    *,
    create: bool = False,
    split: Split = DEFAULT_SPLIT,
) -> TrainTest:
    """Load a dataset; download missing files, with a progress bar on standard error.

    The files are in `folder`, by default in the user's cache; `create` makes a missing folder.
    `split` is as for `load_dataset`. Raises DataError as `load_dataset` does.
    """
    columns = (TextColumn("  {task.description}"), BarColumn(), DownloadColumn())
    is_hidden = not sys.stderr.isatty()
    console = open_console(sys.stderr)
    with Progress(*columns, console=console, transient=True, disable=is_hidden) as bar:
        task = bar.add_task("receiving", visible=False)
        progress = FetchProgress(
            message=lambda line: console.print(escape(line), soft_wrap=True),
            transferred=lambda done, total: bar.update(
                task, completed=done, total=total or None, visible=True
            ),
        )
        path = None if folder is None else Path(folder)
        return load_dataset(name, path, create=create, progress=progress, split=split)
