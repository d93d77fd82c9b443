"""A drawn picture, and its bytes in a file format."""

import io
import warnings
from dataclasses import dataclass
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# Metadata without date and version, so that the same results give the same bytes.
FORMATS: dict[str, tuple[Any, dict[str, None]]] = {
    "png": (FigureCanvasAgg, {"Software": None}),
    "svg": (FigureCanvasSVG, {"Date": None, "Creator": None}),
    "pdf": (FigureCanvasPdf, {"CreationDate": None, "Creator": None, "Producer": None}),
}


class NothingToDrawError(Exception):
    """The results lack what a plot shows; the message says what is missing."""


@dataclass(frozen=True)
class Picture:
    """A figure, and its contents in words for readers who cannot see it."""

    figure: Figure
    alt: str


def encode(figure: Figure, file_format: str, dpi: int) -> bytes:
    """Return the figure as the bytes of a file; call it within `plot_style`.

    `dpi` is the resolution of a PNG, and of the rasterized parts of a vector format.
    """
    buffer = io.BytesIO()
    figure.dpi = dpi
    make_canvas, metadata = FORMATS[file_format]
    with warnings.catch_warnings():
        # The name of a sweep may use a script that the font lacks: it shows boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        # Figure.savefig would draw everything twice, once for the layout.
        getattr(make_canvas(figure), f"print_{file_format}")(buffer, metadata=metadata)
    return buffer.getvalue()
