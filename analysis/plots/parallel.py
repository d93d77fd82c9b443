"""Parallel coordinates: every trial a line through its hyperparameters to its score."""

import textwrap
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from analysis.formatting import count, percent_number
from analysis.plots.points import Dimension, Points, points
from analysis.plots.results import Picture, Results
from analysis.plots.scales import AXIS_NOTE
from analysis.plots.style import INK, add_legend, new_figure, sequence
from analysis.plots.titles import set_titles, trial_title
from analysis.records.ledger import Ledger, Trial

_MOST = 150  # lines that can be told apart
_MANY = 60
_BAR = 0.06  # width of the color bar
_PALE = "#C4C4C4"


@dataclass(frozen=True)
class Parallel:
    """The lines' heights, from 0 to 1 on each axis.

    The axes are the searched hyperparameters, and the score. `scored`, [n, axes], has the trials
    that ran all epochs, best first; of many trials n is 150, evenly spaced by rank. `stopped`,
    [n, axes - 1], has those that were stopped early, chosen alike. `trials` are both.
    """

    points: Points
    axes: tuple[Dimension, ...]
    scored: NDArray[np.float64]
    stopped: NDArray[np.float64]
    trials: tuple[list[Trial], list[Trial]]


def parallel(ledger: Ledger) -> Parallel:
    """Return the lines; NothingToDrawError where `points` raises it."""
    data = points(ledger)
    best, worst = data.ranked[0].score, data.ranked[data.n_in_view - 1].score
    score = Dimension("score (%)", worst, best, "accuracy")
    ranked = [data.ranked[i] for i in _thinned(len(data.ranked))]
    all_stopped = [*(preview.trial for preview in data.previews), *data.stopped]
    stopped = [all_stopped[i] for i in _thinned(len(all_stopped))]
    columns = [d.positions(selection.trial for selection in ranked) for d in data.dimensions]
    columns.append([score.position(selection.score) for selection in ranked])
    return Parallel(
        data,
        (*data.dimensions, score),
        np.column_stack(columns),
        np.column_stack([dimension.positions(stopped) for dimension in data.dimensions]),
        ([selection.trial for selection in ranked], stopped),
    )


def _thinned(n: int) -> list[int]:
    """Return as many indices below n as lines can be told apart, the first and the last too."""
    indices: list[int] = np.linspace(0, n - 1, min(n, _MOST)).round().astype(int).tolist()
    return indices


def draw_parallel(results: Results) -> Picture:
    """Draw every trial as a line."""
    data = parallel(results.ledger)
    ranked, failed, previews = data.points.ranked, data.points.failed, data.points.previews
    stopped = [*previews, *data.points.stopped]
    kinds = (("previews", previews), ("stopped early", data.points.stopped))
    what = " or ".join(kind for kind, trials in kinds if trials)
    note = f"{results.about_score} {data.points.about_left_out}{AXIS_NOTE}"
    if failed:
        note += f" Not drawn: {count(len(failed), 'trial')} that failed."
    if n_below := len(data.points.far_below):
        note += f" The score of {count(n_below, 'trial')} is below the axis."
    for n_drawn, n, which in (
        (len(data.scored), len(ranked), "ran all epochs"),
        (len(data.stopped), len(stopped), f"were {what}"),
    ):
        if n_drawn < n:
            note += f" Of {n:,} trials that {which}, {n_drawn} are drawn."
    figure = new_figure(4.9, results.about_search, note, legend_rows=1)
    _draw_axes(figure.subplots(), data)
    label = f"{data.points.best_words}: trial {ranked[0].trial.trial_id}"
    legend = [Line2D([], [], color=INK, lw=2.6, label=label)]
    if n := len(ranked) - 1:
        label = f"others that ran all epochs, colored by score ({n:,})"
        legend.append(Line2D([], [], color=sequence(np.array([0.5]))[0], label=label))
    if stopped:
        label = f"{what}, not ranked ({len(stopped):,})"
        legend.append(Line2D([], [], color=_PALE, lw=1.2, label=label))
    add_legend(figure, legend)
    names = ", ".join(dimension.label for dimension in data.points.dimensions)
    alt = (
        f"Each of {count(len(ranked), 'trial')} that ran all epochs as a line through {names} "
        f"to its score, from {percent_number(ranked[-1].score)} to "
        f"{percent_number(ranked[0].score)} %."
    )
    return Picture(figure, alt)


def _draw_axes(axes: Axes, data: Parallel) -> None:
    """Draw the axes with their names and ticks; that of the score is a color bar."""
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    width = max(8, int(114 / len(data.axes)))  # characters that fit between two axes
    last = len(data.axes) - 1
    for x, axis in enumerate(data.axes):
        bar = _BAR if x == last else 0.0
        side = -1 if x == 0 else 1  # no line is in the way left of the first axis
        axes.plot([x, x], [0, 1], color=INK, linewidth=1, zorder=3)
        for height, label in axis.ticks(width).items():
            axes.plot([x + bar, x + bar + 0.02 * side], [height] * 2, color=INK, lw=1, zorder=3)
            axes.text(
                x + bar + 0.035 * side,
                height,
                label,
                size=8.5,
                ha="right" if side < 0 else "left",
                va="center",
                zorder=5,
                # A halo would turn the text of an SVG into paths.
                bbox={"facecolor": "white", "alpha": 0.7, "pad": 0.6, "linewidth": 0},
            )
        name, _, unit = axis.label.partition(" (")
        lines = textwrap.wrap(name, width) + textwrap.wrap(f"({unit}" if unit else "", width)
        for row, line in enumerate(lines):
            axes.annotate(
                line,
                (x + bar / 2, 0),
                xytext=(0, -20 - 12 * row),
                textcoords="offset points",
                size=9.5,
                ha="center",
            )
    if len(data.scored) > 1:
        colors = sequence(np.linspace(1, 0, 64))[:, np.newaxis]
        axes.imshow(colors, extent=(last, last + _BAR, 0, 1), aspect="auto", zorder=2)
    _draw_lines(axes, data)
    axes.set(xlim=(-0.12, last + _BAR + 0.12), ylim=(-0.04, 1.04))


def _draw_lines(axes: Axes, data: Parallel) -> None:
    scored, stopped = data.trials
    colors = sequence(data.scored[:0:-1, -1])
    for heights, trials, color, linewidth in (
        (data.stopped, stopped, _PALE, 0.7 if len(stopped) <= _MANY else 0.4),
        # The best is drawn last, so that nothing hides it.
        (data.scored[:0:-1], scored[:0:-1], colors, 1.3 if len(scored) <= _MANY else 0.9),
        (data.scored[:1], scored[:1], INK, 2.6),
    ):
        x_values = np.broadcast_to(np.arange(heights.shape[1]), heights.shape)
        ends = list(np.stack([x_values, heights], axis=-1))
        lines = LineCollection(ends, colors=color, linewidths=linewidth)
        set_titles(lines, map(trial_title, trials))
        axes.add_collection(lines, autolim=False)
