"""A panel for each hyperparameter: the score of the trials against its value."""

import math
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.transforms import blended_transform_factory

from analysis.formatting import percent
from analysis.plots.points import GOLDEN, Dimension, Points, points, spread
from analysis.plots.results import Picture, Results
from analysis.plots.scales import AXIS_NOTE, set_accuracy_scale
from analysis.plots.style import (
    BLUE,
    MUTED,
    SHADE,
    SKY,
    STAR,
    STOPPED,
    VERMILLION,
    add_legend,
    new_figure,
)
from analysis.plots.titles import set_titles, trial_title

# The fraction of a panel, at its bottom, for trials below the line.
_STRIP = 0.14
_MANY = 60
_CHARACTERS = 96  # of the labels of choices that fit side by side, in a row of panels
_MOST_INCLINED = 7
_GOOD: dict[str, Any] = {"ls": "", "marker": "o", "ms": 6, "mew": 0, "color": BLUE}
_OTHER = _GOOD | {"color": SKY}
_FAR_BELOW = _OTHER | {"marker": "v", "ms": 5}
_STOPPED: dict[str, Any] = {"ls": "", "marker": "|", "ms": 5, "color": STOPPED}
_PREVIEW: dict[str, Any] = {"ls": "", "marker": "o", "ms": 4, "mfc": "none", "color": MUTED}
_FAILED: dict[str, Any] = {"ls": "", "marker": "x", "ms": 5, "color": VERMILLION}


def draw_slices(results: Results) -> Picture:
    """Draw a panel for each searched hyperparameter."""
    data = points(results.ledger)
    n = len(data.dimensions)
    n_columns = 2 if n in (2, 4) else min(n, 3)
    n_rows = math.ceil(n / n_columns)
    note = f"{results.about_score} {data.about_left_out}"
    if data.previews:
        note += "Open circles: previews, with the accuracy after their epochs. "
    kinds = {
        "were stopped early": data.stopped,
        "failed": data.failed,
        "are far below the others": [*data.far_below, *data.previews_far_below],
    }
    below = [kind for kind, trials in kinds.items() if trials]
    strip = _STRIP if below else 0.0
    if strip:
        note += f"Below the line: trials that {' or '.join(below)}. "
    height = 1.4 + n_rows * (2.9 if any(_rotation(d, n_columns) for d in data.dimensions) else 2.5)
    figure = new_figure(height, results.about_search, note + AXIS_NOTE, legend_rows=1)
    panels = figure.subplots(n_rows, n_columns, sharey=True, squeeze=False)
    for axes in panels.flat[n:]:
        axes.set_visible(False)
    for axes, dimension in zip(panels.flat, data.dimensions, strict=False):
        _draw_slice(axes, data, dimension, strip, _rotation(dimension, n_columns))
    for row in panels:
        row[0].set_ylabel("validation accuracy (%)")
    add_legend(figure, _legend(data))
    best = data.ranked[0]
    values = ", ".join(f"{d.words} {d.format(best.trial.value(d.name))}" for d in data.dimensions)
    alt = (
        f"Validation accuracy against each hyperparameter. The {data.best_words} trial, "
        f"{best.trial.trial_id}, reached {percent(best.score)} with {values}."
    )
    return Picture(figure, alt)


def _draw_slice(
    axes: Axes, data: Points, dimension: Dimension, strip: float, rotation: int
) -> None:
    """Draw one panel; `strip` is the fraction of its height below the line."""
    shown, n_best = data.ranked[: data.n_in_view], data.n_best
    scores = [selection.score for selection in shown]
    previews = data.previews[: data.n_previews_in_view]
    heights = [preview.score for preview in previews]
    set_accuracy_scale(axes, "y", scores + heights, data.n_images, strip=strip)
    ticks = dimension.ticks()
    axes.set_xlim(-dimension.margin, 1 + dimension.margin)
    look: dict[str, Any] = {}
    if rotation:
        look = {"rotation": rotation, "size": 8, "rotation_mode": "anchor", "ha": "right"}
        look["va"] = "top" if rotation < 90 else "center"
    axes.set_xticks(list(ticks), list(ticks.values()), **look)
    axes.set_xlabel(dimension.label)
    if data.has_range:
        _shade_best(axes, data, dimension, strip)
    x = spread(dimension, (preview.trial for preview in previews))
    (marks,) = axes.plot(x, heights, **_PREVIEW)
    set_titles(marks, (trial_title(preview.trial) for preview in previews))
    x = spread(dimension, (selection.trial for selection in shown))
    size = {"ms": 4} if len(shown) > _MANY else {}
    for part, look in (
        (slice(n_best, None), _OTHER | size),
        (slice(1, n_best), _GOOD | size),
        (slice(1), STAR),
    ):
        (marks,) = axes.plot(x[part], scores[part], **look)
        set_titles(marks, (trial_title(selection.trial) for selection in shown[part]))
    if strip:
        _draw_strip(axes, data, dimension)


def _rotation(dimension: Dimension, n_columns: int) -> int:
    """Return by how many degrees the labels of its choices are rotated, so that all fit."""
    lengths = [len(label) for label in dimension.ticks().values()] if dimension.choices else []
    widest = max((sum(pair) / 2 for pair in pairwise(lengths)), default=0)
    if len(lengths) * (widest + 1) <= _CHARACTERS / n_columns:
        return 0
    return 30 if len(lengths) <= _MOST_INCLINED else 90


def _shade_best(axes: Axes, data: Points, dimension: Dimension, strip: float) -> None:
    """Shade the range of the best trials' values, or the choices among them."""
    best = dimension.positions(selection.trial for selection in data.ranked[: data.n_best])
    spans, width = {(min(best), max(best))}, 0.004
    if dimension.choices:
        spans = {(position, position) for position in best}
        width = 0.2 / max(len(dimension.choices) - 1, 1)
    for low, high in sorted(spans):
        axes.axvspan(low - width, high + width, ymin=strip, color=SHADE, linewidth=0, zorder=0.5)


def _draw_strip(axes: Axes, data: Points, dimension: Dimension) -> None:
    """Draw the trials below the line, where their height has no meaning."""
    axes.plot([0, 1], [_STRIP, _STRIP], color=MUTED, linewidth=0.8, transform=axes.transAxes)
    mixed = blended_transform_factory(axes.transData, axes.transAxes)
    for trials, look in (
        (data.far_below, _FAR_BELOW),
        (data.previews_far_below, _PREVIEW),
        (data.stopped, _STOPPED),
        (data.failed, _FAILED),
    ):
        heights = [_STRIP * (0.22 + 0.56 * (i * GOLDEN % 1)) for i in range(len(trials))]
        (marks,) = axes.plot(spread(dimension, trials), heights, transform=mixed, **look)
        set_titles(marks, map(trial_title, trials))


def _legend(data: Points) -> list[Line2D]:
    n_best = data.n_best
    entries: list[tuple[str, int, dict[str, Any]]] = [
        (data.best_label, 1, STAR),
        (
            f"next best {n_best - 1}{f' (shaded: range of {n_best})' if data.has_range else ''}",
            n_best - 1,
            _GOOD,
        ),
        ("other finished", data.n_in_view - n_best, _OTHER),
        ("far below", len(data.far_below), _FAR_BELOW),
        ("previews", len(data.previews), _PREVIEW),
        ("stopped early", len(data.stopped), _STOPPED),
        ("failed", len(data.failed), _FAILED),
    ]
    return [
        Line2D([], [], label=label if look in (STAR, _GOOD) else f"{label} ({n:,})", **look)
        for label, n, look in entries
        if n > 0
    ]
