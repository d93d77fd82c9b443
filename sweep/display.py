"""What a sweep shows while it runs: a live picture on a terminal, a few lines elsewhere."""

import math
import time
from collections.abc import Iterable
from typing import Self, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from analysis.ledger import Ledger, Trial
from analysis.records import Notice
from sweep import formatting
from sweep.progress import Progress, ProgressMeter

_REFRESH_S = 0.5
_SHOWN_TRIALS = 16
_BARS = "▁▂▃▄▅▆▇█"


def open_display(ledger: Ledger, stream: TextIO) -> "LiveDisplay | LineDisplay":
    """Returns the display that suits `stream`."""
    return LiveDisplay(ledger, stream) if stream.isatty() else LineDisplay(ledger, stream)


class LiveDisplay:
    """A picture of the search that is redrawn in place, twice a second."""

    def __init__(self, ledger: Ledger, stream: TextIO) -> None:
        self._ledger = ledger
        self._meter = ProgressMeter(ledger)
        self._news = _News(ledger)
        self._drawn = 0.0
        self._live = Live(
            console=Console(file=stream, highlight=False),
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._draw()
        self._live.stop()

    def update(self) -> None:
        """Draws, if the last time was half a second ago."""
        if time.monotonic() - self._drawn >= _REFRESH_S:
            self._draw()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        for line in self._news.lines():
            self._live.console.print(Text(line, style="yellow"))
        self._live.update(render(self._ledger, self._meter.measure(time.time())), refresh=True)


class LineDisplay:
    """A line when an eighth of the trials has ended, and for whatever goes wrong."""

    def __init__(self, ledger: Ledger, stream: TextIO) -> None:
        self._stream = stream
        self._meter = ProgressMeter(ledger)
        self._news = _News(ledger)
        self._eighths = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.update()

    def update(self) -> None:
        """Writes what is new."""
        for line in self._news.lines():
            print(line, file=self._stream, flush=True)
        progress = self._meter.measure(time.time())
        eighths = 8 * progress.n_ended // progress.n_trials
        if eighths > self._eighths:
            self._eighths = eighths
            print(summarize(progress), file=self._stream, flush=True)


class _News:
    """The notices and failures that have not been told yet."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._n_notices = len(ledger.notices)
        self._failed = {trial.trial_id for trial in ledger.in_state("FAILED")}

    def lines(self) -> Iterable[str]:
        for notice in self._ledger.notices[self._n_notices :]:
            yield _notice_line(notice)
        self._n_notices = len(self._ledger.notices)
        for trial in self._ledger.in_state("FAILED"):
            if trial.trial_id not in self._failed:
                self._failed.add(trial.trial_id)
                yield f"trial {trial.trial_id} failed: {trial.reason}"


def _notice_line(notice: Notice) -> str:
    return notice.text if notice.trial_id is None else f"trial {notice.trial_id}: {notice.text}"


def summarize(progress: Progress) -> str:
    """Returns the state of a search in one line."""
    parts = [
        f"{progress.n_ended}/{progress.n_trials} trials",
        f"{progress.n_stopped} stopped early",
        f"{progress.n_failed} failed" if progress.n_failed else "",
        formatting.count(progress.n_epochs, "epoch"),
        f"{formatting.duration(progress.elapsed_s)} elapsed",
        _time_left(progress),
    ]
    if progress.best is not None:
        best = progress.best
        parts.append(f"best {formatting.percent(best.score)} (trial {best.trial.trial_id})")
    return ", ".join(part for part in parts if part)


def render(ledger: Ledger, progress: Progress) -> RenderableType:
    """Returns the picture of a search."""
    parts: list[RenderableType] = [_bar(progress), _counts(progress), Text()]
    parts += [_running(ledger, progress), Text()]
    if progress.best is not None:
        parts += _best(progress)
    return Group(*parts)


def _bar(progress: Progress) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_row(
        ProgressBar(total=progress.n_trials, completed=progress.n_ended, width=32),
        f"{progress.n_ended} of {progress.n_trials} trials",
        f"{formatting.duration(progress.elapsed_s)} elapsed",
        _time_left(progress),
    )
    return grid


def _time_left(progress: Progress) -> str:
    if progress.left_s is None or progress.n_ended == progress.n_trials:
        return ""
    minutes = math.ceil(progress.left_s / 60)
    return f"about {minutes} min left" if minutes > 1 else "about a minute left"


def _counts(progress: Progress) -> RenderableType:
    text = Text.assemble(
        (f"{progress.n_complete} complete", "green"),
        "  ",
        (f"{progress.n_stopped} stopped early", "cyan"),
        "  ",
        f"{len(progress.running)} running",
        "  ",
        (f"{progress.n_failed} failed", "red" if progress.n_failed else "dim"),
        "  ",
        (formatting.count(progress.n_epochs, "epoch"), "dim"),
    )
    return text


def _running(ledger: Ledger, progress: Progress) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("trial", justify="right")
    table.add_column("epoch", justify="right")
    table.add_column("validation", justify="right")
    table.add_column("curve")
    table.add_column("hyperparameters", overflow="ellipsis", no_wrap=True)
    epochs = ledger.config["epochs"]
    for trial in progress.running[:_SHOWN_TRIALS]:
        table.add_row(
            str(trial.trial_id),
            f"{len(trial.epochs)}/{epochs}",
            formatting.percent(trial.val_accuracy),
            sparkline(trial, width=min(int(epochs), 20)),
            Text(formatting.hyperparameters(trial.hyperparameters), style="dim"),
        )
    if len(progress.running) > _SHOWN_TRIALS:
        table.add_row("…", "", "", "", f"and {len(progress.running) - _SHOWN_TRIALS} more")
    return table


def _best(progress: Progress) -> list[RenderableType]:
    assert progress.best is not None
    trial = progress.best.trial
    return [
        Text.assemble(
            "best so far  ",
            (formatting.percent(progress.best.score), "bold green"),
            f"  trial {trial.trial_id}",
        ),
        Text(formatting.hyperparameters(trial.hyperparameters)),
    ]


def sparkline(trial: Trial, width: int) -> str:
    """Returns the validation curve so far, on a log scale of the error from 10 % to 0.5 %."""
    bars = []
    for epoch in trial.epochs[-width:]:
        error = min(max(1 - epoch.val_accuracy, 0.005), 0.1)
        height = math.log(0.1 / error) / math.log(0.1 / 0.005)
        bars.append(_BARS[round(height * (len(_BARS) - 1))])
    return "".join(bars).ljust(width, "·")
