import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from ray.tune.experiment import Trial

from analysis.errors import StorageError
from analysis.records.epochs import Epoch
from analysis.storage.folder import Folder
from config_ledgers import make_result
from data_utils.dataset import TrainTest
from sweep.config import Resources
from sweep.training.assignment import Assignment, Report
from sweep.tuning import engine as engine_module
from sweep.tuning.engine import Engine, ListSearcher, Recorder
from sweep.tuning.trainable import SweepTrainable

_SNAPSHOT = "experiment_state*"


class ListRecorder(Recorder):
    """Keeps every event in a list; `fails_at` is the kind that it cannot record, once."""

    def __init__(self, folder: Folder, fails_at: str | None = None) -> None:
        super().__init__(folder, lambda: self.events.append(("step",)))
        self.begin(Mock(), Mock(), 100)
        self.events: list[tuple[Any, ...]] = []
        self.reports: dict[str, Report | None] = {}
        self._fails_at = fails_at

    def _record(self, kind: str, assignment: Assignment, *more: Any) -> None:
        if kind == self._fails_at:
            self._fails_at = None
            raise OSError(28, "No space left on device")
        self.events.append((kind, assignment.name, *more))

    def start(self, assignment: Assignment) -> None:
        self._record("start", assignment)

    def n_epochs(self, assignment: Assignment) -> int:
        return len(self.of(assignment.name, "epoch"))

    def epoch(self, assignment: Assignment, metrics: Epoch) -> None:
        self._record("epoch", assignment, metrics.epoch)

    def notice(self, assignment: Assignment, text: str) -> None:
        self._record("notice", assignment, text)

    def end(self, assignment: Assignment, report: Report | None, reason: str | None) -> None:
        self.reports[assignment.name] = report
        self._record("end", assignment, report.outcome() if report else None, reason)

    def of(self, name: str, kind: str) -> list[Any]:
        return [event[2] for event in self.events if event[:2] == (kind, name)]


def _assignment(name: str, **change: Any) -> Assignment:
    values = {"seed": 1, "model": "mlp", "epochs": 2, "hyperparameters": {}, **change}
    return Assignment(name=name, **values)


def _trial(
    result: dict[str, Any] | None = None, error_file: Path | None = None, tune_id: str = "a"
) -> Any:
    """A trial as Tune passes it to a callback."""
    config = {"assignment": _assignment("t")}
    return Mock(trial_id=tune_id, config=config, last_result=result, error_file=error_file)


@pytest.fixture
def recorder(folder: Folder) -> ListRecorder:
    return ListRecorder(folder)


def test_recorder_records_each_epoch_once(recorder):
    for result in (
        make_result(0.5),
        make_result(0.5, 0.6),
        make_result(0.5, 0.6, past=True),  # reported again after a retry
        make_result(0.5, 0.6, 0.7, 0.8, past=True),  # two of them lost with a driver
        Report(notice="over").to_result(),
    ):
        recorder.on_trial_result(trial=_trial(), result=result)
    epochs = [("epoch", "t", epoch) for epoch in (1, 2, 3, 4)]
    assert recorder.events == [*epochs, ("notice", "t", "over")]


def test_recorder_records_the_end_and_writes_the_traceback_of_a_failure(recorder, folder):
    for n_epochs in (4, 3):
        recorder.on_trial_complete(trial=_trial(make_result(*[0.9] * n_epochs)))
    for traceback in (None, "Traceback …"):
        result = Report(failure="KeyError: 'x'", traceback=traceback).to_result()
        recorder.on_trial_complete(trial=_trial(result))
        assert folder.exists("failures/t.txt") == bool(traceback)
    assert recorder.events == [
        ("end", "t", "COMPLETE", None),
        ("end", "t", "STOPPED", None),
        ("end", "t", "FAILED", "KeyError: 'x'"),
        ("end", "t", "FAILED", "KeyError: 'x' (traceback in failures/t.txt)"),
    ]


def test_recorder_records_dead_processes(recorder, tmp_path):
    memory = tmp_path / "error.txt"
    memory.write_text("ray.exceptions.OutOfMemoryError: Task was killed")
    recorder.on_trial_recover(iteration=1, trial=_trial(error_file=tmp_path / "none.txt"))
    recorder.on_trial_result(trial=_trial(), result=make_result(0.5))
    recorder.on_trial_recover(iteration=2, trial=_trial(error_file=memory))
    recorder.on_trial_error(iteration=3, trial=_trial())
    recorder.on_trial_error(iteration=4, trial=_trial(error_file=memory))
    assert [event[2:] for event in recorder.events if event[0] in ("notice", "end")] == [
        ("its process died in its first epoch; another process continues",),
        ("its process ran out of memory after epoch 1; another process continues",),
        (None, "its process died 3 times"),
        (None, "its process ran out of memory 4 times"),
    ]


def test_recorder_does_not_end_a_training_that_tune_gives_up_too_early(recorder):
    for n_tries, tune_id in enumerate(("a", "b", "c"), start=1):
        trial = _trial(tune_id=tune_id)
        recorder.on_trial_recover(iteration=1, trial=trial)  # dies while it is being reused, …
        recorder.on_trial_error(iteration=1, trial=trial)  # … which Tune reports twice
        ended = [event for event in recorder.events if event[0] == "end"]
        assert ended == [("end", "t", None, "its process died 3 times")] * (n_tries == 3)


@pytest.mark.parametrize("fails_at", ["start", "epoch", "notice", "end", "worker"])
def test_recorder_keeps_its_error_and_records_nothing_more(fails_at, folder):
    recorder = ListRecorder(folder, fails_at=fails_at)
    trial, result = _trial(make_result(0.5)), make_result(0.5)
    report = Report(failure="storage: No space left on device", is_storage_failure=True)
    events: dict[str, Callable[[], None]] = {
        "start": lambda: recorder.on_trial_start(trial=trial),
        "epoch": lambda: recorder.on_trial_result(trial=trial, result=result),
        "notice": lambda: recorder.on_trial_recover(iteration=1, trial=trial),
        "end": lambda: recorder.on_trial_complete(trial=trial),
        "worker": lambda: recorder.on_trial_result(trial=trial, result=report.to_result()),
    }
    for happen in (events[fails_at], *events.values(), recorder.on_step_end):
        with pytest.raises(OSError, match="No space left on device"):
            happen()
    assert isinstance(recorder.error, StorageError) == (fails_at == "worker")
    assert recorder.events == ([("start", "t")] if fails_at == "notice" else [])


@pytest.fixture
def engine(folder: Folder, ray_scratch: Path) -> Engine:
    """Two trainings at a time, in processes of Ray's."""
    return Engine(Resources(), lambda: 2, folder, ray_scratch)


def _run(
    engine: Engine, recorder: Recorder, assignments: list[Assignment], data: TrainTest
) -> None:
    engine.run(
        train=data.train,
        evaluation=data.test,
        recorder=recorder,
        searcher=ListSearcher(assignments),
        n_trainings=len(assignments),
        predict=True,
    )


class TrialKeeper(ListRecorder):
    """Keeps Tune's own records of its trials as well."""

    trials: list[Trial]

    def on_step_end(self, *, trials: list[Trial], **info: Any) -> None:
        super().on_step_end(**info)
        self.trials = trials


def test_engine_trains_a_list_and_goes_on_after_failures(engine, folder, tiny, ray_scratch):
    recorder, before = TrialKeeper(folder), set(ray_scratch.rglob(_SNAPSHOT))
    broken = _assignment("broken", model="resnet")
    names = ["a", "b", "c", "d"]
    _run(engine, recorder, [broken, *map(_assignment, names)], tiny)
    reports = [recorder.reports[name] for name in names]
    for name, report in zip(names, reports, strict=True):
        assert recorder.of(name, "epoch") == [1, 2]
        assert recorder.of(name, "end") == ["COMPLETE"]
        assert report is not None
        assert report.predictions is not None
        assert report.predictions.correct.mean() == report.epochs[-1].val_accuracy
    assert recorder.of("broken", "end") == ["FAILED"]
    assert b"Traceback" in engine.folder.read("failures/broken.txt")
    starts = [event[1] for event in recorder.events if event[0] == "start"]
    assert sorted(starts) == sorted(["broken", *names])
    assert ("step",) in recorder.events
    assert "ray.air.integrations.mlflow" not in sys.modules  # it imports MLflow
    # Tune keeps no statistics of the metrics, and no snapshot of trials that have ended.
    assert [trial.run_metadata.metric_analysis for trial in recorder.trials] == [{}] * 5
    assert [trial.run_metadata.metric_n_steps for trial in recorder.trials] == [{}] * 5
    snapshots = set(ray_scratch.rglob(_SNAPSHOT)) - before
    assert snapshots, "one at the beginning"
    assert not [path for path in snapshots if "TERMINATED" in path.read_text()]


@pytest.mark.long
def test_engine_gives_up_a_training_whose_process_dies_while_it_is_reused(
    engine, recorder, tiny, tmp_path, monkeypatch
):
    died = tmp_path / "died"

    class DyingTrainable(SweepTrainable):
        def reset_config(self, new_config: dict[str, Any]) -> bool:
            if new_config["assignment"].name == "b" and not died.exists():
                died.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return super().reset_config(new_config)

    monkeypatch.setattr(engine_module, "SweepTrainable", DyingTrainable)
    one_slot = replace(engine, slots=lambda: 1)
    names = ["a", "b", "c"]
    _run(one_slot, recorder, [_assignment(name) for name in names], tiny)
    assert died.exists()
    assert [recorder.of(name, "end") for name in names] == [["COMPLETE"], [], ["COMPLETE"]]
    assert recorder.of("b", "notice") == [
        "its process died in its first epoch; another process continues"
    ]
    _run(one_slot, recorder, [_assignment("b")], tiny)
    assert recorder.of("b", "end") == ["COMPLETE"]


@pytest.mark.long
def test_engine_raises_the_recorders_error_at_the_end_of_a_trial(engine, folder, tiny):
    # At this moment Tune would go on: it counts the error as a failure of the trial.
    recorder = ListRecorder(folder, fails_at="end")
    one_slot = replace(engine, slots=lambda: 1)
    with pytest.raises(OSError, match="No space left on device"):
        _run(one_slot, recorder, [_assignment(name, epochs=1) for name in "abcd"], tiny)
    assert not [event for event in recorder.events if event[0] in ("notice", "end")]
    assert len([event for event in recorder.events if event[0] == "start"]) < 4
