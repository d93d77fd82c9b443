"""Parallel coordinates: every trial a line through its hyperparameters to its score."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from analysis.formatting import count, percent_number
from analysis.plots.importance import most_important
from analysis.plots.points import Dimension, Points, points
from analysis.plots.results import Picture, Results
from analysis.plots.style import INK, add_legend, new_figure, sequence
from analysis.plots.titles import set_titles, trial_title
from analysis.records.ledger import Ledger, Trial
from analysis.results.selection import Selection

_MOST_AXES = 8  # hyperparameters whose names and ticks are legible
_MOST = 150  # lines that can be told apart
_MANY = 60
_BAR = 0.06  # width of the color bar
_PALE = "#C4C4C4"
_PREVIEW_STYLE = (0, (4, 1.5))  # dashes
_T = TypeVar("_T")


@dataclass(frozen=True)
class Parallel:
    """The lines' heights, from 0 to 1 on each axis.

    The axes are the searched hyperparameters, of many the eight most important, and the score;
    `about_axes` says which if not all. `scored`, [n, axes], has the trials
    that ran all epochs, best first; of many trials n is 150, evenly spaced by rank. `previews`
    are chosen alike, and `stopped`, [n, axes - 1], those that were stopped early. `trials` are
    those of the three, in this order.
    """

    points: Points
    axes: tuple[Dimension, ...]
    about_axes: str
    scored: NDArray[np.float64]
    previews: NDArray[np.float64]
    stopped: NDArray[np.float64]
    trials: tuple[list[Trial], list[Trial], list[Trial]]


def parallel(ledger: Ledger) -> Parallel:
    """Return the lines; NothingToDrawError where `points` raises it."""
    data = points(ledger)
    score = replace(data.score, name="score (%)")
    shown, about_axes = most_important(ledger, _MOST_AXES)
    ranked, previews = _thinned(data.ranked), _thinned(data.previews)
    stopped = _thinned(data.stopped)

    def heights(selections: Sequence[Selection]) -> NDArray[np.float64]:
        trials = [selection.trial for selection in selections]
        columns = [dimension.positions(trials) for dimension in shown]
        return np.column_stack([*columns, [score.position(s.score) for s in selections]])

    return Parallel(
        data,
        (*shown, score),
        about_axes,
        heights(ranked),
        heights(previews),
        np.column_stack([dimension.positions(stopped) for dimension in shown]),
        ([s.trial for s in ranked], [s.trial for s in previews], stopped),
    )


def _thinned(trials: Sequence[_T]) -> list[_T]:
    """Return as many as lines can be told apart, the first and the last too."""
    indices = np.linspace(0, len(trials) - 1, min(len(trials), _MOST)).round().astype(int)
    return [trials[i] for i in indices]


def draw_parallel(results: Results) -> Picture:
    """Draw every trial as a line."""
    data = parallel(results.ledger)
    ranked, failed = data.points.ranked, data.points.failed
    previews, stopped = data.points.previews, data.points.stopped
    note = f"{results.about_score} {data.points.about_left_out}{data.about_axes}"
    note += data.points.about_colors
    if data.points.far_below or data.points.previews_far_below:
        note += "Lines of such trials end at the bottom of the axis. "
    if failed:
        note += f"Not drawn: {count(len(failed), 'trial')} that failed. "
    for trials, n, which in zip(
        data.trials,
        map(len, (ranked, previews, stopped)),
        ("ran all epochs", "were previews", "were stopped early"),
        strict=True,
    ):
        if len(trials) < n:
            note += f"Of {n:,} trials that {which}, {len(trials)} are drawn. "
    figure = new_figure(4.9, results.about_search, note, legend_rows=1)
    _draw_axes(figure.subplots(), data)
    legend = [Line2D([], [], color=INK, lw=2.6, label=data.points.best_label)]
    color = sequence(np.array([0.5]))[0]
    if n := len(ranked) - 1:
        label = f"others that ran all epochs ({n:,})"
        legend.append(Line2D([], [], color=color, label=label))
    if n := len(previews):
        look = {"color": color, "ls": _PREVIEW_STYLE, "lw": 1.2}
        legend.append(Line2D([], [], **look, label=f"previews ({n:,})"))
    if n := len(stopped):
        label = f"stopped early, without a score ({n:,})"
        legend.append(Line2D([], [], color=_PALE, lw=1.2, label=label))
    add_legend(figure, legend)
    names = ", ".join(dimension.label for dimension in data.axes[:-1])
    alt = (
        f"Each of {count(len(ranked), 'trial')} that ran all epochs as a line through {names} "
        f"to its score, from {percent_number(ranked[-1].score)} to "
        f"{percent_number(ranked[0].score)} %."
    )
    if previews:
        alt += f" The same of {count(len(previews), 'preview')}."
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
        # A network's own argument, such as `model.width`, is also broken after its dot.
        parts = textwrap.wrap(name.replace(".", ". "), width)
        lines = [part.replace(". ", ".") for part in parts]
        lines += textwrap.wrap(f"({unit}" if unit else "", width)
        for row, line in enumerate(lines):
            axes.annotate(
                line,
                (x + bar / 2, 0),
                xytext=(0, -20 - 12 * row),
                textcoords="offset points",
                size=9.5,
                ha="center",
            )
    if data.axes[-1].low < data.axes[-1].high:
        colors = sequence(np.linspace(1, 0, 64))[:, np.newaxis]
        axes.imshow(colors, extent=(last, last + _BAR, 0, 1), aspect="auto", zorder=2)
    _draw_lines(axes, data)
    axes.set(xlim=(-0.12, last + _BAR + 0.12), ylim=(-0.04, 1.04))


def _draw_lines(axes: Axes, data: Parallel) -> None:
    scored, previews, stopped = data.trials
    colors = sequence(data.scored[:0:-1, -1])
    of_previews = sequence(data.previews[::-1, -1])
    for heights, trials, color, linewidth, style in (
        (data.stopped, stopped, _PALE, 0.7 if len(stopped) <= _MANY else 0.4, "-"),
        (data.previews[::-1], previews[::-1], of_previews, 0.8, _PREVIEW_STYLE),
        # The best is drawn last, so that nothing hides it.
        (data.scored[:0:-1], scored[:0:-1], colors, 1.3 if len(scored) <= _MANY else 0.9, "-"),
        (data.scored[:1], scored[:1], INK, 2.6, "-"),
    ):
        x_values = np.broadcast_to(np.arange(heights.shape[1]), heights.shape)
        ends = list(np.stack([x_values, heights], axis=-1))
        lines = LineCollection(ends, colors=color, linewidths=linewidth, linestyles=style)
        set_titles(lines, map(trial_title, trials))
        axes.add_collection(lines, autolim=False)
