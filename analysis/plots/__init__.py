"""Comparison plots of a sweep, drawn from its files alone."""

from analysis.plots.gallery import Drawn, Plot, Rendered, draw_all, list_plots, render
from analysis.plots.picture import NothingToDrawError
from analysis.plots.results import Results, read_results

__all__ = [
    "Drawn",
    "NothingToDrawError",
    "Plot",
    "Rendered",
    "Results",
    "draw_all",
    "list_plots",
    "read_results",
    "render",
]
