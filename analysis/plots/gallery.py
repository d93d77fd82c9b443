"""The list of all plots, and functions that draw them into files."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from analysis.formatting import printable
from analysis.plots.arm_curves import draw_arm_curves
from analysis.plots.best_so_far import draw_best_so_far
from analysis.plots.comparison_curves import draw_comparison_curves
from analysis.plots.confusion import draw_confusion
from analysis.plots.final_accuracies import draw_final_accuracies
from analysis.plots.importance import draw_importance
from analysis.plots.misclassified import draw_misclassified
from analysis.plots.parallel import draw_parallel
from analysis.plots.picture import FORMATS, NothingToDrawError, Picture, encode
from analysis.plots.results import Results, read_results
from analysis.plots.slices import draw_slices
from analysis.plots.style import DPI, add_title, plot_style
from analysis.plots.trial_curves import draw_trial_curves
from analysis.records.files import PLOTS_FOLDER
from analysis.storage.folder import Folder


@dataclass(frozen=True)
class Plot:
    """A plot that a sweep may have.

    Attributes:
        name: The name of its file, without the extension.
        title: What it shows.
        draw: Draws it without the title; raises NothingToDrawError if the results lack what
            it shows. Call it within `plot_style`.
    """

    name: str
    title: str
    draw: Callable[[Results], Picture]


CONFIRMATION_PLOTS = (
    Plot("final-accuracies", "Final test accuracy of all arms", draw_final_accuracies),
    Plot("comparison", "Test accuracy and loss of all arms", draw_comparison_curves),
)
SEARCH_PLOTS = (
    Plot("best-so-far", "Best so far", draw_best_so_far),
    Plot("learning-curves", "Learning curves of the search", draw_trial_curves),
    Plot("slices", "Score against each hyperparameter", draw_slices),
    Plot("parallel-coordinates", "Parallel coordinates", draw_parallel),
    Plot("importance", "Hyperparameter importance", draw_importance),
)
MODEL_PLOTS = (
    Plot("confusion-matrix", "Confusion matrix", draw_confusion),
    Plot("misclassified", "Misclassified digits, most confident first", draw_misclassified),
)


def arm_plots(results: Results) -> list[Plot]:
    """Return a plot of learning curves for every arm of the confirmation."""
    arms = results.confirmation.arms if results.confirmation else {}
    return [
        Plot(
            f"curves-{name}",
            f"Learning curves: {printable(arm.title)}",
            partial(draw_arm_curves, arm=name),
        )
        for name, arm in arms.items()
    ]


def list_plots(results: Results) -> list[Plot]:
    """Return every plot of a sweep, including those that cannot be drawn yet."""
    return [*CONFIRMATION_PLOTS, *arm_plots(results), *SEARCH_PLOTS, *MODEL_PLOTS]


@dataclass(frozen=True)
class Rendered:
    """A picture as the bytes of a file, and its contents in words."""

    data: bytes
    alt: str


def render(plot: Plot, results: Results, file_format: str, *, dpi: int = DPI) -> Rendered:
    """Draw one plot; the same results always give the same bytes.

    Raises:
        NothingToDrawError: If the results lack what it shows.
    """
    with plot_style():
        picture = plot.draw(results)
        add_title(picture.figure, plot.title)
        return Rendered(encode(picture.figure, file_format, dpi), picture.alt)


@dataclass(frozen=True)
class Drawn:
    """The files that were written, in order, and why each other plot was not drawn, by name."""

    files: list[str]
    skipped: dict[str, str]


def draw_all(folder: Folder, file_format: str, out: Folder | None = None) -> Drawn:
    """Draw every plot of the sweep in `folder`.

    Args:
        folder: The sweep's.
        file_format: `png`, `svg` or `pdf`.
        out: The folder to write to; files of the same names are replaced. By default it is
            the sweep's own `plots/`, where pictures that cannot be drawn any more are deleted.

    Raises:
        FileNotFoundError: If there is no sweep.
        LedgerError: If one of its files is damaged.
        ValueError: If the format is unknown.
    """
    if file_format not in FORMATS:
        raise ValueError(f"`format` must be one of {', '.join(FORMATS)}, but got {file_format}")
    target = folder.child(PLOTS_FOLDER) if out is None else out
    results, drawn = read_results(folder), Drawn([], {})
    for plot in list_plots(results):
        file = f"{plot.name}.{file_format}"
        try:
            target.write(file, render(plot, results, file_format).data)
        except NothingToDrawError as nothing:
            drawn.skipped[plot.name] = str(nothing)
            if out is None:
                target.delete(file)
        else:
            drawn.files.append(target.display_path(file))
    return drawn
