"""How every picture looks: one size, one set of fonts, one palette."""

import itertools
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from numpy.typing import NDArray

WIDTH = 8.8  # inches: 880 pixels where a page shows the picture at 100 a inch
DPI = 200
_MARGIN = 0.1  # inches left of the words
_ABOUT_LENGTH = 112  # characters of the plain size that fit the width
_NOTE_LENGTH = 132  # characters of the note's size that fit the width
_KEYS_TOP = 0.64  # inches from the top to the row of keys

INK = "#222222"
MUTED = "#595959"
FAINT = "#A3A3A3"
GRID = "#E4E4E4"

# Okabe and Ito, "Color Universal Design" (2008): told apart by the colour-blind, too.
BLUE = "#0072B2"
ORANGE = "#E69F00"
GREEN = "#009E73"
VERMILLION = "#D55E00"
PURPLE = "#CC79A7"
SKY = "#56B4E9"
STOPPED = "#D9912B"  # the orange, dark enough for thin marks
SHADE = "#DCEBF5"

STYLE: Any = {
    "font.family": ["DejaVu Sans"],
    "font.size": 10,
    "mathtext.fontset": "dejavusans",
    "text.color": INK,
    "text.parse_math": False,  # a name with two dollar signs is a name
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.labelsize": 10,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "svg.fonttype": "path",
    "svg.hashsalt": "lenet-sweep",
    "pdf.fonttype": 42,
}


@dataclass(frozen=True)
class Look:
    """How one arm is drawn wherever it appears."""

    color: str
    line: Any
    marker: str


_FINALISTS = (
    Look(BLUE, "-", "o"),
    Look(SKY, (0, (5, 1.5)), "P"),
    Look(ORANGE, (0, (3, 1, 1, 1)), "X"),
)
_BASELINES = {
    "hand-tuned": Look(VERMILLION, (0, (5, 1.5)), "s"),
    "lenet5": Look(PURPLE, (0, (1.5, 1.2)), "D"),
    "mlp": Look("#4D4D4D", (0, (3, 1.2, 1, 1.2, 1, 1.2)), "v"),
}
_OTHER_BASELINES = (
    Look(GREEN, (0, (6, 1.5, 1.5, 1.5)), "^"),
    Look("#8C6D31", (0, (8, 2)), "p"),
)


def arm_looks(roles: dict[str, str]) -> dict[str, Look]:
    """Returns each arm's look, from the arms' roles in order (`finalist` or `baseline`).

    The baselines that every sweep has look the same in every sweep.
    """
    finalists, others = itertools.cycle(_FINALISTS), itertools.cycle(_OTHER_BASELINES)
    looks = {}
    for arm, role in roles.items():
        if role == "finalist":
            looks[arm] = next(finalists)
        else:
            looks[arm] = _BASELINES.get(arm) or next(others)
    return looks


@contextmanager
def plot_style() -> Iterator[None]:
    """Draws with this style and matplotlib's own defaults, whatever the user's settings."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


@dataclass(frozen=True)
class Frame:
    """The words around the axes: a title, a line about it, a row of keys, a note below.

    Attributes:
        title: What the picture shows.
        about: Of which sweep, and what came out.
        keys: For how many rows of `add_keys` room is left.
        note: What a reader must know to read it right; it is wrapped.
    """

    title: str
    about: str
    keys: int = 0
    note: str = ""


def new_figure(height: float, frame: Frame) -> Figure:
    """Returns a figure of the common width, `height` inches high, with its words set."""
    figure = Figure(figsize=(WIDTH, height))
    notes = textwrap.wrap(frame.note, _NOTE_LENGTH)
    top = _KEYS_TOP + (0.05 if frame.keys else 0) + 0.2 * frame.keys
    bottom = 0.1 + 0.17 * len(notes)
    area = (0, bottom / height, 1, 1 - (top + bottom) / height)
    figure.set_layout_engine("constrained", rect=area, w_pad=0.08, h_pad=0.06)
    left = _MARGIN / WIDTH
    figure.text(left, 1 - 0.1 / height, frame.title, size=13, weight="bold", va="top")
    figure.text(
        left, 1 - 0.36 / height, one_line(frame.about, _ABOUT_LENGTH), color=MUTED, va="top"
    )
    figure.text(left, 0.07 / height, "\n".join(notes), size=8.5, color=MUTED, va="bottom")
    return figure


def add_keys(figure: Figure, handles: Sequence[Artist], n_rows: int = 1) -> None:
    """Puts the keys of what is drawn into the rows that the frame left for them."""
    height = figure.get_figheight()
    legend = figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(_MARGIN / WIDTH, 1 - (_KEYS_TOP - 0.03) / height),
        ncols=-(-len(handles) // n_rows),
        labelspacing=0.3,
        borderpad=0,
        borderaxespad=0,
        handletextpad=0.5,
        columnspacing=1.6,
    )
    legend.set_in_layout(False)


def sequence(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns colours from pale (0) to dark (1) for the n `positions`: RGBA [n, 4]."""
    # Its palest part would not be seen on white, its darkest looks black.
    return np.asarray(mpl.colormaps["viridis_r"](0.08 + 0.72 * positions))


def one_line(text: str, longest: int = 60) -> str:
    """Returns a user's text fit for a picture: on one line, and not too long."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= longest else text[: longest - 1] + "…"


def counted(n: int, noun: str) -> str:
    """Returns `n` with its noun, in the plural where it must be."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
