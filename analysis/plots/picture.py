"""A drawn picture, and its bytes in a file format."""

import io
import warnings
from dataclasses import dataclass
from typing import Any, Literal, get_args

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

Format = Literal["png", "svg", "pdf"]

_CANVASES: dict[str, Any] = {
    "png": FigureCanvasAgg,
    "svg": FigureCanvasSVG,
    "pdf": FigureCanvasPdf,
}
# No date and no version: the same results give the same bytes.
_METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


class NothingToDrawError(Exception):
    """The results have nothing for a picture; the message says what is missing."""


@dataclass(frozen=True)
class Picture:
    """A figure, with what it shows in words for those who cannot see it."""

    figure: Figure
    alt: str


def check_format(name: str) -> Format:
    """Returns `name`, a format that pictures can have.

    Raises:
        ValueError: If they cannot.
    """
    for known in get_args(Format):
        if name == known:
            return name  # type: ignore[return-value]
    raise ValueError(f"`format` must be one of {', '.join(get_args(Format))}, but got {name}")


def encode(figure: Figure, file_format: Format, dpi: int) -> bytes:
    """Returns the figure as the bytes of a file; call it within `plot_style`.

    `dpi` is the resolution of a PNG, and of what a vector format holds as pixels.
    """
    buffer = io.BytesIO()
    figure.dpi = dpi
    with warnings.catch_warnings():
        # A sweep may be named in a script that the font lacks: it then shows boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        # Figure.savefig would draw everything twice, once to settle the layout.
        canvas = _CANVASES[file_format](figure)
        getattr(canvas, f"print_{file_format}")(buffer, metadata=_METADATA[file_format])
    return buffer.getvalue()
