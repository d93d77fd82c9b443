"""The progress of a confirmation, from its record alone."""

import time
from collections.abc import Callable
from statistics import fmean

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from analysis.formatting import duration, percent, time_left
from analysis.records.confirmation import Confirmation, Run
from sweep.cli.output import escape, new_table


class ConfirmationView:
    """Shows the progress of a confirmation, whose arms are recorded already.

    `arms` are the names of the arms in training. Each is trained once per seed, and `slots` runs
    are trained at a time.
    """

    def __init__(
        self,
        confirmation: Confirmation,
        arms: list[str],
        seeds: list[int],
        slots: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._confirmation, self._arms, self._seeds = confirmation, arms, seeds
        self._slots, self._clock = slots, clock
        self._begun = clock()
        self._n_planned = len(seeds) * sum(confirmation.arms[name].epochs for name in arms)

    def news(self) -> list[str]:
        """Return all notices and failures so far."""
        failed = [run for run in self._runs() if run.state == "FAILED"]
        return [
            *(notice.text for notice in self._confirmation.notices),
            *(f"{run.arm}, seed {run.seed} failed: {run.reason}" for run in failed),
        ]

    def fraction(self) -> float:
        """Return the fraction of the epochs that are done."""
        return self._n_epochs() / self._n_planned

    def line(self) -> str:
        """Return the progress in one line."""
        epochs = f"{self._n_epochs()}/{self._n_planned} epochs"
        done, elapsed, left = self._progress()
        return ", ".join(part for part in (done, epochs, elapsed, left) if part)

    def picture(self) -> RenderableType:
        """Return the progress, and the runs of each arm so far."""
        grid = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=self._n_planned, completed=self._n_epochs(), width=32)
        grid.add_row(bar, *self._progress())
        table = new_table("arm", "runs", "mean test accuracy so far", left=("arm",))
        for name in self._arms:
            title = escape(self._confirmation.arms[name].title)
            accuracies = self._confirmation.test_accuracies(name).values()
            mean = percent(fmean(accuracies) if accuracies else None)
            table.add_row(title, f"{len(accuracies)}/{len(self._seeds)}", mean)
        return Group(grid, Text(), table)

    def _progress(self) -> tuple[str, str, str]:
        ended = sum(run.state == "COMPLETE" for run in self._runs())
        return (
            f"{ended}/{len(self._arms) * len(self._seeds)} runs confirmed",
            f"{duration(self._clock() - self._begun)} elapsed",
            time_left(self._seconds_left()),
        )

    def _runs(self) -> list[Run]:
        keys = [(arm, seed) for arm in self._arms for seed in self._seeds]
        return [self._confirmation.runs[key] for key in keys if key in self._confirmation.runs]

    def _n_epochs(self) -> int:
        return sum(len(run.epochs) for run in self._runs())

    def _seconds_left(self) -> float | None:
        """Estimate the time from the epochs that are done: of the same arm, if it has any."""
        known = [epoch.seconds for run in self._runs() for epoch in run.epochs]
        if not known or len(known) == self._n_planned:
            return None
        left = 0.0
        for name in self._arms:
            own = (run for run in self._runs() if run.arm == name)
            seconds = [epoch.seconds for run in own for epoch in run.epochs]
            planned = self._confirmation.arms[name].epochs * len(self._seeds)
            left += (planned - len(seconds)) * fmean(seconds or known)
        return left / self._slots
