"""Sweeps from Python: the tables, plots and errors, and real sweeps in a notebook."""

import json
from pathlib import Path
from statistics import fmean
from typing import Any

import nbformat
import numpy as np
import pytest
from matplotlib import pyplot
from nbclient import NotebookClient

import sweep
import synthetic
from sweep.errors import DataError, NoTrialError, UsageError

SMALL = {
    "model": "mlp",
    "recipe.batch_size": 1000,
    "space": {"weight_decay": {"low": 1e-6, "high": 1e-2, "log": True}},
    "scheduler": "none",
}


def test_confirmed_sweep_is_tables_a_best_trial_and_a_verdict(make_sweep, tmp_path):
    folder, ledger = make_sweep(name="made", n_trials=12)
    synthetic.write_confirmed(folder, ledger, 4)
    made = sweep.open(storage=tmp_path / "storage")
    assert repr(made) == f"<sweep made in {tmp_path}/storage>"
    best = made.best
    row = made.trials.loc[best["trial_id"]]
    assert (row["val_accuracy"], row["dropout"]) == (
        best["val_accuracy"],
        best["hyperparameters"]["dropout"],
    )
    assert len(made.epochs) == sum(made.trials["epochs"])
    finalist = made.runs[made.runs["role"] == "finalist"]
    assert fmean(finalist["test_accuracy"]) == best["confirmed"]["test_accuracy_mean"]
    assert made.verdict == best["confirmed"]["verdict"]
    assert Path(made.report()).read_text().startswith("<!DOCTYPE html>")


def test_unfinished_sweep_has_no_best_trial_and_no_runs(make_sweep, tmp_path):
    make_sweep(name="made", n_trials=2, n_running=2)
    made = sweep.open("made", storage=tmp_path / "storage")
    assert (set(made.trials["state"]), len(made.runs)) == ({"RUNNING"}, 0)
    with pytest.raises(NoTrialError, match="no trial of made has run all its epochs yet"):
        _ = made.best
    with pytest.raises(UsageError, match="there is no sweep 'mad'.*; did you mean made"):
        sweep.open("mad", storage=tmp_path / "storage")
    with pytest.raises(UsageError, match="opened by its name"):
        sweep.open(tmp_path / "storage" / "made")
    with pytest.raises(UsageError, match="`storage` must be a path or a URI, not of type int"):
        sweep.open("made", storage=5)  # type: ignore[arg-type]


def test_plot_is_a_figure_or_is_drawn_into_axes(make_sweep, tmp_path):
    make_sweep(name="made", n_trials=12)
    made = sweep.open("made", storage=tmp_path / "storage")
    figure = made.plot("best-so-far")
    assert [text.get_text() for text in figure.texts][-1] == "Best score so far"
    mine, axes = pyplot.subplots(1, 2)
    assert made.plot("learning-curves", ax=axes[1]) is mine
    assert (axes[0].has_data(), axes[1].has_data()) == (False, True)
    legend = axes[1].get_legend()
    assert legend is not None
    assert any("best: trial" in text.get_text() for text in legend.get_texts())
    with pytest.raises(UsageError, match="slices has several axes, which do not fit into `ax`"):
        made.plot("slices", ax=axes[0])
    pyplot.close(mine)
    with pytest.raises(UsageError, match="no plot 'slice'; did you mean `slices`"):
        made.plot("slice")
    with pytest.raises(UsageError, match=r"no plot \['slices'\]"):
        made.plot(["slices"])  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="confusion-matrix is not drawn: the sweep is not conf"):
        made.plot("confusion-matrix")
    assert "confusion-matrix" in made.plots


WRONG = (
    {"preset": "fast"},
    {"settings": {"dropout": 0.3}},
    {"settings": ["recipe.dropout=0.3"]},
    {"name": "a/b"},
    {"settings": {"recipe.batch_size": np.int64(0)}},
    {"settings": {"space.batch_size": {1, 2}}},
    {"settings": {"space.batch_size": np.array([0, 64])}},
    {"config": {"trials": 2}},
    {"dataset": 5},
    {"name": 5},
    {"preset": Path("quick")},
    {"from_sweep": sweep},
)


def test_mistakes_are_errors_before_anything_is_written(tmp_path):
    storage = tmp_path / "storage"
    for wrong in WRONG:
        with pytest.raises(UsageError):
            sweep.run(storage=storage, **wrong)
    with pytest.raises(UsageError, match="at most"):
        sweep.run(storage=storage, concurrency=1000)
    assert not storage.exists()


def test_dataset_may_be_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for given in ({"dataset": Path("😀.npz")}, {"settings": {"dataset": Path("./😀.npz")}}):
        with pytest.raises(DataError, match=f"there is no file {tmp_path}/😀.npz"):
            sweep.run(storage=tmp_path / "storage", **given)


def test_numbers_of_seeds_and_trials_at_a_time_are_checked(make_sweep, tmp_path):
    make_sweep(n_trials=4)
    opened = sweep.open("synthetic", storage=tmp_path / "storage")
    for wrong in ({"seeds": 0}, {"top_k": 0}, {"seeds": 5000}, {"concurrency": 0}):
        with pytest.raises(UsageError, match=f"`-*{next(iter(wrong))}` must be at "):
            opened.confirm(**wrong)


def _notebook(storage: Path, *cells: str) -> list[list[Any]]:
    """Execute the cells of a notebook; return the outputs of each."""
    imports = f"import sweep, threading, os, signal\nstorage = {str(storage)!r}"
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(text) for text in (imports, *cells)]
    )
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    return [cell["outputs"] for cell in notebook["cells"][1:]]


def _printed(outputs: list[Any]) -> str:
    return "".join(output["text"] for output in outputs if output["output_type"] == "stream")


@pytest.mark.long
def test_notebook_runs_interrupts_resumes_and_shows_a_sweep(tmp_path):
    run, stopped, resumed, shown = _notebook(
        tmp_path,
        f"""made = sweep.run(preset="quick", name="made", trials=2, epochs=2, search_only=True,
                       settings={SMALL!r}, storage=storage)""",
        """
timer = threading.Timer(15, os.kill, (os.getpid(), signal.SIGINT))
timer.start()
try:
    made.resume(trials=500)
except KeyboardInterrupt:
    print("stopped")""",
        """
stopped = len(made.trials)
threads = [threading.Thread(target=made.resume, kwargs={"trials": stopped + 1})]
for each in threads:
    each.start()
    each.join()
print(set(made.trials["state"]), len(made.trials) - stopped)""",
        "made.plot('best-so-far')",
    )
    assert "sweep made: 2 trials of up to 2 epochs" in _printed(run)
    assert "2/2 trials" in _printed(run)
    assert "interrupted; every finished epoch is kept" in _printed(stopped)
    assert _printed(stopped).endswith("stopped\n")
    assert _printed(resumed).endswith("{'COMPLETE'} 1\n")
    assert "image/png" in shown[0]["data"]
    assert "\x1b" not in json.dumps([run, stopped, resumed])
