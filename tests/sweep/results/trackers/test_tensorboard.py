import shutil
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

import synthetic
from analysis.records.confirmation import Confirmation
from analysis.results.selection import rank_trials, trial_score
from analysis.results.state import state_at_rest
from appending import append
from in_memory import trial_ended
from sweep.errors import TrackerError, UsageError
from sweep.results.best import best_document
from sweep.results.note import result_note
from sweep.results.trackers.mirror import mirror

MEAN = "test_accuracy_mean"


def read(path: Path) -> EventAccumulator:
    events = EventAccumulator(str(path))
    events.Reload()
    return events


def curve(events: EventAccumulator, tag: str) -> dict[int, float]:
    return {event.step: event.value for event in events.Scalars(tag)}


def contents(path: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_every_trial_and_confirmation_run_is_in_tensorboard(make_sweep, tmp_path):
    folder, ledger = make_sweep(n_trials=5)
    shift = b'"shift": {"low": 0.0, "high": 0.15}, '
    folder.write("ledger.jsonl", folder.read("ledger.jsonl").replace(shift, b""))  # fixed
    synthetic.write_confirmed(folder, ledger, 1)
    confirmation = Confirmation.read(folder)
    assert confirmation is not None
    n_runs, n_new, where = mirror(folder, "tensorboard", str(tmp_path / "out"), follow=False)
    assert n_new == n_runs == len(ledger.trials) + len(confirmation.runs)
    assert where == f"tensorboard --logdir {tmp_path}/out"
    root = tmp_path / "out" / folder.name
    assert len(contents(root)) == n_runs
    for trial in ledger.trials.values():
        events = read(root / f"trial-{trial.trial_id:04}")
        expected = {epoch.epoch: epoch.val_accuracy for epoch in trial.epochs}
        assert curve(events, "accuracy/val") == pytest.approx(expected)
        assert min(events.Tags()["scalars"]).startswith("accuracy/")
        session = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        values = HParamsPluginData.FromString(session).session_start_info.hparams
        assert values["dropout"].number_value == trial.hyperparameters["dropout"]
        assert values["learning_rate"].number_value == 0.01
        assert values["origin"].string_value == trial.origin
        content = events.SummaryMetadata("_hparams_/experiment").plugin_data.content
        table = HParamsPluginData.FromString(content).experiment
        searched = ["dropout", "rotation", "weight_decay", "arm"]
        assert [info.name for info in table.hparam_infos] == searched
        assert values["dataset"].string_value == "mnist"
        assert [info.name.tag for info in table.metric_infos] == ["score", "accuracy/val"]
        (state,) = events.Tensors("state/text_summary")
        assert state.tensor_proto.string_val[0].decode().startswith(trial.state)
        is_best = trial is rank_trials(ledger)[0].trial
        assert ("result/text_summary" in events.Tags()["tensors"]) == is_best
        if is_best:
            (result,) = events.Tensors("result/text_summary")
            note = result_note(folder, ledger, confirmation, state_at_rest(ledger, confirmation))
            assert result.tensor_proto.string_val[0].decode() == note
            (mean,) = curve(events, MEAN).values()
            assert mean == pytest.approx(best_document(folder, ledger)["confirmed"][MEAN])
        if (score := trial_score(trial)) is not None:
            assert curve(events, "score") == {len(trial.epochs): pytest.approx(score)}
    for run in confirmation.runs.values():
        events = read(root / f"confirm-{run.arm}-seed-{run.seed}")
        expected = {epoch.epoch: epoch.val_accuracy for epoch in run.epochs}
        assert curve(events, "accuracy/test") == pytest.approx(expected)
        assert "accuracy/val" not in events.Tags()["scalars"]


def test_second_mirror_adds_only_what_is_new(make_sweep, tmp_path):
    folder, _ = make_sweep(n_trials=3, n_running=1)
    with folder.lock():
        mirror(folder, "tensorboard", str(tmp_path / "out"), follow=False)
        first = contents(tmp_path / "out")
        mirror(folder, "tensorboard", str(tmp_path / "out"), follow=False)
        assert contents(tmp_path / "out") == first
    append(folder, trial_ended(3, "STOPPED"))
    # As left by a process that was killed while it wrote.
    torn = tmp_path / "out" / folder.name / "trial-0003" / "events.out.tfevents.0.sweep"
    torn.write_bytes(torn.read_bytes()[:-7])
    mirror(folder, "tensorboard", str(tmp_path / "out"), follow=False)
    second = contents(tmp_path / "out")
    assert second.keys() == first.keys()
    best = tmp_path / "out" / folder.name / "trial-0001" / torn.name  # it has the result now
    assert {path for path in first if second[path] != first[path]} == {torn, best}
    assert second[best].startswith(first[best])
    assert second[torn].startswith(first[torn])
    assert len(curve(read(torn.parent), "accuracy/val")) == 2


def test_interrupted_run_that_continues_is_written_again(make_sweep, tmp_path):
    folder, _ = make_sweep(n_trials=2, n_running=1)
    run = tmp_path / "out" / folder.name / "trial-0002"
    for ended, state in ((False, b"INTERRUPTED"), (True, b"STOPPED")):
        if ended:
            append(folder, trial_ended(2, "STOPPED"))
        mirror(folder, "tensorboard", str(tmp_path / "out"), follow=False)
        (text,) = read(run).Tensors("state/text_summary")
        assert text.tensor_proto.string_val[0] == state


def test_files_of_another_sweep_are_left_alone(make_sweep, tmp_path):
    folder, _ = make_sweep(n_trials=1)
    mirror(folder, "tensorboard", str(tmp_path / "out"), follow=False)
    before = contents(tmp_path / "out")
    shutil.rmtree(folder.path)
    other, _ = make_sweep(n_trials=1, seed=1)
    with pytest.raises(UsageError, match=r"of another sweep with this name; delete .*--out"):
        mirror(other, "tensorboard", str(tmp_path / "out"), follow=False)
    assert contents(tmp_path / "out") == before


def test_folder_that_cannot_be_written_is_named(make_sweep, tmp_path):
    folder, _ = make_sweep(n_trials=1)
    (tmp_path / "file").touch()
    with pytest.raises(TrackerError, match=r"^tensorboard cannot be used: .*/file/synthetic"):
        mirror(folder, "tensorboard", str(tmp_path / "file"), follow=False)
