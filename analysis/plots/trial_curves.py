"""Every trial's validation accuracy by epoch, with how the trial ended."""

import math
from dataclasses import dataclass
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.formatting import count, percent
from analysis.plots.results import NothingToDrawError, Picture, Results
from analysis.plots.scales import AXIS_NOTE, in_view, set_accuracy_scale
from analysis.plots.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    STOPPED,
    VERMILLION,
    add_legend,
    new_figure,
)
from analysis.records.ledger import Ledger, State
from analysis.results.rungs import rungs
from analysis.results.selection import rank_trials

_LABEL_WIDTH = 0.12  # of a rung's label, as a fraction of the axis
_MANY = 100
_RUNG: dict[str, Any] = {"color": MUTED, "linewidth": 0.9, "linestyle": (0, (4, 3))}


@dataclass(frozen=True)
class Curve:
    """One trial's validation accuracies by epoch, fractions."""

    trial_id: int
    state: State
    accuracies: tuple[float, ...]


@dataclass(frozen=True)
class TrialCurves:
    """The curves of all trials that finished an epoch, in the order of the trials' starts.

    Attributes:
        lowest: The lowest accuracy that the axis should show.
        best: The best trial's curve, if a trial has run all its epochs.
        rungs: The epochs after which the scheduler may stop a trial.
        epochs: The most epochs that a trial may run.
        n_without_epoch: How many trials ended before their first epoch.
    """

    curves: tuple[Curve, ...]
    lowest: float
    best: Curve | None
    rungs: tuple[int, ...]
    epochs: int
    n_without_epoch: int

    def in_state(self, state: State) -> list[Curve]:
        """Return the curves of the trials in a state."""
        return [curve for curve in self.curves if curve.state == state]


def trial_curves(ledger: Ledger) -> TrialCurves:
    """Return the curves of all trials.

    Raises:
        NothingToDrawError: If no trial finished an epoch.
    """
    trials = [trial for trial in ledger.trials.values() if trial.epochs]
    curves = {
        t.trial_id: Curve(t.trial_id, t.state, tuple(epoch.val_accuracy for epoch in t.epochs))
        for t in trials
    }
    if not curves:
        raise NothingToDrawError("no trial has finished an epoch")
    ranked = rank_trials(ledger)
    return TrialCurves(
        tuple(curves.values()),
        min(in_view(a for curve in curves.values() for a in curve.accuracies)),
        curves[ranked[0].trial.trial_id] if ranked else None,
        tuple(sorted({rung for trial in trials for rung in _config_rungs(trial.config)})),
        max(int(trial.config["epochs"]) for trial in trials),
        sum(t.ended is not None and not t.epochs for t in ledger.trials.values()),
    )


def _config_rungs(config: dict[str, Any]) -> tuple[int, ...]:
    scheduler = config.get("scheduler")
    if not isinstance(scheduler, dict) or scheduler.get("name") != "asha":
        return ()
    return rungs(scheduler["grace_period"], scheduler["reduction_factor"], config["epochs"])


# How the trials in a state are drawn, and their name in the legend.
_LINE: dict[str, Any] = {"lw": 1.1, "marker": "o", "ms": 3, "mew": 0}
_LOOKS: dict[State, dict[str, Any]] = {
    "STOPPED": _LINE | {"label": "stopped early", "color": STOPPED, "lw": 0.9},
    "RUNNING": _LINE | {"label": "not finished", "color": GREEN, "ls": "--"},
    "COMPLETE": _LINE | {"label": "ran all epochs", "color": BLUE},
    "FAILED": _LINE | {"label": "failed", "color": VERMILLION, "ls": ":", "marker": "X", "ms": 7},
}


def draw_trial_curves(results: Results) -> Picture:
    """Draw every trial's curve."""
    data = trial_curves(results.ledger)
    figure = new_figure(4.9, results.about_search, _note(data, results.rule), legend_rows=1)
    axes = figure.subplots()
    legend = draw_curves(axes, data)
    axes.set(xlabel="epoch", ylabel="validation accuracy (%)")
    add_legend(figure, legend)
    return Picture(figure, _alt(data))


def draw_curves(axes: Axes, data: TrialCurves) -> list[Artist]:
    """Draw all curves and the rungs, and return the entries of the legend."""
    shown = (a for curve in data.curves for a in curve.accuracies if a >= data.lowest)
    set_accuracy_scale(axes, "y", shown)
    axes.set_xlim(0.7, data.epochs + 0.3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    legend: list[Artist] = []
    for state, look in _LOOKS.items():
        if curves := data.in_state(state):
            _draw_state(axes, curves, look, many=len(data.curves) > _MANY)
            label = f"{look['label']} ({len(curves):,})"
            legend.append(Line2D([], [], **look | {"label": label, "lw": 1.8}))
    if data.best is not None:
        label = f"best: trial {data.best.trial_id}"
        epochs = range(1, len(data.best.accuracies) + 1)
        legend += axes.plot(epochs, data.best.accuracies, color=INK, label=label, zorder=4)
    if data.rungs:
        _draw_rungs(axes, data)
        legend.append(Line2D([], [], label="rung", **_RUNG))
    return legend


def _draw_state(axes: Axes, curves: list[Curve], look: dict[str, Any], *, many: bool) -> None:
    """Draw the curves of the trials in one state; `many` are smaller as pixels than as paths."""
    alpha = 1.0 if len(curves) <= 12 else 0.75 if len(curves) <= _MANY else 0.35
    for curve in curves:
        n = len(curve.accuracies)
        # Dots at the ends would crowd many curves, but a single epoch is visible only as a dot.
        plain = {"marker": ""} if many and n > 1 and look["marker"] == "o" else {}
        axes.plot(
            range(1, n + 1),
            curve.accuracies,
            **look | plain,
            markevery=[n - 1],
            alpha=alpha,
            rasterized=many,
        )


def _draw_rungs(axes: Axes, data: TrialCurves) -> None:
    """Draw a line at each rung, and above it how many trials were stopped there."""
    row_ends = [-math.inf, -math.inf]
    for rung in data.rungs:
        axes.axvline(rung, zorder=1, **_RUNG)
        row = next((i for i, end in enumerate(row_ends) if rung >= end), None)
        if row is None:
            continue  # there is no space for its label
        row_ends[row] = rung + data.epochs * _LABEL_WIDTH
        n_stopped = sum(len(curve.accuracies) == rung for curve in data.in_state("STOPPED"))
        axes.annotate(
            f"{n_stopped:,} stopped",
            (rung, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3 + 11 * row),
            textcoords="offset points",
            # Centred, the label of an early rung would overlap the label of the axis.
            ha="left" if rung < data.epochs * _LABEL_WIDTH / 2 else "center",
            size=8.5,
            color=MUTED,
        )


def _note(data: TrialCurves, rule: str) -> str:
    notes = [] if data.best is None else [f"Best: {rule}."]
    if data.rungs:
        notes.append("At a rung, only the best of the trials that have reached it continue.")
    if data.n_without_epoch:
        missing = count(data.n_without_epoch, "trial")
        notes.append(f"Not drawn: {missing} that ended before the first epoch.")
    if any(min(curve.accuracies) < data.lowest for curve in data.curves):
        n_lost = sum(max(curve.accuracies) < data.lowest for curve in data.curves)
        lost = f", which hides {count(n_lost, 'trial')}" if n_lost else ""
        notes.append(f"The axis starts near {percent(data.lowest, 1)}{lost}.")
    return " ".join([*notes, AXIS_NOTE])


def _alt(data: TrialCurves) -> str:
    endings = ", ".join(
        f"{len(curves):,} {look['label']}"
        for state, look in _LOOKS.items()
        if (curves := data.in_state(state))
    )
    text = f"Validation accuracy by epoch of {count(len(data.curves), 'trial')}: {endings}."
    if data.best is not None:
        final = percent(data.best.accuracies[-1])
        text += f" The best, trial {data.best.trial_id}, ends at {final}."
    return text
