"""Comparison plots of a sweep, drawn from its files alone."""

from analysis.plots.gallery import Drawn, Plot, draw_all, list_plots, render
from analysis.plots.results import NothingToDrawError, Results, read_results

__all__ = [
    "Drawn",
    "NothingToDrawError",
    "Plot",
    "Results",
    "draw_all",
    "list_plots",
    "read_results",
    "render",
]
