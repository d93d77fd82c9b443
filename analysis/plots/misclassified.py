"""The test images that the best model gets wrong, the surest mistakes first."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from analysis.plots.picture import NothingToDrawError, Picture
from analysis.plots.results import Results
from analysis.plots.style import GRID, MUTED, Frame, new_figure, one_line
from analysis.predictions import Predictions, ShownImages

_COLUMNS, _ROWS = 9, 4


@dataclass(frozen=True)
class Mistake:
    """A misclassified test image.

    Attributes:
        index: Its position among the test images.
        label: The true digit.
        predicted: What it was taken for.
        confidence: The probability that the network gave that, in [0, 1].
        image: Its pixels, uint8 [28, 28].
    """

    index: int
    label: int
    predicted: int
    confidence: float
    image: NDArray[np.uint8]


@dataclass(frozen=True)
class Mistakes:
    """The surest mistakes of a run, surest first, of `n_total` altogether."""

    shown: tuple[Mistake, ...]
    n_total: int


def mistakes(predictions: Predictions, images: ShownImages, n: int) -> Mistakes:
    """Returns the `n` surest mistakes whose image there is.

    Raises:
        NothingToDrawError: If nothing is misclassified, or no image of it is there.
    """
    wrong = np.flatnonzero(~predictions.correct)
    if len(wrong) == 0:
        raise NothingToDrawError("no test image is misclassified")
    pixels = dict(zip(images.indices.tolist(), images.images, strict=True))
    surest = wrong[np.argsort(-predictions.confidence[wrong].astype(float), kind="stable")]
    shown = [
        Mistake(
            i,
            int(predictions.labels[i]),
            int(predictions.predicted[i]),
            float(predictions.confidence[i]),
            pixels[i],
        )
        for i in surest.tolist()
        if i in pixels
    ]
    if not shown:
        raise NothingToDrawError("the misclassified images are not in the sweep's files")
    return Mistakes(tuple(shown[:n]), len(wrong))


def draw_misclassified(results: Results) -> Picture:
    """Draws the surest mistakes of the first finalist's first seed."""
    arm, by_seed = results.shown_finalist()
    seed, predictions = next(iter(by_seed.items()))
    data = mistakes(predictions, results.images, _COLUMNS * _ROWS)
    n_rows = -(-len(data.shown) // _COLUMNS)
    title = one_line(arm.title)
    frame = Frame(
        "Misclassified digits, surest first",
        f"{title}, seed {seed} · {len(data.shown)} of {data.n_total:,} mistakes",
        note="Above each image: what it is, and what it was seen as; below: the probability that "
        "the network gave to that.",
    )
    figure = new_figure(1.15 + 1.32 * n_rows, frame)
    panels = figure.subplots(n_rows, _COLUMNS, squeeze=False)
    for i, axes in enumerate(panels.flat):
        if i < len(data.shown):
            _draw_mistake(axes, data.shown[i])
        else:
            axes.set_visible(False)
    surest = data.shown[0]
    alt = (
        f"The {len(data.shown)} surest of {data.n_total:,} mistakes of {title}, seed {seed}. "
        f"The surest: a {surest.label} seen as {surest.predicted} "
        f"with probability {_percent(surest)}."
    )
    return Picture(figure, alt)


def _draw_mistake(axes: Axes, mistake: Mistake) -> None:
    axes.imshow(mistake.image, cmap="gray_r", vmin=0, vmax=255, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set(visible=True, color=GRID)
    words = f"{mistake.label}, seen as {mistake.predicted}"
    axes.set_title(words, size=9, weight="normal", loc="center", pad=4)
    axes.set_xlabel(_percent(mistake), size=8.5, color=MUTED, labelpad=3)


def _percent(mistake: Mistake) -> str:
    return f"{100 * mistake.confidence:.1f} %"
