"""The progress of a search, from its ledger alone."""

import math
import time
from collections.abc import Callable, Sequence
from itertools import chain
from statistics import fmean

from rich.console import Group, RenderableType
from rich.text import Text

from analysis.formatting import count, duration, percent, time_left
from analysis.hyperparameters import format_value
from analysis.records.ledger import EpochRecord, Ledger, SessionStarted, State, Trial, TrialStarted
from analysis.results.budget import n_planned, read_duration, seconds_spent
from analysis.results.cost import describe_shortened
from analysis.results.selection import Selection, preview_score, rank_trials
from analysis.results.state import failed_trials
from sweep.screen.layout import Flow, TrialTable, progress_bar
from sweep.screen.output import escape

_BARS = "▁▂▃▄▅▆▇█"
_SMALLEST_ERROR = 0.001  # that a sparkline can show


class SearchView:
    """Shows the progress of a search; its `ledger` grows, or is replaced by a newer one.

    Where no driver `is_running`, nothing is running and no time is left.
    """

    def __init__(
        self, ledger: Ledger, clock: Callable[[], float] = time.time, *, is_running: bool = True
    ) -> None:
        self.ledger, self._clock, self._is_running = ledger, clock, is_running

    def news(self) -> list[str]:
        """Return all notices and failures so far."""
        notices = [
            notice.text if notice.trial_id is None else f"trial {notice.trial_id}: {notice.text}"
            for notice in self.ledger.notices
        ]
        return notices + [f"{what} failed: {why}" for what, why in failed_trials(self.ledger)]

    def fraction(self) -> float:
        """Return the fraction of the trials that have ended."""
        return self.ledger.n_ended / n_planned(self.ledger)

    def line(self) -> str:
        """Return the progress in one line."""
        n_failed, best = self._count("FAILED"), self._best()
        n_trials = n_planned(self.ledger)
        stage = "searching" if self.ledger.n_ended < n_trials else "searched"
        parts = [
            f"{stage}: {self.ledger.n_ended}/{n_trials} trials",
            describe_shortened(self.ledger),
            f"{n_failed} failed" if n_failed else "",
            self._epochs(),
            *self._times(),
            f"best {'preview ' * bool(best.trial.preview_epochs)}{percent(best.score)} "
            f"(trial {best.trial.trial_id})"
            if best
            else "",
        ]
        return ", ".join(part for part in parts if part)

    def picture(self) -> RenderableType:
        """Return the progress, the best so far, and the open trials with their curves."""
        ledger, n_trials = self.ledger, n_planned(self.ledger)
        n_failed = self._count("FAILED")
        parts: list[RenderableType] = [
            Flow(
                "searching" if self._is_searching else "",
                progress_bar(self.fraction()),
                f"{ledger.n_ended} of {count(n_trials, 'trial')}",
                *self._times(),
            ),
            Flow(
                Text(f"{self._count('COMPLETE')} complete", "green"),
                Text(describe_shortened(self.ledger), "cyan"),
                self._open(),
                Text(f"{n_failed} failed", "red" if n_failed else "dim"),
                Text(self._epochs(), "dim"),
            ),
        ]
        if best := self._best():
            words = "best" if ledger.n_ended >= n_trials else "best so far"
            if best.trial.preview_epochs:
                words = "best preview so far"
            number, accuracy = best.trial.trial_id, Text(percent(best.score), "bold green")
            values = best.trial.hyperparameters.items()
            parts.append(
                Flow(
                    Text.assemble(f"{words} ", accuracy, f" (trial {number})"),
                    *(escape(f"{name} {format_value(name, value)}") for name, value in values),
                )
            )
        if running := ledger.in_state("RUNNING"):
            parts += [Text(), _open_trials(running)]
        return Group(*parts)

    @property
    def _is_searching(self) -> bool:
        return self._is_running and self.ledger.has_open_session

    def _best(self) -> Selection | None:
        """Return the best trial, or the best preview as long as no other trial has a score."""
        ranked = rank_trials(self.ledger) or rank_trials(self.ledger, preview_score)
        return next(iter(ranked), None)

    def _count(self, state: State) -> int:
        return len(self.ledger.in_state(state))

    def _open(self) -> str:
        """Return how many trials have begun and not ended."""
        n_open = self._count("RUNNING")
        if not self._is_searching:
            return f"{n_open} interrupted" if n_open else ""
        for record in reversed(self.ledger.records):
            if isinstance(record, TrialStarted | EpochRecord):
                return f"{n_open} running"
            if isinstance(record, SessionStarted):
                break
        return "starting workers"

    def _epochs(self) -> str:
        return count(self.ledger.n_epochs, "epoch")

    def _times(self) -> tuple[str, str]:
        """Return the time of work so far, and an estimate of the time left."""
        now = self._clock() if self._is_searching else None
        left = time_left(seconds_left(self.ledger)) if self._is_searching else ""
        if left and self.ledger.config.get("confirm") is not None:
            left += ", then the confirmation"
        return f"{duration(seconds_spent(self.ledger, now))} elapsed", left


def seconds_left(ledger: Ledger) -> float | None:
    """Return the seconds left, if the trials to come take as long as those before.

    Of these, an open one counts as if it will run to its end: at first, only trials that were
    stopped early have ended. The result is at least the time left of the longest open one. None
    before the first epoch, and at the end.
    """
    running = ledger.in_state("RUNNING")
    ended = [trial for trial in ledger.trials.values() if trial.state != "RUNNING"]
    seconds = [trial.epochs[-1].seconds for trial in running if trial.epochs]
    if not seconds:
        seconds = [trial.epochs[-1].seconds for trial in ended if trial.epochs][-1:]
    waiting = max(0, n_planned(ledger) - len(ledger.trials))
    if not seconds or not (waiting or running):
        return None
    typical = fmean([*(len(t.epochs) for t in ended), *(t.planned_epochs for t in running)])
    per_epoch = fmean(seconds) / (ledger.sessions[-1].slots if ledger.sessions else 1)
    to_come = waiting * typical * per_epoch
    if (budget := ledger.config["time_budget"]) is not None:
        to_come = min(to_come, max(0.0, read_duration(budget) - seconds_spent(ledger)))
    open_epochs = [0.0]
    for trial in running:
        done, planned = len(trial.epochs), trial.planned_epochs
        open_epochs.append(max(min(typical, planned) - done, (planned - done) / 2))
    return max(to_come + sum(open_epochs) * per_epoch, max(open_epochs) * fmean(seconds))


def sparklines(trials: Sequence[Trial], width: int) -> list[str]:
    """Return the last `width` validation accuracies of trials, on a log scale of the error.

    The lowest bar is the largest error of all of them, the highest bar the smallest.
    """
    curves = [
        [math.log(max(1 - epoch.val_accuracy, _SMALLEST_ERROR)) for epoch in trial.epochs[-width:]]
        for trial in trials
    ]
    worst = max(chain(*curves), default=0.0)
    per_bar = (worst - min(chain(*curves), default=0.0)) / (len(_BARS) - 1) or 1.0
    bars = ([_BARS[round((worst - error) / per_bar)] for error in curve] for curve in curves)
    return ["".join(curve).ljust(width, "·") for curve in bars]


def _open_trials(trials: list[Trial]) -> TrialTable:
    curves = sparklines(trials, width=min(max(trial.planned_epochs for trial in trials), 20))
    rows = []
    for trial, curve in zip(trials, curves, strict=True):
        epochs = f"{len(trial.epochs)}/{trial.planned_epochs}"
        rows.append((trial, (str(trial.trial_id), epochs, percent(trial.val_accuracy), curve)))
    headings, last = ("trial", "epoch", "validation", "curve"), ("curve",)
    return TrialTable(headings, rows, left=last, optional=last)
