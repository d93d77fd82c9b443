"""Parallel coordinates: every trial a line through its hyperparameters to its score."""

import textwrap
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from analysis.plots.picture import Picture
from analysis.plots.results import Results
from analysis.plots.scales import AXIS_NOTE, accuracy_positions, percent
from analysis.plots.scored import Points, points
from analysis.plots.space_axes import Dimension
from analysis.plots.style import INK, Frame, add_keys, counted, new_figure, sequence
from analysis.records.ledger import Ledger
from analysis.results.selection import describe_rule

_RASTER_ABOVE = 100
_MOST = 150
_PALE = "#C4C4C4"


@dataclass(frozen=True)
class Parallel:
    """The lines' heights, from 0 to 1 on each axis.

    Attributes:
        points: The trials that the lines stand for.
        scored: Of those that ran all epochs, best first: [n, dimensions + 1], the score last;
            of many evenly chosen ones, n at most 150.
        stopped: Of those that were stopped early: [n, dimensions], chosen alike.
        score_ticks: Heights on the score's axis, with labels.
    """

    points: Points
    scored: NDArray[np.float64]
    stopped: NDArray[np.float64]
    score_ticks: dict[float, str]


def parallel(ledger: Ledger) -> Parallel:
    """Returns the lines.

    Raises:
        NothingToDrawError: If no trial ran all its epochs, or nothing is searched.
    """
    data = points(ledger)
    scores, ticks = accuracy_positions([trial.score for trial in data.ranked])
    rows = [_heights(data.dimensions, trial.hyperparameters) for trial in data.ranked]
    scored = np.column_stack([np.array(rows), scores])
    stopped = np.array([_heights(data.dimensions, trial) for trial in data.stopped])
    stopped = stopped.reshape(-1, len(data.dimensions))
    return Parallel(data, _thinned(scored), _thinned(stopped), ticks)


def _thinned(lines: NDArray[np.float64]) -> NDArray[np.float64]:
    """At most so many lines as can be told apart, the first and the last among them."""
    if len(lines) <= _MOST:
        return lines
    chosen = np.linspace(0, len(lines) - 1, _MOST).round().astype(np.intp)
    return np.take(lines, chosen, axis=0)


def _heights(dimensions: tuple[Dimension, ...], trial: dict[str, object]) -> list[float]:
    return [dimension.position(trial[dimension.name]) for dimension in dimensions]


def draw_parallel(results: Results) -> Picture:
    """Draws every trial as a line."""
    data = parallel(results.ledger)
    frame = Frame(
        "From hyperparameters to score",
        results.about_search,
        keys=1,
        note=_note(data, describe_rule(results.ledger.config)),
    )
    figure = new_figure(4.9, frame)
    axes = figure.subplots()
    names = [*(d.label for d in data.points.dimensions), "score (%)"]
    axes.set(xlim=(-0.12, len(names) - 0.8), ylim=(-0.04, 1.04))
    room = int(114 / len(names))  # characters that fit between two axes
    axes.set_xticks(range(len(names)), [textwrap.fill(name, max(8, room)) for name in names])
    axes.tick_params(axis="x", length=0, pad=6, labelsize=9.5)
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    for i, dimension in enumerate(data.points.dimensions):
        _draw_axis(axes, i, dimension.ticks())
    _draw_axis(axes, len(names) - 1, data.score_ticks)
    _draw_lines(axes, data)
    add_keys(figure, _keys(data))
    return Picture(figure, _alt(data))


def _note(data: Parallel, rule: str) -> str:
    note = f"Score: {rule.removeprefix('highest ')}. {AXIS_NOTE}"
    trials = data.points
    if trials.failed:
        note += f" Not drawn: {counted(len(trials.failed), 'trial')} that failed."
    if trials.far_below:
        note += f" {counted(len(trials.far_below), 'trial')} scored less than the axis shows."
    for drawn, n, what in (
        (len(data.scored), len(trials.ranked), "that ran all epochs"),
        (len(data.stopped), len(trials.stopped), "that were stopped"),
    ):
        if drawn < n:
            note += f" Of {n:,} trials {what}, {drawn} are drawn."
    return note


def _draw_axis(axes: Axes, x: float, ticks: dict[float, str]) -> None:
    axes.plot([x, x], [0, 1], color=INK, linewidth=1, zorder=3)
    for height, label in ticks.items():
        axes.plot([x, x + 0.02], [height, height], color=INK, linewidth=1, zorder=3)
        text = axes.text(x + 0.035, height, label, size=8.5, va="center", zorder=5)
        text.set_bbox({"facecolor": "white", "alpha": 0.75, "pad": 0.8, "linewidth": 0})


def _draw_lines(axes: Axes, data: Parallel) -> None:
    raster = len(data.scored) + len(data.stopped) > _RASTER_ABOVE
    for heights, colors, width in (
        (data.stopped, _PALE, 0.7 if len(data.stopped) <= _RASTER_ABOVE else 0.4),
        # The best last, so that nothing hides it.
        (data.scored[:0:-1], sequence(data.scored[:0:-1, -1]), 0.9 if raster else 1.3),
        (data.scored[:1], INK, 2.6),
    ):
        x = np.broadcast_to(np.arange(heights.shape[1]), heights.shape)
        lines = LineCollection(
            list(np.stack([x, heights], axis=-1)),
            colors=colors,
            linewidths=width,
            rasterized=raster,
        )
        axes.add_collection(lines, autolim=False)


def _keys(data: Parallel) -> list[Line2D]:
    ranked = data.points.ranked
    keys = [Line2D([], [], color=INK, lw=2.6, label=f"best: trial {ranked[0].trial_id}")]
    for height, label in ((0.9, "high score"), (0.1, "low score")):
        if len(ranked) > 1:
            keys.append(Line2D([], [], color=sequence(np.array([height]))[0], label=label))
    if len(data.stopped):
        label = f"stopped early, no score ({len(data.points.stopped):,})"
        keys.append(Line2D([], [], color=_PALE, lw=1.2, label=label))
    return keys


def _alt(data: Parallel) -> str:
    ranked = data.points.ranked
    names = ", ".join(dimension.label for dimension in data.points.dimensions)
    return (
        f"Each of {counted(len(ranked), 'trial')} that ran all epochs as a line through {names} "
        f"to its score, from {percent(ranked[-1].score, 2)} to {percent(ranked[0].score, 2)} %."
    )
