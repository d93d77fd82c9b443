"""One arm's accuracy and loss, on training and on test images, by epoch."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from analysis.plots.final_accuracies import describe_summary
from analysis.plots.picture import NothingToDrawError, Picture
from analysis.plots.results import Results
from analysis.plots.scales import AXIS_NOTE, set_accuracy_scale, set_loss_scale
from analysis.plots.style import (
    Frame,
    Look,
    add_keys,
    arm_looks,
    counted,
    new_figure,
    one_line,
)
from analysis.records.confirmation import Confirmation, Run
from analysis.records.epochs import Epoch
from analysis.results.comparison import summarize_arm


@dataclass(frozen=True)
class Band:
    """A quantity by epoch over the seeds, float64 [epochs] each."""

    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True)
class ArmCurves:
    """An arm's learning curves over the seeds whose runs have finished.

    Accuracies are fractions. The bands reach from the lowest to the highest seed.
    """

    arm: str
    title: str
    seeds: tuple[int, ...]
    n_left_out: int
    train_accuracy: Band
    train_loss: Band
    test_accuracy: Band
    test_loss: Band


def arm_curves(confirmation: Confirmation, arm: str) -> ArmCurves:
    """Returns an arm's learning curves.

    Raises:
        NothingToDrawError: If none of its runs has finished.
    """
    title = one_line(confirmation.arms[arm].title)
    seeds = tuple(confirmation.test_accuracies(arm))
    runs = [confirmation.runs[arm, seed] for seed in seeds]
    if not runs:
        raise NothingToDrawError(f"no run of {title} has finished")
    return ArmCurves(
        arm,
        title,
        seeds,
        len(confirmation.runs_of(arm)) - len(runs),
        _band(runs, lambda epoch: epoch.train_accuracy),
        _band(runs, lambda epoch: epoch.train_loss),
        _band(runs, lambda epoch: epoch.val_accuracy),
        _band(runs, lambda epoch: epoch.val_loss),
    )


def _band(runs: list[Run], value: Callable[[Epoch], float]) -> Band:
    values = np.array([[value(epoch) for epoch in run.epochs] for run in runs])
    return Band(values.mean(axis=0), values.min(axis=0), values.max(axis=0))


def describe_band(n_seeds: int) -> str:
    """Returns what a band means, or that there is none."""
    if n_seeds == 1:
        return "one seed: no band"
    return f"band: lowest to highest of {n_seeds} seeds"


def draw_band(axes: Axes, band: Band, look: Look) -> None:
    """Draws a mean and its band against the epochs."""
    epochs = np.arange(1, len(band.mean) + 1)
    every = max(1, len(epochs) // 8)
    if np.any(band.high > band.low):
        axes.fill_between(epochs, band.low, band.high, color=look.color, alpha=0.2, linewidth=0)
    axes.plot(
        epochs,
        band.mean,
        color=look.color,
        linestyle=look.line,
        marker=look.marker,
        markersize=4.5,
        markevery=every,
    )
    axes.set_xlim(1 - 0.02 * len(epochs), len(epochs) * 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))


def draw_arm_curves(results: Results, arm: str) -> Picture:
    """Draws one arm's learning curves."""
    confirmation = results.confirmed()
    data = arm_curves(confirmation, arm)
    look = arm_looks({name: a.role for name, a in confirmation.arms.items()})[arm]
    n = len(data.seeds)
    note = (
        "Trained on all 60,000 training images. Training figures are running ones, as the "
        f"network sees the images: with dropout and augmentation. {AXIS_NOTE}"
    )
    if data.n_left_out:
        note += f" Left out: {counted(data.n_left_out, 'run')} that did not finish."
    summary = summarize_arm(confirmation, arm)
    assert summary is not None
    final = describe_summary(summary)
    about = f"{counted(n, 'seed')} · test accuracy after the last epoch: {final}"
    frame = Frame(f"Learning curves: {data.title}", about, keys=1, note=note)
    figure = new_figure(6.3, frame)
    panels = figure.subplots(2, 2, sharex=True, sharey="row")
    for row, (bands, set_scale) in enumerate(
        (
            ((data.train_accuracy, data.test_accuracy), set_accuracy_scale),
            ((data.train_loss, data.test_loss), set_loss_scale),
        )
    ):
        set_scale(panels[row, 0], "y", [float(v) for b in bands for v in (*b.low, *b.high)])
        for axes, band in zip(panels[row], bands, strict=True):
            draw_band(axes, band, look)
    for axes, title in zip(panels[0], ("training images", "test images"), strict=True):
        axes.set_title(title)
    panels[0, 0].set_ylabel("accuracy (%)")
    panels[1, 0].set_ylabel("loss (cross-entropy)")
    for axes in panels[1]:
        axes.set_xlabel("epoch")
    mean = partial(Line2D, [], [], color=look.color, linestyle=look.line, marker=look.marker)
    keys: list[Artist] = [mean(label=f"mean of {counted(n, 'seed')}")]
    if n > 1:
        keys.append(
            Patch(color=look.color, alpha=0.2, linewidth=0, label="lowest to highest seed")
        )
    add_keys(figure, keys)
    alt = (
        f"Accuracy and loss of {data.title} by epoch, on training and test images, "
        f"{describe_band(n)}. Mean test accuracy after the last epoch: {final}."
    )
    return Picture(figure, alt)
