"""The progress of a confirmation, from its record alone."""

import time
from collections.abc import Callable, Sequence
from statistics import fmean

from rich.console import Group, RenderableType
from rich.text import Text

from analysis.formatting import count, duration, percent, time_left
from analysis.records.confirmation import Confirmation, Run
from analysis.results.state import failed_runs
from sweep.screen.layout import Fitted, Flow, new_table, progress_bar
from sweep.screen.output import escape


class ConfirmationView:
    """Shows the progress of a confirmation, whose arms are recorded already.

    `arms` are the names of the arms in training. Each is trained once per seed, and `slots` runs
    are trained at a time. They began at `begun`, by default now.
    """

    def __init__(
        self,
        confirmation: Confirmation,
        arms: Sequence[str],
        seeds: list[int],
        slots: int,
        clock: Callable[[], float] = time.time,
        begun: float | None = None,
    ) -> None:
        self._confirmation, self._arms, self._seeds = confirmation, arms, seeds
        self._slots, self._clock = slots, clock
        self._begun = clock() if begun is None else begun
        self._keys = [(arm, seed) for arm in arms for seed in seeds]
        self._n_planned = sum(confirmation.arms[arm].epochs for arm, _ in self._keys)

    def news(self) -> list[str]:
        """Return all notices and failures so far."""
        notices = [notice.text for notice in self._confirmation.notices]
        return notices + [f"{what} failed: {why}" for what, why in failed_runs(self._confirmation)]

    def fraction(self) -> float:
        """Return the fraction of the epochs that are done."""
        return 1 - sum(map(self._n_left, self._keys)) / self._n_planned

    def line(self) -> str:
        """Return the progress in one line."""
        ended = sum(run.state != "RUNNING" for run in self._runs())
        stage = "confirmed" if ended == len(self._keys) else "confirming"
        return f"{stage}: " + ", ".join(part for part in self._progress() if part)

    def picture(self) -> RenderableType:
        """Return the progress, and the runs of each arm so far."""
        table = new_table("arm", "runs", "epochs", "mean test accuracy", left=("arm",))
        for name in self._arms:
            arm = self._confirmation.arms[name]
            accuracies = self._confirmation.test_accuracies(name)
            done = [accuracies[seed] for seed in self._seeds if seed in accuracies]
            epochs = sum(len(run.epochs) for run in self._runs() if run.arm == name)
            table.add_row(
                escape(arm.title),
                f"{len(done)}/{len(self._seeds)}",
                f"{epochs}/{arm.epochs * len(self._seeds)}",
                percent(fmean(done) if done else None),
            )
        wait = "" if self._runs() else "waiting for the first epoch"
        head = Flow("confirming", progress_bar(self.fraction()), *self._progress(), wait)
        return Group(head, Text(), Fitted(table))

    def _progress(self) -> tuple[str, ...]:
        runs = self._runs()
        states, n_epochs = [run.state for run in runs], sum(len(run.epochs) for run in runs)
        n_failed = states.count("FAILED")
        return (
            f"{states.count('COMPLETE')}/{len(self._keys)} runs",
            f"{n_failed} failed" if n_failed else "",
            f"{n_epochs}/{self._n_planned} epochs",
            f"{duration(self._clock() - self._begun)} elapsed",
            time_left(self._seconds_left()),
        )

    def _runs(self) -> list[Run]:
        runs = self._confirmation.runs
        return [runs[key] for key in self._keys if key in runs]

    def _n_left(self, key: tuple[str, int]) -> int:
        """Return how many epochs of an arm's run with a seed are to come."""
        run, planned = self._confirmation.runs.get(key), self._confirmation.arms[key[0]].epochs
        if run is None:
            return planned
        return 0 if run.state == "FAILED" else planned - len(run.epochs)

    def _seconds_left(self) -> float | None:
        """Estimate the time from the epochs that are done: of the same arm, if it has any.

        The estimate is at least the time left of the longest open run.
        """
        runs = self._runs()
        known = [epoch.seconds for run in runs for epoch in run.epochs]
        if not known or not any(map(self._n_left, self._keys)):
            return None
        left, longest = 0.0, 0.0
        for name in self._arms:
            own = [run for run in runs if run.arm == name]
            per_epoch = fmean([epoch.seconds for run in own for epoch in run.epochs] or known)
            left += per_epoch * sum(self._n_left((name, seed)) for seed in self._seeds)
            longest = max([longest, *(per_epoch * self._n_left((name, run.seed)) for run in own)])
        return max(left / self._slots, longest)


def describe_runs(confirmation: Confirmation, *, is_interrupted: bool) -> str:
    """Return how many runs of a confirmation are complete, and how many are not."""
    runs = confirmation.runs.values()
    n_complete = sum(run.state == "COMPLETE" for run in runs)
    epochs = count(sum(len(run.epochs) for run in runs), "epoch")
    n_open = sum(run.state == "RUNNING" for run in runs)
    cut_off = f", {n_open} interrupted" if is_interrupted and n_open else ""
    if n_failed := sum(run.state == "FAILED" for run in runs):
        cut_off += f", {n_failed} failed"
    return f"confirmation: {count(n_complete, 'run')} complete{cut_off}, {epochs}"
