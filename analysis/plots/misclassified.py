"""The test images that the best trial's network gets wrong, most confident first."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from analysis.formatting import percent, printable
from analysis.plots.picture import NothingToDrawError, Picture
from analysis.plots.results import Results
from analysis.plots.style import GRID, MUTED, new_figure
from analysis.records.predictions import Predictions, ShownImages

_COLUMNS, _ROWS = 9, 4
_GAP, _TEXT = 0.19, 0.66  # between images and between rows, in sides of an image
_ENLARGED = 6


@dataclass(frozen=True)
class Mistake:
    """A misclassified test image.

    Attributes:
        index: Its position among the test images.
        label: The true digit.
        predicted: The predicted digit.
        confidence: The probability that the network gave to it, in [0, 1].
        image: Its pixels, uint8 [28, 28].
    """

    index: int
    label: int
    predicted: int
    confidence: float
    image: NDArray[np.uint8]


@dataclass(frozen=True)
class Mistakes:
    """The mistakes of a run with the highest confidence first, out of `n_total`."""

    shown: tuple[Mistake, ...]
    n_total: int


def mistakes(predictions: Predictions, images: ShownImages, n: int) -> Mistakes:
    """Return the `n` most confident mistakes, of those whose images are saved.

    Raises:
        NothingToDrawError: If nothing is misclassified, or no image is saved.
    """
    wrong = np.flatnonzero(~predictions.correct)
    if len(wrong) == 0:
        raise NothingToDrawError("no test image is misclassified")
    pixels = dict(zip(images.indices.tolist(), images.images, strict=True))
    order = np.argsort(-predictions.confidence[wrong].astype(float), kind="stable")
    shown = [
        Mistake(
            i,
            int(predictions.labels[i]),
            int(predictions.predicted[i]),
            float(predictions.confidence[i]),
            pixels[i],
        )
        for i in wrong[order].tolist()
        if i in pixels
    ]
    if not shown:
        raise NothingToDrawError("the sweep's files do not contain the misclassified images")
    return Mistakes(tuple(shown[:n]), len(wrong))


def draw_misclassified(results: Results) -> Picture:
    """Draw the most confident mistakes of the best trial's first seed."""
    arm, by_seed = results.shown_finalist()
    seed, predictions = next(iter(by_seed.items()))
    data = mistakes(predictions, results.images, _COLUMNS * _ROWS)
    run = f"{printable(arm.title)}, seed {seed}"
    figure = new_figure(
        1.22 + 1.35 * -(-len(data.shown) // _COLUMNS),
        f"{run} · {len(data.shown)} of {data.n_total:,} mistakes",
        "Above each image: the true and the predicted digit. Below: the probability that the "
        "network gave to the predicted one.",
    )
    draw_mistakes(figure.subplots(), data.shown)
    first = data.shown[0]
    alt = (
        f"The {len(data.shown)} most confident of {data.n_total:,} mistakes of {run}. "
        f"The first: a {first.label} seen as {first.predicted}, {percent(first.confidence, 1)}."
    )
    return Picture(figure, alt)


def draw_mistakes(axes: Axes, shown: tuple[Mistake, ...]) -> None:
    """Draw the images in a grid, with text above and below each."""
    n_rows = -(-len(shown) // _COLUMNS)
    axes.set(xlim=(-0.01, _COLUMNS * (1 + _GAP) - _GAP + 0.01), aspect="equal")
    axes.set_axis_off()
    for i, mistake in enumerate(shown):
        row, column = divmod(i, _COLUMNS)
        left, top = column * (1 + _GAP), row * (1 + _TEXT)
        axes.imshow(
            # Enlarged here, because some viewers of SVG blur pixels.
            np.kron(mistake.image, np.ones((_ENLARGED, _ENLARGED), np.uint8)),
            extent=(left, left + 1, top + 1, top),
            cmap="gray_r",
            vmin=0,
            vmax=255,
            interpolation="nearest",
        )
        axes.add_patch(Rectangle((left, top), 1, 1, fill=False, edgecolor=GRID, linewidth=0.8))
        above = f"{mistake.label}, seen as {mistake.predicted}"
        axes.text(left + 0.5, top - 0.07, above, size=9, ha="center", va="bottom")
        below = percent(mistake.confidence, 1)
        axes.text(left + 0.5, top + 1.07, below, size=8.5, color=MUTED, ha="center", va="top")
    axes.set_ylim(n_rows * (1 + _TEXT) - 0.2, -0.35)
