import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from analysis.plots.results import NothingToDrawError
from analysis.plots.style import plot_style
from analysis.plots.sweeps_so_far import draw_sweeps_so_far
from in_memory import make_ledger


def test_every_sweep_with_a_complete_trial_is_drawn(some_ledger):
    young = make_ledger((None, {}, [0.9]))
    with plot_style():
        picture = draw_sweeps_so_far({"a": some_ledger, "b": young, "c": some_ledger})
    lines = [line for line in picture.figure.axes[0].get_lines() if line.get_marker() != "*"]
    assert [line.get_label() for line in lines] == ["a: 99.00 %", "c: 99.00 %"]
    assert lines[0].get_xydata().tolist() == [[4, 0.985], [9, 0.99], [11, 0.99]]
    note = picture.figure.texts[1].get_text().replace("\n", " ")
    assert "because no trial ran all its epochs: b." in note
    with pytest.raises(NothingToDrawError):
        draw_sweeps_so_far({"b": young})


def test_legend_of_long_names_fits_the_picture(some_ledger):
    names = [f"{i} fashion-mnist-residual-network" for i in range(3)]
    with plot_style():
        figure = draw_sweeps_so_far(dict.fromkeys(names, some_ledger)).figure
        legend = figure.legends[0].get_window_extent(FigureCanvasAgg(figure).get_renderer())
    assert legend.x1 < figure.bbox.x1
