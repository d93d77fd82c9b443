"""A panel for each pair of hyperparameters: the trials, colored by score."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap
from matplotlib.lines import Line2D

from analysis.formatting import count
from analysis.plots.points import FEWEST, Dimension, Points, points, spread
from analysis.plots.results import NothingToDrawError, Picture, Results
from analysis.plots.style import FAINT, STAR, add_legend, new_figure, sequence
from analysis.plots.titles import set_titles, trial_title
from analysis.records.ledger import Trial

_MOST = 5  # hyperparameters whose pairs are legible
_MOST_DRAWN = 300  # trials of each kind
_STOPPED: dict[str, Any] = {"ls": "", "marker": "|", "ms": 4, "color": FAINT}


def draw_pairs(results: Results) -> Picture:
    """Draw a panel for each pair of the searched hyperparameters, at most the first five."""
    data = points(results.ledger)
    shown = data.dimensions[:_MOST]
    if len(shown) < 2:
        raise NothingToDrawError("only one hyperparameter is searched")
    if (n := len(data.ranked) + len(data.previews)) < FEWEST:
        raise NothingToDrawError(
            f"only {count(n, 'trial')} with a score; at least {FEWEST} are needed"
        )
    side = len(shown) - 1
    note = f"{results.about_score} {data.about_left_out}{data.about_colors}"
    if len(shown) < len(data.dimensions):
        note += f"The first {_MOST} of {len(data.dimensions)} hyperparameters. "
    if max(len(data.ranked), len(data.previews), len(data.stopped)) > _MOST_DRAWN:
        note += f"At most {_MOST_DRAWN} trials of each kind are drawn. "
    if data.failed:
        note += f"Not drawn: {count(len(data.failed), 'trial')} that failed."
    figure = new_figure(1.8 + 1.75 * side, results.about_search, note, legend_rows=1)
    panels = figure.subplots(side, side, sharex="col", sharey="row", squeeze=False)
    for axes in panels[np.triu_indices(side, 1)]:
        axes.set_visible(False)
    score = data.score
    for column, row in combinations(range(side + 1), 2):
        _draw_pair(panels[row - 1, column], data, shown[column], shown[row], score)
    for axes, dimension in zip(panels[-1], shown[:-1], strict=True):
        axes.set_xlabel(dimension.label, size=9.5)
        axes.tick_params(axis="x", rotation=90 if dimension.choices else 0)
    for axes, dimension in zip(panels[:, 0], shown[1:], strict=True):
        axes.set_ylabel(dimension.label, size=9.5)
    colors = ListedColormap(sequence(np.linspace(0, 1, 64)))
    bar = figure.colorbar(ScalarMappable(cmap=colors), ax=list(panels.flat), aspect=14 * side)
    ticks = score.ticks()
    bar.set_ticks(list(ticks), labels=list(ticks.values()))
    bar.set_label(score.name)
    bar.outline.set_visible(False)
    add_legend(figure, _legend(data))
    names = ", ".join(dimension.words for dimension in shown)
    return Picture(figure, f"The trials by each pair of {names}, colored by score.")


def _draw_pair(axes: Axes, data: Points, x: Dimension, y: Dimension, score: Dimension) -> None:
    def positions(trials: Sequence[Trial]) -> tuple[list[float], list[float]]:
        return spread(x, trials), spread(y, trials)

    stopped = data.stopped[:_MOST_DRAWN]
    (marks,) = axes.plot(*positions(stopped), **_STOPPED)
    set_titles(marks, map(trial_title, stopped))
    for kind, size in ((data.previews, 16), (data.ranked[1:], 30)):
        drawn = kind[:_MOST_DRAWN][::-1]  # the best on top
        trials = [selection.trial for selection in drawn]
        colors = sequence(np.array([score.position(selection.score) for selection in drawn]))
        dots = axes.scatter(*positions(trials), size, colors, linewidths=0, zorder=2)
        set_titles(dots, map(trial_title, trials))
    best = [data.ranked[0].trial]
    (star,) = axes.plot(*positions(best), **STAR)
    set_titles(star, map(trial_title, best))
    for dimension, set_ticks, set_limits in (
        (x, axes.set_xticks, axes.set_xlim),
        (y, axes.set_yticks, axes.set_ylim),
    ):
        ticks = dimension.ticks(10, few=True)
        set_ticks(list(ticks), list(ticks.values()), size=8)
        set_limits(-dimension.margin, 1 + dimension.margin)


def _legend(data: Points) -> list[Line2D]:
    dot: dict[str, Any] = {"ls": "", "marker": "o", "mew": 0}
    dot["color"] = sequence(np.array([0.5]))[0]
    entries: list[tuple[str, int, dict[str, Any]]] = [
        ("other finished", len(data.ranked) - 1, dot | {"ms": 5.5}),
        ("previews", len(data.previews), dot | {"ms": 4}),
        ("stopped early", len(data.stopped), _STOPPED),
    ]
    return [
        Line2D([], [], label=data.best_label, **STAR),
        *(Line2D([], [], label=f"{label} ({n:,})", **look) for label, n, look in entries if n),
    ]
