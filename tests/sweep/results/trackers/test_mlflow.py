"""Against MLflow on SQLite. It takes a minute to install: where it is missing, this is skipped."""

from pathlib import Path
from typing import Any

import pytest

import synthetic
from analysis.records.confirmation import Confirmation
from analysis.records.files import checkpoint_name, trial_name
from analysis.records.ledger import read_ledger
from analysis.results.selection import rank_trials
from analysis.results.state import state_at_rest
from appending import append
from in_memory import trial_ended, trial_epoch
from sweep.errors import TrackerError
from sweep.results.best import best_document
from sweep.results.note import result_note
from sweep.results.trackers.mirror import mirror

mlflow = pytest.importorskip("mlflow")
pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("default")]


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a new database; artifacts are written beside it."""
    monkeypatch.chdir(tmp_path)
    return f"sqlite:///{tmp_path}/mlflow.db"


def runs_of(uri: str, name: str) -> tuple[Any, dict[str, Any]]:
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name(name)
    runs = client.search_runs([experiment.experiment_id])
    assert len({run.info.run_name for run in runs}) == len(runs)
    return client, {run.info.run_name: run for run in runs}


def curve(client: Any, run: Any, name: str) -> list[tuple[int, float]]:
    history = client.get_metric_history(run.info.run_id, name)
    return sorted((metric.step, metric.value) for metric in history)


def test_sweep_is_mirrored_once_and_grows(make_sweep, database):
    folder, ledger = make_sweep(n_trials=3, n_running=1)
    with folder.lock():
        assert mirror(folder, "mlflow", database, follow=False)[0] == 3
    _, before = runs_of(database, folder.name)
    assert before["trial-0003"].info.status == "RUNNING"
    assert mirror(folder, "mlflow", database, follow=False)[1] == 2  # and the best, with its note
    _, before = runs_of(database, folder.name)
    assert before["trial-0003"].info.status == "KILLED"
    append(folder, trial_epoch(3, 3, 0.97), trial_ended(3, "FAILED", "diverged"))
    ledger = read_ledger(folder)
    synthetic.write_confirmed(folder, ledger, 1)
    folder.write("report.html", b"<p>the report</p>")
    best = trial_name(rank_trials(ledger)[0].trial.trial_id)
    folder.write(checkpoint_name(best), b"weights")
    confirmation = Confirmation.read(folder)
    assert confirmation is not None
    for n_left in (2 + len(confirmation.runs), 0):  # the best trial, too, has a result now
        n_runs, n_new, where = mirror(folder, "mlflow", database, follow=False)
        client, runs = runs_of(database, folder.name)
        assert n_runs == len(runs) == 3 + len(confirmation.runs)
        assert n_new == n_left
        assert where == f"MLflow experiment {folder.name} at {database}"
        assert all(runs[name].info.run_id == run.info.run_id for name, run in before.items())
        for trial in ledger.trials.values():
            run = runs[f"trial-{trial.trial_id:04}"]
            expected = [(epoch.epoch, epoch.val_accuracy) for epoch in trial.epochs]
            assert curve(client, run, "val_accuracy") == expected
            assert float(run.data.params["dropout"]) == trial.hyperparameters["dropout"]
            assert run.data.params["origin"] == trial.origin
            assert run.data.tags["state"] == trial.state
            is_best = trial is rank_trials(ledger)[0].trial
            assert (run.data.tags.get("best") == "true") == is_best
            assert bool(run.data.tags.get("mlflow.note.content")) == is_best
            assert (run.data.tags["kind"], run.data.params["arm"]) == ("trial", "trial")
            assert run.info.status == ("FAILED" if trial.state == "FAILED" else "FINISHED")
        for confirmed in confirmation.runs.values():
            run = runs[f"confirm-{confirmed.arm}-seed-{confirmed.seed}"]
            expected = [(epoch.epoch, epoch.val_accuracy) for epoch in confirmed.epochs]
            assert curve(client, run, "test_accuracy") == expected
    assert runs["trial-0003"].data.tags["reason"] == "diverged"
    about = client.get_experiment_by_name(folder.name).tags["mlflow.note.content"]
    assert about == result_note(folder, ledger, confirmation, state_at_rest(ledger, confirmation))
    best = runs[f"trial-{rank_trials(ledger)[0].trial.trial_id:04}"]
    confirmed = best_document(folder, ledger)["confirmed"]
    assert best.data.metrics["test_accuracy_mean"] == confirmed["test_accuracy_mean"]
    files = [file.path for file in client.list_artifacts(best.info.run_id)]
    assert files == ["report.html", best.info.run_name + ".pt"]


def test_result_that_falls_and_a_report_that_comes_later_are_mirrored(
    make_sweep, database, monkeypatch
):
    folder, ledger = make_sweep(n_trials=3)
    synthetic.write_confirmed(folder, ledger, 1)
    found = []
    for accuracies in ({7: 0.9925}, {7: 0.9925, 8: 0.9905}):
        with monkeypatch.context() as patch:
            patch.setattr(Confirmation, "test_accuracies", lambda *_, a=accuracies: a)
            assert mirror(folder, "mlflow", database, follow=False)[1] >= 1
        _, runs = runs_of(database, folder.name)
        best = runs[f"trial-{rank_trials(ledger)[0].trial.trial_id:04}"]
        found.append(best.data.metrics["test_accuracy_mean"])
    assert found == pytest.approx([0.9925, 0.9915])
    mirror(folder, "mlflow", database, follow=False)
    for n_new in (1, 0):
        folder.write("report.html", b"<p>the report</p>")
        assert mirror(folder, "mlflow", database, follow=False)[1] == n_new


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("http://[::1", "."),
        ("sqlite:////proc/nowhere/runs.db", "."),
        ("http://127.0.0.1:9", r"127\.0\.0\.1"),  # a server that does not answer
    ],
)
def test_place_that_cannot_be_used_ends_in_one_line(uri, says, make_sweep, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    folder, _ = make_sweep(n_trials=1)
    with pytest.raises(TrackerError, match=rf"^mlflow cannot be used: .*{says}") as caught:
        mirror(folder, "mlflow", uri, follow=False)
    assert "\n" not in str(caught.value)
