"""The test images that the best trial's network gets wrong, most confident first."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from analysis.formatting import percent, printable, short_names
from analysis.plots.results import NothingToDrawError, Picture, Results
from analysis.plots.style import GRID, MUTED, new_figure
from analysis.records.predictions import Predictions, ShownImages

_COLUMNS, _ROWS = 9, 4
_GAP, _TEXT = 0.19, 0.66  # between images and between rows, in sides of an image
_ENLARGED = 6


def mistakes(predictions: Predictions, images: ShownImages) -> list[int]:
    """Return the indices of the misclassified images that are saved, most confident first.

    Raises NothingToDrawError if there are none.
    """
    wrong = np.flatnonzero(~predictions.correct)
    if len(wrong) == 0:
        raise NothingToDrawError("no test image is misclassified")
    order = np.argsort(-predictions.confidence[wrong].astype(float), kind="stable")
    ordered = wrong[order]
    saved: list[int] = ordered[np.isin(ordered, images.indices)].tolist()
    if not saved:
        raise NothingToDrawError("the sweep's files do not contain the misclassified images")
    return saved


def draw_misclassified(results: Results) -> Picture:
    """Draw the most confident errors of the best trial's first seed."""
    arm, by_seed = results.shown_finalist()
    seed, predictions = next(iter(by_seed.items()))
    shown = mistakes(predictions, results.images)[: _COLUMNS * _ROWS]
    n_total = np.count_nonzero(~predictions.correct)
    run = f"{printable(arm.title)}, seed {seed}"
    data = results.ledger.data
    noun, labels = "digit" if data.is_digits else "class", predictions.labels
    colors = "gray_r" if data.is_digits else "gray"  # a digit's bright pixels are ink
    names, n_rows = short_names(data.classes, 12), -(-len(shown) // _COLUMNS)
    figure = new_figure(
        1.22 + 1.35 * n_rows,
        f"{run} · {len(shown)} of {n_total:,} errors",
        f"Above each image: the true and the predicted {noun}. Below: the probability that the "
        "network gave to the predicted one.",
    )
    axes = figure.subplots()
    axes.set(xlim=(-0.01, _COLUMNS * (1 + _GAP) - _GAP + 0.01), aspect="equal")
    axes.set_axis_off()
    for i, index in enumerate(shown):
        row, column = divmod(i, _COLUMNS)
        left, top = column * (1 + _GAP), row * (1 + _TEXT)
        _draw_image(axes, results.images, index, left, top, colors)
        true, seen = names[labels[index]], names[predictions.predicted[index]]
        is_short = len(true + seen) <= 3
        above = f"{true}, seen as {seen}" if is_short else f"{true}\n→ {seen}"
        size = 9 if is_short else 7.5
        axes.text(left + 0.5, top - 0.07, above, size=size, ha="center", va="bottom")
        below = percent(float(predictions.confidence[index]), 1)
        axes.text(left + 0.5, top + 1.07, below, size=8.5, color=MUTED, ha="center", va="top")
    axes.set_ylim(n_rows * (1 + _TEXT) - 0.2, -0.35)
    first = shown[0]
    alt = (
        f"The {len(shown)} most confident of {n_total:,} errors of {run}. The first: "
        f"{data.classes[labels[first]]} seen as {data.classes[predictions.predicted[first]]}, "
        f"{percent(float(predictions.confidence[first]), 1)}."
    )
    return Picture(figure, alt)


def _draw_image(
    axes: Axes, images: ShownImages, index: int, left: float, top: float, colors: str
) -> None:
    (pixels,) = images.images[images.indices == index]
    # Enlarged here, because some viewers of SVG blur pixels.
    enlarged = np.kron(pixels, np.ones((_ENLARGED, _ENLARGED), np.uint8))
    axes.imshow(
        np.moveaxis(enlarged, 0, -1) if enlarged.ndim == 3 else enlarged,
        extent=(left, left + 1, top + 1, top),
        cmap=colors,
        vmin=0,
        vmax=255,
        interpolation="nearest",
    )
    axes.add_patch(Rectangle((left, top), 1, 1, fill=False, edgecolor=GRID, linewidth=0.8))
