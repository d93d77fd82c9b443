"""A panel for each hyperparameter: the score of the trials against its value."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.transforms import blended_transform_factory

from analysis.plots.picture import Picture
from analysis.plots.results import Results
from analysis.plots.scales import AXIS_NOTE, percent, set_accuracy_scale
from analysis.plots.scored import Points, n_best, points
from analysis.plots.space_axes import Dimension, short_value
from analysis.plots.style import (
    BLUE,
    INK,
    MUTED,
    SHADE,
    SKY,
    STOPPED,
    VERMILLION,
    Frame,
    add_keys,
    new_figure,
)
from analysis.records.ledger import Ledger
from analysis.results.selection import describe_rule

_STRIP = (
    0.14  # the part of a panel, at its bottom, for the trials that have no score, or a low one
)
_MANY = 60
_STOPPED: dict[str, Any] = {"ls": "", "marker": "|", "ms": 5, "color": STOPPED}
_FAR_BELOW: dict[str, Any] = {"ls": "", "marker": "v", "ms": 5, "mew": 0, "color": SKY}
_FAILED: dict[str, Any] = {"ls": "", "marker": "x", "ms": 5, "color": VERMILLION}
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Slices:
    """The trials, and how many of the best mark the region where good values lie."""

    points: Points
    n_best: int

    def best_values(self, dimension: Dimension) -> list[Any]:
        """Returns the values of the best trials along one hyperparameter, best first."""
        best = self.points.ranked[: self.n_best]
        return [trial.hyperparameters[dimension.name] for trial in best]


def slices(ledger: Ledger) -> Slices:
    """Returns the trials, the best of them told apart.

    Raises:
        NothingToDrawError: If no trial ran all its epochs, or nothing is searched.
    """
    data = points(ledger)
    return Slices(data, n_best(len(data.ranked)))


def draw_slices(results: Results) -> Picture:
    """Draws a panel for each searched hyperparameter."""
    data = slices(results.ledger)
    n = len(data.points.dimensions)
    n_columns = 2 if n in (2, 4) else min(n, 3)
    n_rows = math.ceil(n / n_columns)
    note = f"Score: {describe_rule(results.ledger.config).removeprefix('highest ')}."
    if _has_strip(data.points):
        note += (
            " Below the line, at their values: trials without a comparable score, or far below."
        )
    note += f" {AXIS_NOTE}"
    frame = Frame(
        "Score against each hyperparameter",
        results.about_search,
        keys=1,
        note=note,
    )
    figure = new_figure(1.4 + 2.5 * n_rows, frame)
    panels = figure.subplots(n_rows, n_columns, sharey=True, squeeze=False)
    for i, axes in enumerate(panels.flat):
        if i < n:
            _panel(axes, data, data.points.dimensions[i])
        else:
            axes.set_visible(False)
    for row in panels:
        row[0].set_ylabel("validation accuracy (%)")
    add_keys(figure, _keys(data))
    return Picture(figure, _alt(data))


def _panel(axes: Axes, data: Slices, dimension: Dimension) -> None:
    strip = _STRIP if _has_strip(data.points) else 0.0
    shown = data.points.in_view
    set_accuracy_scale(axes, "y", [trial.score for trial in shown], strip=strip)
    ticks = dimension.ticks()
    margin = 0.5 / max(len(dimension.choices) - 1, 1) if dimension.choices else 0.04
    axes.set_xlim(-margin, 1 + margin)
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.set_xlabel(dimension.label)
    _shade_best(axes, data, dimension, strip)
    across = _across(dimension, [trial.hyperparameters for trial in shown])
    scores = [trial.score for trial in shown]
    size = 4 if len(shown) > _MANY else 6
    for trials, marker, markersize, color in (
        (slice(data.n_best, None), "o", size, SKY),
        (slice(1, data.n_best), "o", size, BLUE),
        (slice(1), "*", 12, INK),
    ):
        axes.plot(
            across[trials],
            scores[trials],
            ls="",
            marker=marker,
            ms=markersize,
            mew=0,
            color=color,
        )
    if strip:
        _draw_strip(axes, data.points, dimension)


def _across(dimension: Dimension, trials: Sequence[dict[str, Any]]) -> list[float]:
    """Where trials lie from left to right; those of one choice are spread around it."""
    positions = [dimension.position(trial[dimension.name]) for trial in trials]
    if not dimension.choices:
        return positions
    width = 0.3 / max(len(dimension.choices) - 1, 1)
    return [p + width * ((i * _GOLDEN + 0.5) % 1 - 0.5) for i, p in enumerate(positions)]


def _has_strip(trials: Points) -> bool:
    return bool(trials.stopped or trials.failed or trials.far_below)


def _shade_best(axes: Axes, data: Slices, dimension: Dimension, strip: float) -> None:
    positions = [dimension.position(value) for value in data.best_values(dimension)]
    spans = [(min(positions), max(positions))]
    width = 0.004
    if dimension.choices:
        spans = sorted({(position, position) for position in positions})
        width = 0.2 / max(len(dimension.choices) - 1, 1)
    for low, high in spans:
        axes.axvspan(low - width, high + width, ymin=strip, color=SHADE, linewidth=0, zorder=0.5)


def _draw_strip(axes: Axes, trials: Points, dimension: Dimension) -> None:
    """Shows the trials without a score, or with a low one, in a strip, where only x counts."""
    axes.plot([0, 1], [_STRIP, _STRIP], color=MUTED, linewidth=0.8, transform=axes.transAxes)
    mixed = blended_transform_factory(axes.transData, axes.transAxes)
    for below, look in (
        (trials.far_below, _FAR_BELOW),
        (trials.stopped, _STOPPED),
        (trials.failed, _FAILED),
    ):
        axes.plot(
            _across(dimension, below),
            [_STRIP * (0.22 + 0.56 * (i * _GOLDEN % 1)) for i in range(len(below))],
            transform=mixed,
            **look,
        )


def _keys(data: Slices) -> list[Artist]:
    ranked = data.points.ranked
    best, n_other = data.n_best, data.points.n_in_view - data.n_best
    looks: list[tuple[str, dict[str, Any]]] = [
        (f"best: trial {ranked[0].trial_id}", {"marker": "*", "ms": 11, "color": INK}),
    ]
    if best > 1:
        looks.append((f"best {best}, with their range", {"marker": "o", "color": BLUE}))
    if n_other:
        looks.append((f"other finished ({n_other:,})", {"marker": "o", "color": SKY}))
    for name, trials, look in (
        ("far below", data.points.far_below, _FAR_BELOW),
        ("stopped early", data.points.stopped, _STOPPED),
        ("failed", data.points.failed, _FAILED),
    ):
        if trials:
            looks.append((f"{name} ({len(trials):,})", look))
    return [Line2D([], [], label=label, **{"ls": "", **look}) for label, look in looks]


def _alt(data: Slices) -> str:
    best = data.points.ranked[0]
    words = [
        f"{dimension.label} {short_value(best.hyperparameters[dimension.name])}"
        for dimension in data.points.dimensions
    ]
    return (
        f"Validation accuracy against each hyperparameter. The best trial, {best.trial_id}, "
        f"reached {percent(best.score, 2)} % with {', '.join(words)}."
    )
