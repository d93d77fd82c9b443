"""The confusion matrix of the best trial's networks."""

from collections.abc import Iterable
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from analysis.formatting import count, percent, printable
from analysis.plots.results import Picture, Results
from analysis.plots.style import GRID, INK, MUTED, new_figure
from analysis.records.predictions import Predictions

_CENTERED: dict[str, Any] = {"ha": "center", "va": "center"}


def confusion(runs: Iterable[Predictions]) -> NDArray[np.int64]:
    """Return how often each digit (row) was predicted as each (column), in all runs: [10, 10]."""
    counts = np.zeros((10, 10), np.int64)
    for run in runs:
        np.add.at(counts, (run.labels, run.predicted), 1)
    return counts


def draw_confusion(results: Results) -> Picture:
    """Draw the confusion matrix of the best trial, all its seeds together."""
    arm, by_seed = results.shown_finalist()
    counts = confusion(by_seed.values())
    errors = counts - np.diag(np.diag(counts))
    title, seeds = printable(arm.title), count(len(by_seed), "seed")
    figure = new_figure(
        6.4,
        f"{title} · {seeds} together: {count(errors.sum(), 'error')} "
        f"in {counts.sum():,} predictions",
        "Off the diagonal: number of errors. On the diagonal: accuracy for the digit.",
    )
    _draw_matrix(figure.subplots(), counts)
    alt = f"Confusion matrix of {title}, {seeds} together: {count(errors.sum(), 'error')}."
    if errors.any():
        row, column = np.unravel_index(np.argmax(errors), errors.shape)
        times = count(errors[row, column], "time")
        alt += f" The most frequent error is a {row} predicted as {column}: {times}."
    return Picture(figure, alt)


def _draw_matrix(axes: Axes, counts: NDArray[np.int64]) -> None:
    """Draw a confusion matrix with the sums of its rows and columns."""
    errors = counts - np.diag(np.diag(counts))
    colors = np.ones((11, 11, 4))
    colors[:10, :10] = mpl.colormaps["Oranges"](0.75 * np.sqrt(errors / max(1, errors.max())))
    colors[:10, :10][errors == 0] = 1
    colors[range(10), range(10)] = mpl.colors.to_rgba(GRID)
    axes.imshow(colors, aspect="auto")
    for row, column in np.ndindex(10, 10):
        n = int(counts[row, column])
        if row == column:
            recognized = percent(n / max(1, counts[row].sum()), 1)
            axes.text(column, row, recognized, size=8.5, color=MUTED, **_CENTERED)
        elif n:
            axes.text(column, row, f"{n:,}", size=10.5, **_CENTERED)
    for i in range(10):
        axes.text(10, i, f"{errors[i].sum():,}", color=MUTED, **_CENTERED)
        axes.text(i, 10, f"{errors[:, i].sum():,}", color=MUTED, **_CENTERED)
    axes.text(10, 10, f"{errors.sum():,}", weight="bold", **_CENTERED)
    for lines in (axes.hlines, axes.vlines):
        lines(np.arange(0.5, 9.5), -0.5, 9.5, color="white", lw=2)
        lines(9.5, -0.5, 10.5, color=INK, lw=1, zorder=3)
    labels = [*"0123456789", "errors"]
    axes.set(xticks=range(11), xticklabels=labels, yticks=range(11), yticklabels=labels)
    axes.set(xlabel="predicted digit", ylabel="true digit")
    axes.xaxis.set_label_position("top")
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
