import itertools
import re
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from analysis.plots.gallery import (
    CONFIRMATION_PLOTS,
    MODEL_PLOTS,
    SEARCH_PLOTS,
    Plot,
    arm_plots,
    draw_all,
    list_plots,
    render,
)
from analysis.plots.results import NothingToDrawError, Results, read_results
from analysis.plots.style import add_title, plot_style
from analysis.records.predictions import ShownImages
from analysis.storage.local_folder import LocalFolder
from in_memory import make_confirmation, make_ledger

SMALL = {"n_trials": 28, "epochs": 4, "failure_rate": 0.1}


def test_draw_all_writes_every_plot(confirmed_folder, tmp_path):
    folder = confirmed_folder({**SMALL, "scheduler": "none"}, n_seeds=2)
    files, skipped = draw_all(folder, "png", LocalFolder(tmp_path / "out"))
    assert [Path(file).name for file in files] == [
        "final-accuracies.png",
        "comparison.png",
        *(f"curves-{arm}.png" for arm in read_results(folder).confirmed().arms),
        "best-so-far.png",
        "learning-curves.png",
        "slices.png",
        "pairs.png",
        "parallel-coordinates.png",
        "importance.png",
        "confusion-matrix.png",
        "misclassified.png",
    ]
    assert skipped == {}
    for file in files:
        data = Path(file).read_bytes()
        assert data.startswith(b"\x89PNG\r\n\x1a\n")
        assert int.from_bytes(data[16:20], "big") == 1760


def test_draw_all_of_an_unconfirmed_sweep_deletes_what_cannot_be_drawn_any_more(add_sweep):
    """In the sweep's own folder, and only files that it writes itself."""
    folder = add_sweep(n_trials=1, n_running=1)
    own, elsewhere = folder.child("plots"), folder.child("elsewhere")
    for out in (own, elsewhere):
        for name in ("misclassified.png", "misclassified.svg", "mine.png"):
            out.write(name, b"old")
    files, skipped = draw_all(folder, "png")
    written = [file.rpartition("/")[2] for file in files]
    assert written == ["learning-curves.png"]
    assert own.files() == sorted([*written, "mine.png", "misclassified.svg"])
    unconfirmed = [name for name, reason in skipped.items() if "not confirmed" in reason]
    assert unconfirmed == [plot.name for plot in (*CONFIRMATION_PLOTS, *MODEL_PLOTS)]
    draw_all(folder, "png", elsewhere)
    assert elsewhere.read("misclassified.png") == b"old"


def test_text_in_svg_is_text(some_ledger):
    svg, _ = render(SEARCH_PLOTS[0], Results(some_ledger, None, {}, ShownImages.none()), "svg")
    assert re.search(rb"font-family: [^;]*, sans-serif;[^>]*>validation accuracy \(%\)<", svg)


@pytest.mark.parametrize("n_trials", [0, 3])
def test_plots_say_what_they_lack(n_trials):
    ledger = make_ledger(*[("FAILED", {}, [])] * n_trials)
    confirmation = make_confirmation({"finalist": {1: None}})
    results = Results(ledger, confirmation, {}, ShownImages.none())
    reasons = {}
    for plot in list_plots(results):
        with pytest.raises(NothingToDrawError) as nothing:
            render(plot, results, "png")
        reasons[plot.name] = str(nothing.value)
    no_trial = "no trial has run all its epochs"
    no_finalist = "the best trial is not confirmed yet"
    assert reasons == {
        "final-accuracies": "no run of the confirmation has finished",
        "comparison": "no run of the confirmation has finished",
        "curves-finalist": "no run of the finalist has finished",
        "best-so-far": no_trial,
        "learning-curves": "no trial has finished an epoch",
        "slices": no_trial,
        "pairs": no_trial,
        "parallel-coordinates": no_trial,
        "importance": no_trial,
        "confusion-matrix": no_finalist,
        "misclassified": no_finalist,
    }


def drawn_texts(figure: Figure, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Bbox]]:
    """Draws a figure and returns every text in it with its place, in pixels."""
    texts = []
    draw = Text.draw

    def record(self: Text, renderer: RendererBase) -> None:
        if self.get_visible() and self.get_text().strip():
            texts.append((self.get_text(), self.get_window_extent(renderer)))
        draw(self, renderer)

    with monkeypatch.context() as patched:
        patched.setattr(Text, "draw", record)
        FigureCanvasAgg(figure).draw()
    return texts


def assert_legible(
    results: Results, monkeypatch: pytest.MonkeyPatch, plots: Sequence[Plot] = ()
) -> None:
    """Asserts that in no picture a text leaves the figure or overlaps another."""
    # The arms' curves only differ in their lines.
    every = [*CONFIRMATION_PLOTS, *arm_plots(results)[:1], *SEARCH_PLOTS, *MODEL_PLOTS]
    for plot in plots or every:
        with plot_style():
            try:
                figure = plot.draw(results).figure
            except NothingToDrawError:
                continue
            add_title(figure, plot.title)
            figure.dpi = 100
            texts = drawn_texts(figure, monkeypatch)
        frame = figure.bbox.padded(1)
        for text, box in texts:
            assert frame.x0 <= box.x0 <= box.x1 <= frame.x1, (plot.name, text, box)
            assert frame.y0 <= box.y0 <= box.y1 <= frame.y1, (plot.name, text, box)
        for (text, box), (other, other_box) in itertools.combinations(texts, 2):
            shared = Bbox.intersection(box, other_box)
            overlap = shared is not None and shared.width > 2 and shared.height > 2
            assert not overlap, (plot.name, text, other)


@pytest.mark.parametrize(
    ("search", "confirming"),
    [
        pytest.param(
            {"n_trials": 24, "failure_rate": 0.2},
            {"n_seeds": 5, "top_k": 3},
            id="failures",
            marks=pytest.mark.long,
        ),
        pytest.param(
            {"n_trials": 12, "n_running": 2, "decaying": True, "scheduler": "none"},
            {"n_seeds": 1, "predictions": False},
            id="unfinished",
            marks=pytest.mark.long,
        ),
        pytest.param(
            {"n_trials": 2, "epochs": 1},
            {"n_seeds": 2, "fails_in": "mlp", "predictions": False},
            id="tiny",
        ),
        pytest.param(
            {"n_trials": 1, "epochs": 200, "name": "long-name-" * 12},
            {"n_seeds": 2},
            id="long",
            marks=pytest.mark.long,
        ),
        pytest.param(
            {"n_trials": 200, "name": "掃引 $x"},
            {"n_seeds": 2, "predictions": False},
            id="many",
            marks=pytest.mark.long,
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:Glyph .* missing from font")
def test_texts_are_legible(confirmed_folder, monkeypatch, search, confirming):
    assert_legible(read_results(confirmed_folder(search, **confirming)), monkeypatch)


def test_texts_are_legible_in_a_wide_space_with_hostile_names(monkeypatch):
    numbers = [f"hyperparameter_{i}" for i in range(6)]
    space = {name: {"low": 1e-5, "high": 1.0, "log": True} for name in numbers}
    choices = {"schedule": ["constant", "linear", "$x_1$ and $y$"], "flag": [True, False]}
    drawn = {"schedule": "$x_1$ and $y$", "flag": True}
    trials = [
        ("COMPLETE", dict.fromkeys(numbers, 0.1 / i) | drawn, [0.1 * i] * 4) for i in range(1, 11)
    ]
    results = Results(make_ledger(*trials, space=space | choices), None, {}, ShownImages.none())
    assert_legible(results, monkeypatch)
    # The pairs of the choices, too, which are the last of the hyperparameters above.
    (pairs,) = [plot for plot in SEARCH_PLOTS if plot.name == "pairs"]
    results = Results(make_ledger(*trials, space=choices | space), None, {}, ShownImages.none())
    assert_legible(results, monkeypatch, [pairs])


@pytest.mark.long
def test_draw_all_of_a_thousand_trials_is_quick(confirmed_folder, tmp_path):
    folder = confirmed_folder({"n_trials": 1000}, n_seeds=10, top_k=3)
    begin = time.process_time()
    draw_all(folder, "png", LocalFolder(tmp_path / "out"))
    assert time.process_time() - begin < 20
