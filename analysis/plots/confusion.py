"""The confusion matrix of the best trial's networks."""

from collections.abc import Iterable
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from analysis.formatting import count, percent_number, printable, short_names
from analysis.plots.results import Picture, Results
from analysis.plots.style import GRID, INK, MUTED, new_figure
from analysis.records.predictions import Predictions

_CENTERED: dict[str, Any] = {"ha": "center", "va": "center"}
_MAX_NUMBERS = 30  # more classes have colors alone
_MAX_NAMES = 100


def confusion(runs: Iterable[Predictions], n_classes: int) -> NDArray[np.int64]:
    """Return how often each class (row) was predicted as each (column), in all runs."""
    counts = np.zeros((n_classes, n_classes), np.int64)
    for run in runs:
        np.add.at(counts, (run.labels, run.predicted), 1)
    return counts


def draw_confusion(results: Results) -> Picture:
    """Draw the confusion matrix of the best trial, all its seeds together."""
    arm, by_seed = results.shown_finalist()
    data = results.ledger.data
    counts = confusion(by_seed.values(), len(data.classes))
    errors = counts - np.diag(np.diag(counts))
    title, seeds = printable(arm.title), count(len(by_seed), "seed")
    if len(by_seed) > 1:
        seeds += " together"
    noun, n = "digit" if data.is_digits else "class", len(data.classes)
    note = f"Off the diagonal: number of errors. On the diagonal: accuracy for the {noun}."
    if n > _MAX_NUMBERS:
        note = "Off the diagonal: errors, the darker the more."
    if n > _MAX_NAMES:
        note += f" The {n} classes are in their order, from the top and from the left."
    figure = new_figure(
        6.4 if n > _MAX_NAMES else max(6.4, 2 + 0.13 * n),
        f"{title} · {seeds}: {count(errors.sum(), 'error')} in {counts.sum():,} predictions",
        note,
    )
    _draw_matrix(figure.subplots(), counts, short_names(data.classes, 20), noun)
    alt = f"Confusion matrix of {title}, {seeds}: {count(errors.sum(), 'error')}."
    if errors.any():
        row, column = np.unravel_index(np.argmax(errors), errors.shape)
        times = count(errors[row, column], "time")
        true, seen = data.classes[row], data.classes[column]
        alt += f" The most frequent error: {true} predicted as {seen}, {times}."
    return Picture(figure, alt)


def _draw_matrix(axes: Axes, counts: NDArray[np.int64], classes: list[str], noun: str) -> None:
    """Draw a confusion matrix; a small one with numbers, and the sums of its rows and columns."""
    errors, n = counts - np.diag(np.diag(counts)), len(counts)
    has_numbers, has_names = n <= _MAX_NUMBERS, n <= _MAX_NAMES
    size = n + 1 if has_numbers else n
    colors = np.ones((size, size, 4))
    colors[:n, :n] = mpl.colormaps["Oranges"](0.75 * np.sqrt(errors / max(1, errors.max())))
    colors[:n, :n][errors == 0] = 1
    colors[range(n), range(n)] = mpl.colors.to_rgba(GRID)
    axes.imshow(colors, aspect="auto", interpolation="nearest")
    scale = min(1, 12 / n)
    if has_numbers:
        _write_numbers(axes, counts, errors, scale)
    labels = [*classes, *["errors"] * has_numbers] if has_names else []
    ticks, font = range(len(labels)), max(4.5, 10 * scale)
    is_wide = max(map(len, classes)) * n > 60
    axes.set_yticks(ticks, labels, size=font)
    axes.set_xticks(ticks, labels, size=font, rotation=90 if is_wide else 0)
    axes.set_xlabel(f"predicted {noun}", labelpad=8, x=0.5 * n / size)
    axes.set_ylabel(f"true {noun}", labelpad=8, y=1 - 0.5 * n / size)
    axes.xaxis.set_label_position("top")
    axes.tick_params(length=0, top=True, labeltop=has_names, bottom=False, labelbottom=False)
    axes.grid(visible=False)
    axes.spines[:].set_visible(not has_numbers)


def _write_numbers(
    axes: Axes, counts: NDArray[np.int64], errors: NDArray[np.int64], scale: float
) -> None:
    """Write into each cell its number, and the sums into one more row and column."""
    n = len(counts)
    for row, column in np.ndindex(n, n):
        k = int(counts[row, column])
        if row == column:
            recognized = _recognized(k, int(counts[row].sum()), n <= 12)
            axes.text(column, row, recognized, size=8.5 * scale, color=MUTED, **_CENTERED)
        elif k:
            axes.text(column, row, f"{k:,}", size=10.5 * scale, **_CENTERED)
    sums: dict[str, Any] = {"color": MUTED, "size": 10 * scale, **_CENTERED}
    for i in range(n):
        axes.text(n, i, f"{errors[i].sum():,}", **sums)
        axes.text(i, n, f"{errors[:, i].sum():,}", **sums)
    axes.text(n, n, f"{errors.sum():,}", weight="bold", size=10 * scale, **_CENTERED)
    for lines in (axes.hlines, axes.vlines):
        lines(np.arange(0.5, n - 0.5), -0.5, n - 0.5, color="white", lw=2 * scale)
        lines(n - 0.5, -0.5, n + 0.5, color=INK, lw=1, zorder=3)


def _recognized(k: int, n: int, is_wide: bool) -> str:
    """Return k of n in percent, with one decimal if the cell is wide; 100 only if k is n."""
    if n == 0:
        return "–"
    digits, almost = (1, "> 99.9") if is_wide else (0, "> 99")
    text = percent_number(k / n, digits)
    if k < n and float(text) == 100:
        text = almost
    return f"{text} %" if is_wide else text
