"""The progress of a search, from its ledger alone."""

import math
import time
from collections.abc import Callable, Mapping
from statistics import fmean
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from analysis.formatting import count, duration, percent, time_left
from analysis.hyperparameters import format_value
from analysis.records.ledger import Ledger, State, Trial
from analysis.results.budget import n_planned
from analysis.results.selection import rank_trials
from sweep.cli.output import escape, new_table

_SHOWN_TRIALS = 16
_BARS = "▁▂▃▄▅▆▇█"
_WORST_ERROR, _BEST_ERROR = 0.1, 0.005


class SearchView:
    """Shows the progress of a search; its `ledger` grows, or is replaced by a newer one."""

    def __init__(self, ledger: Ledger, clock: Callable[[], float] = time.time) -> None:
        self.ledger, self._clock = ledger, clock

    def news(self) -> list[str]:
        """Return all notices and failures so far."""
        notices = [
            notice.text if notice.trial_id is None else f"trial {notice.trial_id}: {notice.text}"
            for notice in self.ledger.notices
        ]
        failed = self.ledger.in_state("FAILED")
        return notices + [f"trial {t.trial_id} failed: {t.reason}" for t in failed]

    def fraction(self) -> float:
        """Return the fraction of the trials that have ended."""
        return self.ledger.n_ended / n_planned(self.ledger)

    def line(self) -> str:
        """Return the progress in one line."""
        n_failed, best = self._count("FAILED"), next(iter(rank_trials(self.ledger)), None)
        parts = [
            f"{self.ledger.n_ended}/{n_planned(self.ledger)} trials",
            f"{self._count('STOPPED')} stopped early",
            f"{n_failed} failed" if n_failed else "",
            self._epochs(),
            *self._times(),
            f"best {percent(best.score)} (trial {best.trial.trial_id})" if best else "",
        ]
        return ", ".join(part for part in parts if part)

    def picture(self) -> RenderableType:
        """Return the progress, the running trials with their curves, and the best so far."""
        ledger, n_trials = self.ledger, n_planned(self.ledger)
        grid = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=n_trials, completed=ledger.n_ended, width=32)
        grid.add_row(bar, f"{ledger.n_ended} of {count(n_trials, 'trial')}", *self._times())
        n_failed = self._count("FAILED")
        counts = [
            (f"{self._count('COMPLETE')} complete", "green"),
            (f"{self._count('STOPPED')} stopped early", "cyan"),
            (f"{self._count('RUNNING')} running", ""),
            (f"{n_failed} failed", "red" if n_failed else "dim"),
            (self._epochs(), "dim"),
        ]
        parts: list[RenderableType] = [
            grid,
            Text("  ").join(Text(*part) for part in counts),
            Text(),
        ]
        if running := ledger.in_state("RUNNING"):
            parts += [_running(running, int(ledger.config["epochs"])), Text()]
        if ranking := rank_trials(ledger):
            trial, accuracy = ranking[0].trial, (percent(ranking[0].score), "bold green")
            parts += [
                Text.assemble("best so far  ", accuracy, f"  trial {trial.trial_id}"),
                Text(_in_one_line(trial.hyperparameters)),
            ]
        return Group(*parts)

    def _count(self, state: State) -> int:
        return len(self.ledger.in_state(state))

    def _epochs(self) -> str:
        return count(sum(len(trial.epochs) for trial in self.ledger.trials.values()), "epoch")

    def _times(self) -> tuple[str, str]:
        """Return the time since the newest session began, and an estimate of the time left."""
        ledger = self.ledger
        begun = ledger.sessions[-1] if ledger.sessions else ledger.created
        now = ledger.ended.time if ledger.ended else self._clock()
        elapsed = duration(max(0.0, now - begun.time))
        return f"{elapsed} elapsed", time_left(seconds_left(ledger))


def seconds_left(ledger: Ledger) -> float | None:
    """Estimate the time left: the trials to come take as long as those that ended.

    Returns:
        Seconds; None before the first epoch, and at the end.
    """
    running = ledger.in_state("RUNNING")
    ended = [trial for trial in ledger.trials.values() if trial.state != "RUNNING"]
    seconds = [trial.epochs[-1].seconds for trial in running if trial.epochs]
    if not seconds:
        seconds = [trial.epochs[-1].seconds for trial in ended if trial.epochs][-1:]
    longest = int(ledger.config["epochs"])
    typical = fmean(len(trial.epochs) for trial in ended) if ended else longest
    waiting = max(0, n_planned(ledger) - len(ledger.trials))
    if not seconds or not (waiting or running):
        return None
    epochs = waiting * typical
    for trial in running:
        done = len(trial.epochs)
        epochs += max(typical - done, (longest - done) / 2)
    return epochs * fmean(seconds) / (ledger.sessions[-1].slots if ledger.sessions else 1)


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


def _running(trials: list[Trial], epochs: int) -> Table:
    left = ("curve", "hyperparameters")
    table = new_table("trial", "epoch", "validation", *left, left=left)
    for column in table.columns[:-1]:  # a narrow terminal cuts the last one
        column.no_wrap = True
    for trial in trials[:_SHOWN_TRIALS]:
        values = _in_one_line(trial.hyperparameters)
        table.add_row(
            str(trial.trial_id),
            f"{len(trial.epochs)}/{epochs}",
            percent(trial.val_accuracy),
            sparkline(trial, width=min(epochs, 20)),
            Text(values, style="dim", no_wrap=True, overflow="ellipsis"),
        )
    if len(trials) > _SHOWN_TRIALS:
        table.add_row("…", "", "", "", f"and {len(trials) - _SHOWN_TRIALS} more")
    return table


def _in_one_line(values: Mapping[str, Any]) -> str:
    return escape("  ".join(f"{name} {format_value(name, v)}" for name, v in values.items()))
