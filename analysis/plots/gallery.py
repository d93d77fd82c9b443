"""All the pictures of a sweep, by name: drawn, or skipped for a reason."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from analysis.plots.arm_curves import draw_arm_curves
from analysis.plots.best_so_far import draw_best_so_far
from analysis.plots.comparison_curves import draw_comparison_curves
from analysis.plots.confusion import draw_confusion
from analysis.plots.final_accuracies import draw_final_accuracies
from analysis.plots.importance import draw_importance
from analysis.plots.misclassified import draw_misclassified
from analysis.plots.parallel import draw_parallel
from analysis.plots.picture import (
    Format,
    NothingToDrawError,
    Picture,
    check_format,
    encode,
)
from analysis.plots.results import Results, read_results
from analysis.plots.slices import draw_slices
from analysis.plots.style import DPI, one_line, plot_style
from analysis.plots.trial_curves import draw_trial_curves
from analysis.records.files import PLOTS_FOLDER
from analysis.storage.folder import Folder


@dataclass(frozen=True)
class Plot:
    """A picture that can be drawn.

    Attributes:
        name: Its file's name, without the ending.
        title: What it shows.
        draw: Draws it; raises NothingToDrawError if there is nothing to draw.
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
    Plot("parallel-coordinates", "From hyperparameters to score", draw_parallel),
    Plot("importance", "Which hyperparameters matter", draw_importance),
)
MODEL_PLOTS = (
    Plot("confusion-matrix", "What is taken for what", draw_confusion),
    Plot("misclassified", "Misclassified digits, surest first", draw_misclassified),
)


def arm_plots(results: Results) -> list[Plot]:
    """Returns a plot of learning curves for every arm of the confirmation, if there is one."""
    if results.confirmation is None:
        return []
    return [
        Plot(
            f"curves-{name}",
            f"Learning curves: {one_line(arm.title)}",
            partial(draw_arm_curves, arm=name),
        )
        for name, arm in results.confirmation.arms.items()
    ]


def list_plots(results: Results) -> list[Plot]:
    """Returns every plot of a sweep, whether or not it has something to draw."""
    return [*CONFIRMATION_PLOTS, *arm_plots(results), *SEARCH_PLOTS, *MODEL_PLOTS]


@dataclass(frozen=True)
class Rendered:
    """A drawn picture as the bytes of a file, with what it shows in words."""

    name: str
    title: str
    alt: str
    data: bytes


@dataclass(frozen=True)
class Skipped:
    """A picture for which there is nothing to draw."""

    name: str
    title: str
    reason: str


def render(
    plot: Plot, results: Results, file_format: Format, *, dpi: int = DPI
) -> Rendered | Skipped:
    """Draws one plot; the same results always give the same bytes."""
    with plot_style():
        try:
            picture = plot.draw(results)
        except NothingToDrawError as nothing:
            return Skipped(plot.name, plot.title, str(nothing))
        data = encode(picture.figure, file_format, dpi)
    return Rendered(plot.name, plot.title, picture.alt, data)


def render_all(results: Results, file_format: Format) -> Iterator[Rendered | Skipped]:
    """Draws every plot of a sweep, one after another."""
    for plot in list_plots(results):
        yield render(plot, results, file_format)


@dataclass(frozen=True)
class Drawn:
    """Where the files that were written are, in the gallery's order, and what was skipped."""

    files: list[str]
    skipped: list[Skipped]


def draw_all(folder: Folder, file_format: str, out: Folder | None = None) -> Drawn:
    """Draws every plot of the sweep in `folder`.

    Args:
        folder: The sweep's.
        file_format: `png`, `svg` or `pdf`.
        out: Where to; files of the plots' names are replaced. Without it, it is the sweep's
            own `plots/`, from where a picture goes that can no longer be drawn.

    Raises:
        FileNotFoundError: If there is no sweep.
        LedgerError: If one of its files is damaged.
        ValueError: If there is no such format.
    """
    checked = check_format(file_format)
    target = folder.child(PLOTS_FOLDER) if out is None else out
    drawn = Drawn([], [])
    for result in render_all(read_results(folder), checked):
        file = f"{result.name}.{checked}"
        if isinstance(result, Rendered):
            target.write(file, result.data)
            drawn.files.append(target.display_path(file))
            continue
        drawn.skipped.append(result)
        if out is None:
            target.delete(file)
    return drawn
