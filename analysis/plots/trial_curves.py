"""Every trial's validation accuracy by epoch, with how the trial ended."""

import math
from dataclasses import dataclass
from typing import Any

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
from analysis.plots.titles import set_titles, trial_title
from analysis.records.ledger import Ledger, State, Trial
from analysis.results.rungs import rungs
from analysis.results.selection import best_trial, describe_rule

_LABEL_WIDTH = 0.12  # of a rung's label, as a fraction of the axis
_MANY = 100
_RASTER_ABOVE = 10_000  # epochs that are smaller as pixels than as paths
_RUNG: dict[str, Any] = {"color": MUTED, "linewidth": 0.9, "linestyle": (0, (4, 3))}


@dataclass(frozen=True)
class TrialCurves:
    """The validation accuracies of all trials that finished an epoch, as fractions.

    The trials in each state are in order of start. `lowest` is the lowest accuracy that the axis
    should show, `epochs` the most epochs that a trial may run.
    """

    by_state: dict[State, list[Trial]]
    lowest: float
    best: Trial | None
    rungs: tuple[int, ...]
    epochs: int

    @property
    def all(self) -> list[list[float]]:
        """The accuracies by epoch of the trials in all states."""
        return [_curve(trial) for trials in self.by_state.values() for trial in trials]


def trial_curves(ledger: Ledger) -> TrialCurves:
    """Return the curves of all trials; NothingToDrawError if no trial finished an epoch."""
    trials = [trial for trial in ledger.trials.values() if trial.epochs]
    if not trials:
        raise NothingToDrawError("no trial has finished an epoch")
    best = best_trial(ledger)
    accuracies = (accuracy for trial in trials for accuracy in _curve(trial))
    return TrialCurves(
        {state: [trial for trial in trials if trial.state == state] for state in _LOOKS},
        min(in_view(accuracies, ledger.data.n_validation)),
        best.trial if best else None,
        tuple(sorted({rung for trial in trials for rung in _config_rungs(trial.config)})),
        max(int(trial.config["epochs"]) for trial in trials),
    )


def _curve(trial: Trial) -> list[float]:
    return [epoch.val_accuracy for epoch in trial.epochs]


def _config_rungs(config: dict[str, Any]) -> tuple[int, ...]:
    scheduler = config["scheduler"]
    if scheduler["name"] != "asha":
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
    figure = new_figure(4.9, results.about_search, _note(data, results), legend_rows=1)
    axes = figure.subplots()
    shown = (accuracy for curve in data.all for accuracy in curve if accuracy >= data.lowest)
    set_accuracy_scale(axes, "y", shown, results.ledger.data.n_validation)
    axes.set(xlabel="epoch", ylabel="validation accuracy (%)", xlim=(0.7, data.epochs + 0.3))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    legend, endings = [], []
    for state, look in _LOOKS.items():
        if trials := data.by_state[state]:
            if previews := [trial for trial in trials if trial.outcome == "preview"]:
                is_mixed = len(previews) < len(trials)
                look = look | {"label": "previews or stopped early" if is_mixed else "previews"}
            _draw_state(axes, trials, look, data)
            label = f"{look['label']} ({len(trials):,})"
            legend.append(Line2D([], [], **look | {"label": label, "lw": 1.8}))
            endings.append(f"{len(trials):,} {look['label']}")
    alt = f"Validation accuracy by epoch of {count(len(data.all), 'trial')}: {', '.join(endings)}."
    if data.best is not None:
        name, curve = f"trial {data.best.trial_id}", _curve(data.best)
        label = f"best: {name}"
        (line,) = axes.plot(range(1, len(curve) + 1), curve, color=INK, label=label, zorder=4)
        set_titles(line, trial_title(data.best))
        legend.append(line)
        alt += f" The best, {name}, ends at {percent(curve[-1])}."
    if data.rungs:
        _draw_rungs(axes, data)
        legend.append(Line2D([], [], label="rung", **_RUNG))
    add_legend(figure, legend)
    return Picture(figure, alt)


def _draw_state(axes: Axes, trials: list[Trial], look: dict[str, Any], data: TrialCurves) -> None:
    """Draw the curves of one state."""
    many, raster = len(data.all) > _MANY, sum(map(len, data.all)) > _RASTER_ABOVE
    alpha = 1.0 if len(trials) <= 12 else 0.75 if len(trials) <= _MANY else 0.35
    for trial in trials:
        n = len(trial.epochs)
        # Dots at the ends would crowd many curves, but a single epoch is visible only as a dot.
        plain = {"marker": ""} if many and n > 1 and look["marker"] == "o" else {}
        style = look | plain | {"markevery": [n - 1], "alpha": alpha, "rasterized": raster}
        (line,) = axes.plot(range(1, n + 1), _curve(trial), **style)
        set_titles(line, trial_title(trial))


def _draw_rungs(axes: Axes, data: TrialCurves) -> None:
    """Draw a line at each rung, and above it how many trials were stopped there, if any."""
    row_ends = [-math.inf, -math.inf]
    for rung in data.rungs:
        axes.axvline(rung, zorder=1, **_RUNG)
        stopped = (trial for trial in data.by_state["STOPPED"] if trial.outcome == "stopped")
        n_stopped = sum(len(trial.epochs) == rung for trial in stopped)
        row = next((i for i, end in enumerate(row_ends) if rung >= end), None)
        if n_stopped == 0 or row is None:
            continue  # nothing to say, or no space for it
        row_ends[row] = rung + data.epochs * _LABEL_WIDTH
        axes.annotate(
            f"{n_stopped:,} stopped",
            (rung, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3 + 11 * row),
            textcoords="offset points",
            # Centered, the label of an early rung would overlap the label of the axis.
            ha="left" if rung < data.epochs * _LABEL_WIDTH / 2 else "center",
            size=8.5,
            color=MUTED,
        )


def _note(data: TrialCurves, results: Results) -> str:
    notes = [] if data.best is None else [f"Best: {describe_rule(results.ledger)}."]
    if data.rungs:
        notes.append("At a rung, only the best of the trials that have reached it continue.")
    trials = results.ledger.trials.values()
    if n := sum(trial.ended is not None and not trial.epochs for trial in trials):
        notes.append(f"Not drawn: {count(n, 'trial')} that ended before the first epoch.")
    if any(min(curve) < data.lowest for curve in data.all):
        n_lost = sum(max(curve) < data.lowest for curve in data.all)
        lost = f", which hides {count(n_lost, 'trial')}" if n_lost else ""
        notes.append(f"The axis starts near {percent(data.lowest, 1)}{lost}.")
    return " ".join([*notes, AXIS_NOTE])
