"""The common look of all pictures: one width, one set of fonts, one palette."""

import io
import itertools
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from typing_extensions import override

from analysis.formatting import printable
from analysis.records.confirmation import Arm

DPI = 200
_WIDTH = 8.8  # inches
_MARGIN = 0.1  # inches left of the text
_ABOUT_LENGTH = 112  # characters of the subtitle that fit the width
_NOTE_LENGTH = 132  # characters of the note that fit the width
_LEGEND_TOP = 0.64  # inches from the top to the legend

INK = "#222222"
MUTED = "#595959"
FAINT = "#A3A3A3"
GRID = "#E4E4E4"

# Okabe and Ito, "Color Universal Design" (2008): also distinct for color-blind readers.
BLUE = "#0072B2"
ORANGE = "#E69F00"
GREEN = "#009E73"
VERMILLION = "#D55E00"
PURPLE = "#CC79A7"
SKY = "#56B4E9"
STOPPED = "#D9912B"  # the orange, dark enough for thin marks
SHADE = "#DCEBF5"

# Where the pictures differ from matplotlib's own defaults.
_STYLE: Any = {
    # The first comes with matplotlib; a browser without it takes the second, which is as wide.
    "font.sans-serif": ["DejaVu Sans", "Verdana"],
    "text.color": INK,
    "text.parse_math": False,  # dollar signs in a name do not make a formula
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "figure.dpi": DPI,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}

STAR: dict[str, Any] = {"ls": "", "marker": "*", "ms": 12, "mew": 0, "color": INK}
"""How the best trial is marked."""

Look = dict[str, Any]
"""How one arm is drawn in every picture: the properties of its lines."""

_FINALISTS: tuple[Look, ...] = (
    {"color": BLUE, "ls": "-"},
    {"color": SKY, "ls": (0, (5, 1.5))},
    {"color": ORANGE, "ls": (0, (3, 1, 1, 1))},
)
# The number of looks does not divide that of markers, so that no arms look the same.
_FINALIST_MARKERS = "oPXd<h>"
_BASELINES: dict[str, Look] = {
    "hand-tuned": {"color": VERMILLION, "ls": (0, (5, 1.5)), "marker": "s"},
    "lenet5": {"color": PURPLE, "ls": (0, (1.5, 1.2)), "marker": "D"},
    "mlp": {"color": "#4D4D4D", "ls": (0, (3, 1.2, 1, 1.2, 1, 1.2)), "marker": "v"},
}
_OTHER_BASELINES: tuple[Look, ...] = (
    {"color": GREEN, "ls": (0, (6, 1.5, 1.5, 1.5))},
    {"color": "#8C6D31", "ls": (0, (8, 2))},
)
_OTHER_MARKERS = "^ph"


def arm_looks(arms: Mapping[str, Arm]) -> dict[str, Look]:
    """Return each arm's look; the baselines that every sweep has look the same in all of them."""
    finalists = _in_turn(_FINALISTS, _FINALIST_MARKERS)
    others = _in_turn(_OTHER_BASELINES, _OTHER_MARKERS)
    return {
        name: next(finalists) if arm.role == "finalist" else _BASELINES.get(name) or next(others)
        for name, arm in arms.items()
    }


def _in_turn(looks: Sequence[Look], markers: str) -> Iterator[Look]:
    pairs = zip(itertools.cycle(looks), itertools.cycle(markers), strict=False)
    return (look | {"marker": marker} for look, marker in pairs)


@contextmanager
def plot_style() -> Iterator[None]:
    """Draw in this style, whatever the user's own matplotlib settings are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


class _Figure(Figure):
    """A figure that a notebook shows as a picture."""

    legend_rows = 0

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


class SeveralAxesError(Exception):
    """A picture of several axes cannot be drawn into given ones."""


class _Borrowed(Figure):
    """A figure that is not shown: what is drawn goes into given axes, except for the texts."""

    def __init__(self, axes: Axes) -> None:
        super().__init__()
        self.given = axes

    @override
    def subplots(
        self, nrows: int = 1, ncols: int = 1, *, squeeze: bool = True, **options: Any
    ) -> Any:
        if nrows * ncols > 1:
            raise SeveralAxesError
        return self.given if squeeze else np.array([[self.given]])


_given_axes: ContextVar[Axes | None] = ContextVar("_given_axes", default=None)


@contextmanager
def drawing_into(axes: Axes | None) -> Iterator[None]:
    """Draw into the given axes, not into a new figure; a plot of several is a SeveralAxesError."""
    token = _given_axes.set(axes)
    try:
        yield
    finally:
        _given_axes.reset(token)


def new_figure(height: float, about: str, note: str = "", *, legend_rows: int = 0) -> Figure:
    """Return a figure of a height in inches, with space for a title and a legend above the axes.

    `about` is the subtitle: the sweep and its main result. `note` has what a reader must know to
    understand the picture; it is wrapped, below the axes.
    """
    if (axes := _given_axes.get()) is not None:
        return _Borrowed(axes)
    figure = _Figure(figsize=(_WIDTH, height))
    figure.legend_rows = legend_rows
    notes = textwrap.wrap(note, _NOTE_LENGTH)
    top = _LEGEND_TOP + (0.05 if legend_rows else 0) + 0.2 * legend_rows
    bottom = 0.1 + 0.17 * len(notes)
    area = (0, bottom / height, 1, 1 - (top + bottom) / height)
    figure.set_layout_engine("constrained", rect=area, w_pad=0.08, h_pad=0.06)
    left = _MARGIN / _WIDTH
    about = printable(about, _ABOUT_LENGTH)
    figure.text(left, 1 - 0.36 / height, about, color=MUTED, va="top")
    figure.text(left, 0.07 / height, "\n".join(notes), size=8.5, color=MUTED, va="bottom")
    return figure


def add_title(figure: Figure, title: str) -> None:
    """Write the title into the space that `new_figure` left for it."""
    y = 1 - 0.1 / figure.get_figheight()
    figure.text(_MARGIN / _WIDTH, y, title, size=13, weight="bold", va="top")


def add_legend(figure: Figure, handles: Sequence[Artist]) -> None:
    """Draw the legend into the space that `new_figure` left for it."""
    if isinstance(figure, _Borrowed):
        below: Any = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.18), "ncols": 2}
        figure.given.legend(handles=handles, fontsize="small", **below)
        return
    assert isinstance(figure, _Figure)
    height = figure.get_figheight()
    legend = figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(_MARGIN / _WIDTH, 1 - (_LEGEND_TOP - 0.03) / height),
        ncols=-(-len(handles) // figure.legend_rows),
        labelspacing=0.3,
        borderpad=0,
        borderaxespad=0,
        handletextpad=0.5,
        columnspacing=1.6,
    )
    legend.set_in_layout(False)


def sequence(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return colors from pale (0) to dark (1) for n `positions`: RGBA [n, 4]."""
    # The palest part is invisible on white, the darkest looks black.
    return np.asarray(mpl.colormaps["viridis_r"](0.08 + 0.72 * positions))
