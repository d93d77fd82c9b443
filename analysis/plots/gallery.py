"""The list of all plots, and functions that draw them into files."""

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from analysis.formatting import printable
from analysis.plots.arm_curves import draw_arm_curves, draw_comparison_curves
from analysis.plots.best_so_far import draw_best_so_far
from analysis.plots.confusion import draw_confusion
from analysis.plots.final_accuracies import draw_final_accuracies
from analysis.plots.importance import draw_importance
from analysis.plots.misclassified import draw_misclassified
from analysis.plots.pairs import draw_pairs
from analysis.plots.parallel import draw_parallel
from analysis.plots.results import NothingToDrawError, Picture, Results, read_results
from analysis.plots.slices import draw_slices
from analysis.plots.style import DPI, add_title, drawing_into, plot_style
from analysis.plots.titles import insert_titles
from analysis.plots.trial_curves import draw_trial_curves
from analysis.records.files import PLOTS_FOLDER
from analysis.storage.folder import Folder

Format = Literal["png", "svg", "pdf"]

# Metadata without date and version, so that the same results give the same bytes.
_FORMATS: dict[Format, tuple[Any, dict[str, None]]] = {
    "png": (FigureCanvasAgg, {"Software": None}),
    "svg": (FigureCanvasSVG, dict.fromkeys(("Date", "Creator", "Format", "Type"))),
    "pdf": (FigureCanvasPdf, {"CreationDate": None, "Creator": None, "Producer": None}),
}


@dataclass(frozen=True)
class Plot:
    """A plot that a sweep may have.

    `name` is that of its file, without the extension. `draw` draws it without the title, and
    raises NothingToDrawError if the results lack what it shows; call it within `plot_style`.
    """

    name: str
    title: str
    draw: Callable[[Results], Picture]


CONFIRMATION_PLOTS = (
    Plot("final-accuracies", "Final test accuracy of all arms", draw_final_accuracies),
    Plot("comparison", "Test accuracy and loss of all arms", draw_comparison_curves),
)
SEARCH_PLOTS = (
    Plot("best-so-far", "Best score so far", draw_best_so_far),
    Plot("learning-curves", "Learning curves of the search", draw_trial_curves),
    Plot("slices", "Score against each hyperparameter", draw_slices),
    Plot("pairs", "Score against each pair of hyperparameters", draw_pairs),
    Plot("parallel-coordinates", "Parallel coordinates", draw_parallel),
    Plot("importance", "Hyperparameter importance", draw_importance),
)
MODEL_PLOTS = (
    Plot("confusion-matrix", "Confusion matrix", draw_confusion),
    Plot("misclassified", "Misclassified images, most confident first", draw_misclassified),
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


def draw(plot: Plot, results: Results, axes: Axes | None = None) -> Figure:
    """Draw one plot with its title into `axes`, or in the style of all plots into a new figure.

    NothingToDrawError if the results lack what it shows, SeveralAxesError if it has several axes
    and `axes` are given.
    """
    with plot_style(), drawing_into(axes):
        figure = plot.draw(results).figure
        if axes is None:
            add_title(figure, plot.title)
            return figure
        axes.set_title(plot.title, pad=18)
        found = axes.get_figure(root=True)
        assert found is not None
        return found


def render(
    plot: Plot, results: Results, file_format: Format, *, dpi: int = DPI
) -> tuple[bytes, str]:
    """Return one plot as the bytes of a file, and its alternative text.

    The same results always give the same bytes. `dpi` is the resolution of a PNG, and of the
    rasterized parts of a vector format. NothingToDrawError if the results lack what it shows.
    """
    return render_drawing(lambda: plot.draw(results), plot.title, file_format, dpi=dpi)


def render_drawing(
    draw: Callable[[], Picture], title: str, file_format: Format, *, dpi: int = DPI
) -> tuple[bytes, str]:
    """Return what `draw` draws, with its title, as `render` does."""
    with plot_style(), warnings.catch_warnings():
        # The name of a sweep may use a script that the font lacks: it shows boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        picture = draw()
        add_title(picture.figure, title)
        picture.figure.dpi = dpi
        mpl.rcParams["svg.hashsalt"] = title  # a page may have several pictures
        make_canvas, metadata = _FORMATS[file_format]
        buffer = io.BytesIO()
        # Figure.savefig would draw everything twice, once for the layout.
        print_to = getattr(make_canvas(picture.figure), f"print_{file_format}")
        print_to(buffer, metadata=metadata)
        data = buffer.getvalue()
        return insert_titles(data) if file_format == "svg" else data, picture.alt


def draw_all(
    folder: Folder, file_format: Format, out: Folder | None = None
) -> tuple[list[str], dict[str, str]]:
    """Draw every plot of the sweep in `folder` into `out`; files of the same names are replaced.

    By default `out` is the sweep's own `plots/`. Only there, plots that can no longer be drawn
    are deleted.

    Returns:
        The paths of the pictures, in order, and why each other plot is not drawn, by its name.

    Raises:
        FileNotFoundError, LedgerError: See `read_results`.
    """
    target = folder.child(PLOTS_FOLDER) if out is None else out
    results, files, skipped = read_results(folder), [], {}
    for plot in list_plots(results):
        file = f"{plot.name}.{file_format}"
        try:
            target.write(file, render(plot, results, file_format)[0])
        except NothingToDrawError as nothing:
            skipped[plot.name] = str(nothing)
            if out is None:
                target.delete(file)
        else:
            files.append(target.display_path(file))
    return files, skipped
