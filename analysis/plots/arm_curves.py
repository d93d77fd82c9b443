"""One arm's accuracy and loss by epoch, on training and on test images."""

from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from analysis.formatting import count, printable
from analysis.plots.final_accuracies import describe_summary
from analysis.plots.results import NothingToDrawError, Picture, Results
from analysis.plots.scales import AXIS_NOTE, set_accuracy_scale, set_loss_scale
from analysis.plots.style import Look, add_legend, arm_looks, new_figure
from analysis.records.confirmation import Confirmation
from analysis.results.comparison import summarize_arm


@dataclass(frozen=True)
class Band:
    """A quantity by epoch, over the seeds: mean, lowest and highest, float64 [epochs] each."""

    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True)
class ArmCurves:
    """An arm's learning curves over the `n` seeds whose runs have finished.

    Accuracies are fractions.
    """

    n: int
    n_unfinished: int
    train_accuracy: Band
    train_loss: Band
    test_accuracy: Band
    test_loss: Band


def arm_curves(confirmation: Confirmation, arm: str) -> ArmCurves:
    """Return an arm's learning curves.

    Raises:
        NothingToDrawError: If none of its runs has finished.
    """
    runs = [confirmation.runs[arm, seed] for seed in confirmation.test_accuracies(arm)]
    if not runs:
        raise NothingToDrawError(
            f"no run of {printable(confirmation.arms[arm].title)} has finished"
        )
    bands = []
    for name in ("train_accuracy", "train_loss", "val_accuracy", "val_loss"):
        values = np.array([[getattr(epoch, name) for epoch in run.epochs] for run in runs])
        bands.append(Band(values.mean(axis=0), values.min(axis=0), values.max(axis=0)))
    return ArmCurves(len(runs), len(confirmation.runs_of(arm)) - len(runs), *bands)


def extent(*bands: Band) -> list[float]:
    """Return the values that an axis for the bands must contain."""
    ends = [values for band in bands for values in (band.low, band.high)]
    return list(np.concatenate(ends).tolist())


def draw_band(axes: Axes, band: Band, look: Look) -> None:
    """Draw a mean and its band against the epochs."""
    n = len(band.mean)
    epochs = np.arange(1, n + 1)
    if np.any(band.high > band.low):
        axes.fill_between(epochs, band.low, band.high, color=look["color"], alpha=0.2, linewidth=0)
    axes.plot(epochs, band.mean, ms=4.5, markevery=max(1, n // 8), **look)
    axes.set_xlim(1 - 0.02 * n, n * 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))


def draw_arm_curves(results: Results, arm: str) -> Picture:
    """Draw one arm's learning curves."""
    confirmation = results.confirmed()
    data = arm_curves(confirmation, arm)
    seeds = count(data.n, "seed")
    note = (
        "Trained on all 60,000 training images. Training accuracy and loss are averages over the "
        f"epoch, with dropout and augmentation. {AXIS_NOTE}"
    )
    if data.n_unfinished:
        note += f" Left out: {count(data.n_unfinished, 'run')} that did not finish."
    summary = summarize_arm(confirmation, arm)
    assert summary is not None
    final = describe_summary(summary)
    about = f"{seeds} · test accuracy after the last epoch: {final}"
    figure = new_figure(6.3, about, note, legend_rows=1)
    panels = figure.subplots(2, 2, sharex=True, sharey="row")
    look = arm_looks(confirmation.arms)[arm]
    accuracies, losses = (
        (data.train_accuracy, data.test_accuracy),
        (data.train_loss, data.test_loss),
    )
    set_accuracy_scale(panels[0, 0], "y", extent(*accuracies))
    set_loss_scale(panels[1, 0], extent(*losses))
    for axes, band in zip(panels.flat, (*accuracies, *losses), strict=True):
        draw_band(axes, band, look)
    panels[0, 0].set(title="training images", ylabel="accuracy (%)")
    panels[0, 1].set(title="test images")
    panels[1, 0].set(xlabel="epoch", ylabel="loss (cross-entropy)")
    panels[1, 1].set(xlabel="epoch")
    legend: list[Artist] = [Line2D([], [], label=f"mean of {seeds}", **look)]
    if data.n > 1:
        label = "lowest to highest seed"
        legend.append(Patch(color=look["color"], alpha=0.2, linewidth=0, label=label))
    add_legend(figure, legend)
    alt = (
        f"Accuracy and loss of {printable(confirmation.arms[arm].title)} by epoch, on training "
        f"and test images, mean of {seeds}. Mean test accuracy after the last epoch: {final}."
    )
    return Picture(figure, alt)
