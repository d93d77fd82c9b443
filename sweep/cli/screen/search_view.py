"""The progress of a search, from its ledger alone."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from analysis.formatting import count, duration, percent, time_left
from analysis.hyperparameters import format_value
from analysis.records.ledger import Ledger, Trial
from sweep.cli.output import escape
from sweep.cli.screen.progress import Progress, measure

_SHOWN_TRIALS = 16
_BARS = "▁▂▃▄▅▆▇█"
_WORST_ERROR, _BEST_ERROR = 0.1, 0.005


class SearchView:
    """Shows a search whose ledger grows."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float] = time.time) -> None:
        self._ledger, self._clock = ledger, clock
        self._n_notices = len(ledger.notices)
        self._failed = {trial.trial_id for trial in ledger.in_state("FAILED")}

    def look_at(self, ledger: Ledger) -> None:
        """Continue with a ledger that was read again."""
        self._ledger = ledger

    def news(self) -> Iterable[str]:
        """Return the new notices and failures, one per line."""
        notices = self._ledger.notices[self._n_notices :]
        failed = self._ledger.in_state("FAILED")
        new = [trial for trial in failed if trial.trial_id not in self._failed]
        self._n_notices += len(notices)
        self._failed |= {trial.trial_id for trial in new}
        return [
            *(n.text if n.trial_id is None else f"trial {n.trial_id}: {n.text}" for n in notices),
            *(f"trial {trial.trial_id} failed: {trial.reason}" for trial in new),
        ]

    def fraction(self) -> float:
        """Return the fraction of the trials that have ended."""
        return self._ledger.n_ended / int(self._ledger.config["trials"])

    def line(self) -> str:
        """Return the progress in one line."""
        progress = measure(self._ledger, self._clock())
        parts = [
            f"{progress.n_ended}/{progress.n_trials} trials",
            f"{progress.n_stopped} stopped early",
            f"{progress.n_failed} failed" if progress.n_failed else "",
            count(progress.n_epochs, "epoch"),
            f"{duration(progress.elapsed_s)} elapsed",
            time_left(progress.left_s),
        ]
        if progress.best is not None:
            trial_id = progress.best.trial.trial_id
            parts.append(f"best {percent(progress.best.score)} (trial {trial_id})")
        return ", ".join(part for part in parts if part)

    def picture(self) -> RenderableType:
        """Return the progress, the running trials with their curves, and the best so far."""
        progress = measure(self._ledger, self._clock())
        grid = Table.grid(padding=(0, 2))
        grid.add_row(
            ProgressBar(total=progress.n_trials, completed=progress.n_ended, width=32),
            f"{progress.n_ended} of {count(progress.n_trials, 'trial')}",
            f"{duration(progress.elapsed_s)} elapsed",
            time_left(progress.left_s),
        )
        parts: list[RenderableType] = [grid, _counts(progress), Text()]
        if progress.running:
            parts += [_running(self._ledger, progress), Text()]
        if progress.best is not None:
            trial = progress.best.trial
            accuracy = (percent(progress.best.score), "bold green")
            parts += [
                Text.assemble("best so far  ", accuracy, f"  trial {trial.trial_id}"),
                Text(_in_one_line(trial.hyperparameters)),
            ]
        return Group(*parts)


def sparkline(trial: Trial, width: int) -> str:
    """Return the last `width` validation accuracies, on a log scale of the error.

    The lowest bar is an error of 10 % or more, the highest 0.5 % or less.
    """
    bars = []
    for epoch in trial.epochs[-width:]:
        error = min(max(1 - epoch.val_accuracy, _BEST_ERROR), _WORST_ERROR)
        height = math.log(_WORST_ERROR / error) / math.log(_WORST_ERROR / _BEST_ERROR)
        bars.append(_BARS[round(height * (len(_BARS) - 1))])
    return "".join(bars).ljust(width, "·")


def _counts(progress: Progress) -> Text:
    n_failed = progress.n_failed
    parts = [
        (f"{progress.n_complete} complete", "green"),
        (f"{progress.n_stopped} stopped early", "cyan"),
        (f"{len(progress.running)} running", ""),
        (f"{n_failed} failed", "red" if n_failed else "dim"),
        (count(progress.n_epochs, "epoch"), "dim"),
    ]
    return Text("  ").join(Text(*part) for part in parts)


def _running(ledger: Ledger, progress: Progress) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("trial", "epoch", "validation"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("curve", no_wrap=True)
    table.add_column("hyperparameters")  # a narrow terminal cuts this one
    epochs = int(ledger.config["epochs"])
    for trial in progress.running[:_SHOWN_TRIALS]:
        values = _in_one_line(trial.hyperparameters)
        table.add_row(
            str(trial.trial_id),
            f"{len(trial.epochs)}/{epochs}",
            percent(trial.val_accuracy),
            sparkline(trial, width=min(epochs, 20)),
            Text(values, style="dim", no_wrap=True, overflow="ellipsis"),
        )
    if len(progress.running) > _SHOWN_TRIALS:
        table.add_row("…", "", "", "", f"and {len(progress.running) - _SHOWN_TRIALS} more")
    return table


def _in_one_line(values: Mapping[str, Any]) -> str:
    return escape("  ".join(f"{name} {format_value(name, v)}" for name, v in values.items()))
