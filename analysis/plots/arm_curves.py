"""Accuracy and loss by epoch, of one arm (on training and test images) and of all arms."""

from statistics import fmean

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from analysis.formatting import count, percent, printable
from analysis.plots.final_accuracies import describe_summary, left_out
from analysis.plots.results import NothingToDrawError, Picture, Results
from analysis.plots.scales import AXIS_NOTE, set_accuracy_scale, set_loss_scale
from analysis.plots.style import Look, add_legend, arm_looks, new_figure
from analysis.records.confirmation import Confirmation
from analysis.results.comparison import summarize_arm

_PANELS = ("train_accuracy", "val_accuracy", "train_loss", "val_loss")


def arm_curves(confirmation: Confirmation, arm: str) -> dict[str, NDArray[np.float64]]:
    """Return an arm's learning curves over the n seeds whose runs have finished.

    The names are those of `Epoch`, where `val_…` is measured on the test images. The values are
    float64 [n, epochs]; accuracies are fractions. Raises NothingToDrawError if n is 0.
    """
    runs = [confirmation.runs[arm, seed] for seed in confirmation.test_accuracies(arm)]
    if not runs:
        title = printable(confirmation.arms[arm].title)
        raise NothingToDrawError(f"no run of {title} has finished")
    return {
        name: np.array([[getattr(epoch, name) for epoch in run.epochs] for run in runs])
        for name in _PANELS
    }


def draw_arm_curves(results: Results, arm: str) -> Picture:
    """Draw one arm's learning curves."""
    confirmation = results.confirmed()
    curves, summary = arm_curves(confirmation, arm), summarize_arm(confirmation, arm)
    assert summary is not None
    seeds, final = count(summary.n, "seed"), describe_summary(summary)
    data = results.ledger.data
    note = (
        f"Trained on all {data.n_train:,} training images. Training accuracy and "
        f"loss are averages over the epoch, with dropout and augmentation, if any. {AXIS_NOTE}"
        f"{left_out(confirmation, [arm])}"
    )
    about = f"{seeds} · test accuracy after the last epoch: {final}"
    figure = new_figure(6.3, about, note, legend_rows=1)
    panels = figure.subplots(2, 2, sharex=True, sharey="row")
    look = arm_looks(confirmation.arms)[arm]
    train_accuracy, test_accuracy, train_loss, test_loss = curves.values()
    accuracies = np.append(train_accuracy, test_accuracy)
    set_accuracy_scale(panels[0, 0], "y", accuracies, data.n_test)
    set_loss_scale(panels[1, 0], np.append(train_loss, test_loss))
    for axes, values in zip(panels.flat, curves.values(), strict=True):
        _draw_band(axes, values, look)
    panels[0, 0].set(title="training images", ylabel="accuracy (%)")
    panels[0, 1].set(title="test images")
    panels[1, 0].set(xlabel="epoch", ylabel="loss (cross-entropy)")
    panels[1, 1].set(xlabel="epoch")
    drawn = f"mean of {seeds}" if summary.n > 1 else seeds
    legend: list[Artist] = [Line2D([], [], label=drawn, **look)]
    if summary.n > 1:
        label = "lowest to highest seed"
        legend.append(Patch(color=look["color"], alpha=0.2, linewidth=0, label=label))
    add_legend(figure, legend)
    alt = (
        f"Accuracy and loss of {printable(confirmation.arms[arm].title)} by epoch, on training "
        f"and test images, {drawn}. Test accuracy after the last epoch: {final}."
    )
    return Picture(figure, alt)


def draw_comparison_curves(results: Results) -> Picture:
    """Draw the test accuracy and test loss of all arms with a finished run."""
    confirmation = results.confirmed()
    titles = {name: printable(arm.title) for name, arm in confirmation.arms.items()}
    curves = {
        name: arm_curves(confirmation, name)
        for name in titles
        if confirmation.test_accuracies(name)
    }
    if not curves:
        raise NothingToDrawError("no run of the confirmation has finished")
    data = results.ledger.data
    note = (
        f"Trained on all {data.n_train:,} training images, tested on the {data.n_test:,} test "
        f"images. {AXIS_NOTE}{left_out(confirmation, curves)}"
    )
    if missing := [title for name, title in titles.items() if name not in curves]:
        note += f" No finished run yet: {', '.join(missing)}."
    n_seeds = sorted({len(arm["val_loss"]) for arm in curves.values()})
    mean = ""
    if n_seeds[-1] > 1:
        mean, note = "mean ", f"Lines: mean over seeds; bands: lowest to highest seed. {note}"
    seeds = " or ".join([*map(str, n_seeds[:-1]), count(n_seeds[-1], "seed")])
    about = f"{results.name} · {seeds} per arm, legend: {mean}after the last epoch"
    n_rows = -(-len(curves) // 2)
    figure = new_figure(4.5 + 0.2 * n_rows, about, note, legend_rows=n_rows)
    accuracy, loss = figure.subplots(1, 2)
    accuracies = (a for c in curves.values() for a in c["val_accuracy"].flat)
    set_accuracy_scale(accuracy, "y", accuracies, data.n_test)
    set_loss_scale(loss, (a for c in curves.values() for a in c["val_loss"].flat))
    looks, legend, finals = arm_looks(confirmation.arms), [], []
    # The first arm, a finalist, is drawn on top.
    for name, arm in reversed(curves.items()):
        _draw_band(accuracy, arm["val_accuracy"], looks[name])
        _draw_band(loss, arm["val_loss"], looks[name])
    for name, arm in curves.items():
        final = percent(fmean(arm["val_accuracy"][:, -1]))
        label = f"{printable(confirmation.arms[name].title, 36)}: {final}"
        legend.append(Line2D([], [], label=label, **looks[name]))
        finals.append(f"{titles[name]} {final}")
    accuracy.set(title="test accuracy (%)", xlabel="epoch")
    loss.set(title="test loss (cross-entropy)", xlabel="epoch")
    add_legend(figure, legend)
    alt = f"Test accuracy and loss by epoch. After the last epoch: {', '.join(finals)}."
    return Picture(figure, alt)


def _draw_band(axes: Axes, values: NDArray[np.float64], look: Look) -> None:
    """Draw `values`, [seeds, epochs]: their mean, and a band from the lowest to the highest."""
    n = values.shape[1]
    epochs, low, high = np.arange(1, n + 1), values.min(axis=0), values.max(axis=0)
    if np.any(high > low):
        axes.fill_between(epochs, low, high, color=look["color"], alpha=0.2, linewidth=0)
    axes.plot(epochs, values.mean(axis=0), ms=4.5, markevery=max(1, n // 8), **look)
    axes.set_xlim(1 - 0.02 * n, n * 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
