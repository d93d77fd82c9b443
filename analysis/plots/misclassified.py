"""The test images that the best model gets wrong, the surest mistakes first."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from analysis.plots.picture import NothingToDrawError, Picture
from analysis.plots.results import Results
from analysis.plots.style import GRID, MUTED, Frame, new_figure, one_line
from analysis.records.predictions import Predictions, ShownImages

_COLUMNS, _ROWS = 9, 4
_GAP, _WORDS = 0.19, 0.66  # between images and between rows, in sides of an image
_ENLARGED = 6
_BELOW: Any = {"size": 8.5, "color": MUTED, "ha": "center", "va": "top"}


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
    """Draws the surest mistakes of the best trial's first seed."""
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
    figure = new_figure(1.22 + 1.35 * n_rows, frame)
    axes = figure.subplots()
    axes.set(xlim=(-0.01, _COLUMNS * (1 + _GAP) - _GAP + 0.01), aspect="equal")
    axes.set_ylim(n_rows * (1 + _WORDS) - 0.2, -0.35)
    axes.set_axis_off()
    for i, mistake in enumerate(data.shown):
        row, column = divmod(i, _COLUMNS)
        _draw_mistake(axes, mistake, column * (1 + _GAP), row * (1 + _WORDS))
    surest = data.shown[0]
    alt = (
        f"The {len(data.shown)} surest of {data.n_total:,} mistakes of {title}, seed {seed}. "
        f"The surest: a {surest.label} seen as {surest.predicted} "
        f"with probability {_percent(surest)}."
    )
    return Picture(figure, alt)


def _draw_mistake(axes: Axes, mistake: Mistake, left: float, top: float) -> None:
    """Draws an image of side 1, with words above and below."""
    axes.imshow(
        # Enlarged here, because not every viewer of an SVG keeps pixels sharp.
        np.kron(mistake.image, np.ones((_ENLARGED, _ENLARGED), np.uint8)),
        extent=(left, left + 1, top + 1, top),
        cmap="gray_r",
        vmin=0,
        vmax=255,
        interpolation="nearest",
    )
    axes.add_patch(Rectangle((left, top), 1, 1, fill=False, edgecolor=GRID, linewidth=0.8))
    words = f"{mistake.label}, seen as {mistake.predicted}"
    axes.text(left + 0.5, top - 0.07, words, size=9, ha="center", va="bottom")
    axes.text(left + 0.5, top + 1.07, _percent(mistake), **_BELOW)


def _percent(mistake: Mistake) -> str:
    return f"{100 * mistake.confidence:.1f} %"
