"""Every comparison plot of a sweep, drawn from its files alone."""

from analysis.plots.gallery import Drawn, Plot, Rendered, Skipped, draw_all, list_plots, render
from analysis.plots.results import Results, read_results

__all__ = [
    "Drawn",
    "Plot",
    "Rendered",
    "Results",
    "Skipped",
    "draw_all",
    "list_plots",
    "read_results",
    "render",
]
