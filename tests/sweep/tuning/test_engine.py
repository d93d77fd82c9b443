import os
import pickle
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.experiment import Trial

from analysis.errors import StorageError
from analysis.records.epochs import Epoch
from analysis.storage.folder import Folder, LocalFolder
from data_utils.mnist import Mnist
from sweep.config import Resources
from sweep.training.assignment import Assignment, Failure, Report
from sweep.tuning import engine as engine_module
from sweep.tuning.engine import Engine, ListSearcher, Recorder
from sweep.tuning.trainable import SweepTrainable

_SNAPSHOT = "experiment_state*"
MakeResult = Callable[..., dict[str, Any]]

PLAIN = {
    "dropout": 0.0,
    "rotation": 0.0,
    "shift": 0.0,
    "weight_decay": 0.0,
    "batch_size": 64,
    "learning_rate": 0.02,
    "schedule": "constant",
    "warmup_epochs": 0.0,
    "momentum": 0.9,
    "nesterov": False,
}


class ListRecorder(Recorder):
    """Keeps what it is told in a list; `fails_at` is what it cannot write, once."""

    def __init__(self, folder: Folder, fails_at: str | None = None) -> None:
        super().__init__(folder, lambda: self.told.append(("step",)))
        self.told: list[tuple[Any, ...]] = []
        self.reports: dict[str, Report | None] = {}
        self._fails_at = fails_at

    def _tell(self, kind: str, config: Mapping[str, Any], *more: Any) -> None:
        if kind == self._fails_at:
            self._fails_at = None
            raise OSError(28, "No space left on device")
        self.told.append((kind, Assignment.from_config(config).name, *more))

    def start(self, config: Mapping[str, Any]) -> None:
        self._tell("start", config)

    def n_epochs(self, config: Mapping[str, Any]) -> int:
        return len(self.of(Assignment.from_config(config).name, "epoch"))

    def epoch(self, config: Mapping[str, Any], metrics: Epoch) -> None:
        self._tell("epoch", config, metrics.epoch)

    def notice(self, config: Mapping[str, Any], text: str) -> None:
        self._tell("notice", config, text)

    def end(self, config: Mapping[str, Any], report: Report | None, reason: str | None) -> None:
        self.reports[Assignment.from_config(config).name] = report
        self._tell("end", config, report.outcome() if report else None, reason)

    def of(self, name: str, kind: str) -> list[Any]:
        return [event[2] for event in self.told if event[:2] == (kind, name)]


def _assignment(name: str, **change: Any) -> Assignment:
    values = {"seed": 1, "model": "mlp", "epochs": 2, "hyperparameters": PLAIN, **change}
    return Assignment(name=name, **values)


def _trial(
    result: dict[str, Any] | None = None, error_file: str | None = None, tune_id: str = "a"
) -> Any:
    """What Tune passes to a callback."""
    return SimpleNamespace(
        trial_id=tune_id,
        config=_assignment("t").to_config(),
        last_result=result,
        error_file=error_file,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return LocalFolder(tmp_path)


@pytest.fixture
def recorder(folder: Folder) -> ListRecorder:
    return ListRecorder(folder)


def test_recorder_records_each_epoch_once(recorder: ListRecorder, make_result: MakeResult) -> None:
    for result in (
        make_result(0.5),
        make_result(0.5, 0.6),
        make_result(0.5, 0.6, past=True),  # told once more after a retry
        make_result(0.5, 0.6, 0.7, 0.8, past=True),  # two of them lost with a driver
    ):
        recorder.on_trial_result(1, [], _trial(), result)
    assert recorder.told == [("epoch", "t", epoch) for epoch in (1, 2, 3, 4)]


def test_recorder_passes_a_notice_on_before_its_epoch(recorder: ListRecorder) -> None:
    metrics = Epoch(
        epoch=1,
        train_loss=0.1,
        train_accuracy=0.9,
        val_loss=0.1,
        val_accuracy=0.9,
        seconds=1.0,
        images_per_s=1e4,
    )
    recorder.on_trial_result(1, [], _trial(), Report(metrics, notice="over").to_result())
    assert recorder.told == [("notice", "t", "over"), ("epoch", "t", 1)]


@pytest.mark.parametrize(("n_epochs", "outcome"), [(4, "COMPLETE"), (3, "STOPPED")])
def test_recorder_records_the_end(
    n_epochs: int, outcome: str, recorder: ListRecorder, make_result: MakeResult
) -> None:
    recorder.on_trial_complete(1, [], _trial(make_result(*[0.9] * n_epochs)))
    assert recorder.told == [("end", "t", outcome, None)]


def test_recorder_keeps_the_traceback_of_a_failure(recorder: ListRecorder, folder: Folder) -> None:
    failure = Failure("KeyError: 'x'", "Traceback …")
    recorder.on_trial_complete(1, [], _trial(Report(None, failure=failure).to_result()))
    reason = "KeyError: 'x' (traceback in failures/t.txt)"
    assert recorder.told == [("end", "t", "FAILED", reason)]
    assert folder.read("failures/t.txt").decode() == "Traceback …"


def test_recorder_writes_no_traceback_of_a_divergence(
    recorder: ListRecorder, folder: Folder
) -> None:
    failure = Failure("diverged: training loss became nan in epoch 2")
    recorder.on_trial_complete(1, [], _trial(Report(None, failure=failure).to_result()))
    assert recorder.told == [("end", "t", "FAILED", failure.reason)]
    assert folder.folders() == []


def test_recorder_tells_of_dead_processes(
    recorder: ListRecorder, make_result: MakeResult, tmp_path: Path
) -> None:
    memory = tmp_path / "error.txt"
    memory.write_text("ray.exceptions.OutOfMemoryError: Task was killed")
    recorder.on_trial_recover(1, [], _trial(error_file=str(tmp_path / "none.txt")))
    recorder.on_trial_result(1, [], _trial(), make_result(0.5))
    recorder.on_trial_recover(2, [], _trial(error_file=str(memory)))
    recorder.on_trial_error(3, [], _trial())
    recorder.on_trial_error(4, [], _trial(error_file=str(memory)))
    assert [event[2:] for event in recorder.told if event[0] in ("notice", "end")] == [
        ("its process died in its first epoch; another goes on",),
        ("its process ran out of memory after epoch 1; another goes on",),
        (None, "its process died 3 times"),
        (None, "its process ran out of memory 4 times"),
    ]
    assert not recorder.given_up


def test_recorder_leaves_a_training_that_tune_gives_up_too_early(recorder: ListRecorder) -> None:
    for n_tries, tune_id in enumerate(("a", "b", "c"), start=1):
        trial = _trial(tune_id=tune_id)
        recorder.given_up = False
        recorder.on_trial_recover(1, [], trial)  # its process died as it was handed on, …
        recorder.on_trial_error(1, [], trial)  # … which Tune tells again in the same step
        assert recorder.given_up == (n_tries < 3)
    assert [event for event in recorder.told if event[0] == "end"] == [
        ("end", "t", None, "its process died 3 times")
    ]


def test_recorder_ends_the_whole_where_a_worker_cannot_write(recorder: ListRecorder) -> None:
    failure = Failure("cannot write a checkpoint: No space left", is_storage=True)
    with pytest.raises(StorageError, match=r"^cannot write a checkpoint: No space left$"):
        recorder.on_trial_result(1, [], _trial(), Report(None, failure=failure).to_result())
    assert isinstance(recorder.error, StorageError)


@pytest.mark.parametrize("fails_at", ["start", "epoch", "notice", "end"])
def test_recorder_keeps_its_error_and_records_nothing_more(
    fails_at: str, folder: Folder, make_result: MakeResult
) -> None:
    recorder = ListRecorder(folder, fails_at=fails_at)
    trial, result = _trial(make_result(0.5)), make_result(0.5)
    events: dict[str, Callable[[], None]] = {
        "start": lambda: recorder.on_trial_start(1, [], trial),
        "epoch": lambda: recorder.on_trial_result(1, [], trial, result),
        "notice": lambda: recorder.on_trial_recover(1, [], trial),
        "end": lambda: recorder.on_trial_complete(1, [], trial),
    }
    for happen in (events[fails_at], *events.values(), lambda: recorder.on_step_end(1, [])):
        with pytest.raises(OSError, match="No space left on device"):
            happen()
    assert recorder.told == ([("start", "t")] if fails_at == "notice" else [])


def test_recorder_is_pickled_without_its_files(recorder: ListRecorder) -> None:
    assert pickle.loads(pickle.dumps(recorder)).__dict__ == {}


@pytest.fixture
def engine(folder: Folder, ray_scratch: Path) -> Engine:
    """Two trainings at a time, in processes of Ray's."""
    return Engine(Resources(), lambda: 2, folder, ray_scratch)


def _run(engine: Engine, recorder: Recorder, assignments: list[Assignment], data: Mnist) -> bool:
    return engine.run(
        train=data.train,
        evaluation=data.test,
        recorder=recorder,
        searcher=ListSearcher(assignments),
        n_trainings=len(assignments),
        predict=True,
    )


def test_engine_trains_a_list_and_goes_on_after_failures(
    engine: Engine, recorder: ListRecorder, tiny: Mnist
) -> None:
    broken = _assignment("broken", model="resnet")
    names = ["a", "b", "c", "d"]
    assert _run(engine, recorder, [broken, *map(_assignment, names)], tiny)
    for name in names:
        assert recorder.of(name, "epoch") == [1, 2]
        assert recorder.of(name, "end") == ["COMPLETE"]
        report = recorder.reports[name]
        assert report is not None
        assert report.epoch is not None
        assert report.predictions is not None
        assert report.predictions.correct.mean() == report.epoch.val_accuracy
    assert recorder.of("broken", "end") == ["FAILED"]
    assert b"Traceback" in engine.folder.read("failures/broken.txt")
    starts = [event[1] for event in recorder.told if event[0] == "start"]
    assert sorted(starts) == sorted(["broken", *names])
    assert ("step",) in recorder.told
    # The same assignment is the same training.
    assert len({_accuracy(recorder.reports[name]) for name in names}) == 1


def test_engine_leaves_a_training_whose_process_dies_as_it_is_handed_on(
    engine: Engine,
    recorder: ListRecorder,
    tiny: Mnist,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    died = tmp_path / "died"

    class DyingTrainable(SweepTrainable):
        def reset_config(self, new_config: dict[str, Any]) -> bool:
            if Assignment.from_config(new_config).name == "b" and not died.exists():
                died.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return super().reset_config(new_config)

    monkeypatch.setattr(engine_module, "SweepTrainable", DyingTrainable)
    one_slot = replace(engine, slots=lambda: 1)
    names = ["a", "b", "c"]
    assert not _run(one_slot, recorder, [_assignment(name) for name in names], tiny)
    assert died.exists()
    assert [recorder.of(name, "end") for name in names] == [["COMPLETE"], [], ["COMPLETE"]]
    assert recorder.of("b", "notice") == ["its process died in its first epoch; another goes on"]
    assert _run(one_slot, recorder, [_assignment("b")], tiny)
    assert recorder.of("b", "end") == ["COMPLETE"]


def test_engine_lets_tune_keep_no_history_of_trials(
    engine: Engine, folder: Folder, tiny: Mnist, ray_scratch: Path
) -> None:
    class TrialKeeper(ListRecorder):
        trials: list[Trial]

        def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
            super().on_step_end(iteration, trials, **info)
            self.trials = trials

    recorder, before = TrialKeeper(folder), set(ray_scratch.rglob(_SNAPSHOT))
    assert _run(engine, recorder, [_assignment(name) for name in "ab"], tiny)
    assert [trial.last_result["done"] for trial in recorder.trials] == [True, True]
    assert [trial.run_metadata.metric_analysis for trial in recorder.trials] == [{}, {}]
    assert [trial.run_metadata.metric_n_steps for trial in recorder.trials] == [{}, {}]
    snapshots = set(ray_scratch.rglob(_SNAPSHOT)) - before
    assert snapshots, "one at the beginning"
    assert not [path for path in snapshots if "TERMINATED" in path.read_text()]


def _accuracy(report: Report | None) -> float:
    assert report is not None
    assert report.epoch is not None
    return report.epoch.val_accuracy


def test_engine_ends_with_what_the_recorder_raises_at_a_trials_end(
    engine: Engine, folder: Folder, tiny: Mnist
) -> None:
    # Of all moments the one at which Tune would go on: it takes the error for the trial's.
    recorder = ListRecorder(folder, fails_at="end")
    with pytest.raises(OSError, match="No space left on device"):
        _run(
            replace(engine, slots=lambda: 1),
            recorder,
            [_assignment(name) for name in "abcdefgh"],
            tiny,
        )
    assert not [event for event in recorder.told if event[0] in ("notice", "end")]
    assert len([event for event in recorder.told if event[0] == "start"]) < 8
