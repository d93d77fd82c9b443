"""Every trial's validation accuracy by epoch, told apart by how the trial ended."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from analysis.plots.picture import NothingToDrawError, Picture
from analysis.plots.results import Results
from analysis.plots.scales import AXIS_NOTE, in_view, percent, set_accuracy_scale
from analysis.plots.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    STOPPED,
    VERMILLION,
    Frame,
    add_keys,
    counted,
    new_figure,
)
from analysis.records.ledger import Ledger, State
from analysis.results.rungs import rungs
from analysis.results.selection import describe_rule, rank_trials

_LABEL_WIDTH = 0.12  # of a rung's label, as a part of the axis
_RASTER_ABOVE = 100  # so many lines are smaller as pixels than as paths


@dataclass(frozen=True)
class Curve:
    """One trial's validation accuracies by epoch, fractions."""

    trial_id: int
    state: State
    accuracies: tuple[float, ...]


@dataclass(frozen=True)
class TrialCurves:
    """The curves of all trials.

    Attributes:
        curves: Of the trials that finished an epoch, in the order in which they started.
        best: The number of the best trial, if there is one yet.
        rungs: The epochs after which the scheduler may stop a trial.
        epochs: The epochs of a whole trial.
        without_epoch: How many trials ended before their first epoch did.
    """

    curves: tuple[Curve, ...]
    best: int | None
    rungs: tuple[int, ...]
    epochs: int
    without_epoch: int


def trial_curves(ledger: Ledger) -> TrialCurves:
    """Returns the curves of all trials.

    Raises:
        NothingToDrawError: If no trial finished an epoch.
    """
    curves = tuple(
        Curve(t.trial_id, t.state, tuple(epoch.val_accuracy for epoch in t.epochs))
        for t in ledger.trials.values()
        if t.epochs
    )
    if not curves:
        raise NothingToDrawError("no trial has finished an epoch")
    ranked = rank_trials(ledger)
    return TrialCurves(
        curves,
        ranked[0].trial.trial_id if ranked else None,
        _rungs(ledger),
        int(ledger.config["epochs"]),
        sum(1 for t in ledger.trials.values() if t.ended is not None and not t.epochs),
    )


def _rungs(ledger: Ledger) -> tuple[int, ...]:
    """Return the epochs after which the sweep's scheduler may stop a trial."""
    scheduler = ledger.config.get("scheduler")
    if not isinstance(scheduler, dict) or scheduler.get("name") != "asha":
        return ()
    return rungs(scheduler["grace_period"], scheduler["reduction_factor"], ledger.config["epochs"])


@dataclass(frozen=True)
class _Ending:
    """How the trials that ended in a state are drawn, and what they are called."""

    label: str
    color: str
    width: float
    style: Any
    mark: str = ""


_ENDINGS: dict[State, _Ending] = {
    "STOPPED": _Ending("stopped early", STOPPED, 0.9, "-"),
    "RUNNING": _Ending("not finished", GREEN, 1.1, "--"),
    "COMPLETE": _Ending("ran all epochs", BLUE, 1.1, "-"),
    "FAILED": _Ending("failed", VERMILLION, 1.1, ":", "X"),
}


def draw_trial_curves(results: Results) -> Picture:
    """Draws every trial's curve."""
    data = trial_curves(results.ledger)
    frame = Frame(
        "Learning curves of the search",
        results.about_search,
        keys=1,
        note=" ".join(_notes(data, describe_rule(results.ledger.config))),
    )
    figure = new_figure(4.9, frame)
    axes = figure.subplots()
    set_accuracy_scale(axes, "y", in_view(_accuracies(data)))
    axes.set_xlim(0.7, data.epochs + 0.3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.set(xlabel="epoch", ylabel="validation accuracy (%)")
    keys = [_draw_ending(axes, data, state) for state in _ENDINGS if _in_state(data, state)]
    keys += [*_draw_best(axes, data), *_draw_rungs(axes, data)]
    add_keys(figure, keys)
    return Picture(figure, _alt(data))


def _notes(data: TrialCurves, rule: str) -> list[str]:
    notes = [] if data.best is None else [f"Best: {rule}."]
    if data.rungs:
        notes.append(
            "At a rung a trial goes on only if it is among the best that reached it so far."
        )
    if data.without_epoch:
        missing = counted(data.without_epoch, "trial")
        notes.append(f"Not drawn: {missing} that ended before the first epoch did.")
    lowest = min(in_view(_accuracies(data)))
    if min(_accuracies(data)) < lowest:
        n_lost = sum(max(curve.accuracies) < lowest for curve in data.curves)
        whole = f", the whole of {counted(n_lost, 'trial')}" if n_lost else ""
        notes.append(f"Cut off: what is below {percent(lowest, 1)} %{whole}.")
    return [*notes, AXIS_NOTE]


def _accuracies(data: TrialCurves) -> list[float]:
    return [accuracy for curve in data.curves for accuracy in curve.accuracies]


def _in_state(data: TrialCurves, state: State) -> list[Curve]:
    return [curve for curve in data.curves if curve.state == state]


def _stopped_at(data: TrialCurves, rung: int) -> int:
    return sum(len(curve.accuracies) == rung for curve in _in_state(data, "STOPPED"))


def _draw_ending(axes: Axes, data: TrialCurves, state: State) -> Artist:
    """Draws the curves of the trials in one state, and returns their key."""
    look, curves = _ENDINGS[state], _in_state(data, state)
    lines = LineCollection(
        [_points(curve.accuracies) for curve in curves],
        colors=look.color,
        linewidths=look.width,
        linestyles=look.style,
        alpha=1.0 if len(curves) <= 12 else 0.75 if len(curves) <= 100 else 0.35,
        rasterized=len(data.curves) > _RASTER_ABOVE,
    )
    axes.add_collection(lines, autolim=False)
    # Where there are many curves their ends are seen without dots; one epoch is no line, though.
    few = len(data.curves) <= _RASTER_ABOVE or look.mark
    dotted = [curve for curve in curves if few or len(curve.accuracies) == 1]
    axes.plot(
        [len(curve.accuracies) for curve in dotted],
        [curve.accuracies[-1] for curve in dotted],
        linestyle="none",
        marker=look.mark or "o",
        markersize=7 if look.mark else 3,
        markeredgewidth=0,
        color=look.color,
        zorder=3 if look.mark else 2,
    )
    return Line2D(
        [],
        [],
        color=look.color,
        linewidth=1.8,
        linestyle=look.style,
        marker=look.mark or "none",
        label=f"{look.label} ({len(curves):,})",
    )


def _draw_rungs(axes: Axes, data: TrialCurves) -> list[Artist]:
    """Draws a line at each rung, above it how many trials it stopped; returns the key."""
    dashed: Any = {"color": MUTED, "linewidth": 0.9, "linestyle": (0, (4, 3))}
    row_ends = [-math.inf, -math.inf]
    for rung in data.rungs:
        axes.axvline(rung, zorder=1, **dashed)
        row = next((i for i, end in enumerate(row_ends) if rung >= end), None)
        if row is None:
            continue  # its label would lie on others
        row_ends[row] = rung + data.epochs * _LABEL_WIDTH
        axes.annotate(
            f"{_stopped_at(data, rung):,} stopped",
            (rung, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3 + 11 * row),
            textcoords="offset points",
            # Centred, the label of an early rung would reach over the axis' own.
            ha="left" if rung < data.epochs * _LABEL_WIDTH / 2 else "center",
            size=8.5,
            color=MUTED,
        )
    return [Line2D([], [], label="rung", **dashed)] if data.rungs else []


def _draw_best(axes: Axes, data: TrialCurves) -> list[Artist]:
    for curve in data.curves:
        if curve.trial_id == data.best:
            label = f"best: trial {curve.trial_id}"
            epochs = range(1, len(curve.accuracies) + 1)
            return [*axes.plot(epochs, curve.accuracies, color=INK, label=label, zorder=4)]
    return []


def _points(accuracies: Sequence[float]) -> list[tuple[float, float]]:
    return [(epoch, accuracy) for epoch, accuracy in enumerate(accuracies, start=1)]


def _alt(data: TrialCurves) -> str:
    endings = ", ".join(
        f"{len(curves):,} {_ENDINGS[state].label}"
        for state in _ENDINGS
        if (curves := _in_state(data, state))
    )
    words = f"Validation accuracy by epoch of {counted(len(data.curves), 'trial')}: {endings}."
    for curve in data.curves:
        if curve.trial_id == data.best:
            words += f" The best, trial {curve.trial_id}, ends at "
            words += f"{percent(curve.accuracies[-1], 2)} %."
    return words
