"""Which digits the best model takes for which."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from analysis.plots.picture import Picture
from analysis.plots.results import Results
from analysis.plots.style import GRID, INK, MUTED, Frame, counted, new_figure, one_line
from analysis.records.predictions import Predictions

_CENTRED: dict[str, Any] = {"ha": "center", "va": "center"}


def confusion(runs: Sequence[Predictions]) -> NDArray[np.int64]:
    """Returns how often each digit (row) was taken for each (column), all runs together.

    Returns:
        Counts [10, 10].
    """
    counts = np.zeros((10, 10), np.int64)
    for run in runs:
        np.add.at(counts, (run.labels, run.predicted), 1)
    return counts


def draw_confusion(results: Results) -> Picture:
    """Draws the confusion matrix of the best trial, all its seeds together."""
    arm, by_seed = results.shown_finalist()
    counts = confusion(list(by_seed.values()))
    n_errors = int(counts.sum() - np.trace(counts))
    title = one_line(arm.title)
    runs = counted(len(by_seed), "seed")
    frame = Frame(
        "What is taken for what",
        f"{title} · {runs} together: {n_errors:,} errors in {counts.sum():,} answers",
        note="Off the diagonal: answers, deeper where they are more. On it: how much of the digit "
        "was recognised.",
    )
    figure = new_figure(6.4, frame)
    axes = figure.subplots()
    _draw_cells(axes, counts)
    row, column = np.unravel_index(np.argmax(_errors(counts)), counts.shape)
    alt = f"Confusion matrix of {title}, {runs} together: {n_errors:,} errors."
    if n_errors:
        alt += f" Most often a {row} is taken for a {column}: {counts[row, column]} times."
    return Picture(figure, alt)


def _errors(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return counts - np.diag(np.diag(counts))


def _draw_cells(axes: Axes, counts: NDArray[np.int64]) -> None:
    errors = _errors(counts)
    shades = np.sqrt(errors / max(1, errors.max()))
    colors = np.ones((11, 11, 4))
    colors[:10, :10] = mpl.colormaps["Oranges"](0.75 * shades)
    colors[:10, :10][errors == 0] = 1
    colors[range(10), range(10)] = mpl.colors.to_rgba(GRID)
    axes.imshow(colors, aspect="auto")
    for row, column in np.ndindex(10, 10):
        count = int(counts[row, column])
        if row == column:
            recognised = count / max(1, counts[row].sum())
            axes.text(column, row, f"{100 * recognised:.1f} %", size=8.5, color=MUTED, **_CENTRED)
        elif count:
            axes.text(column, row, f"{count:,}", size=10.5, **_CENTRED)
    for i in range(10):
        axes.text(10, i, f"{errors[i].sum():,}", color=MUTED, **_CENTRED)
        axes.text(i, 10, f"{errors[:, i].sum():,}", color=MUTED, **_CENTRED)
    axes.text(10, 10, f"{errors.sum():,}", weight="bold", **_CENTRED)
    axes.hlines(9.5, -0.5, 10.5, color=INK, lw=1, zorder=3)
    axes.vlines(9.5, -0.5, 10.5, color=INK, lw=1, zorder=3)
    axes.set_xticks(range(11), [*"0123456789", "errors"])
    axes.set_yticks(range(11), [*"0123456789", "errors"])
    axes.set(xlabel="seen as", ylabel="true digit")
    axes.xaxis.set_label_position("top")
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    edges = np.arange(0.5, 9.5)
    axes.hlines(edges, -0.5, 9.5, color="white", lw=2)
    axes.vlines(edges, -0.5, 9.5, color="white", lw=2)
