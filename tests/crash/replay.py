"""Runs `sweep` in this process, with the real driver and worker, but without Ray."""

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from data_utils.dataset import TrainTest
from sweep.config import Resources
from sweep.driver.session import Session
from sweep.errors import describe_failure
from sweep.training.assignment import Assignment
from sweep.training.loop import TrainingRun
from sweep.training.worker import Worker
from sweep.tuning.engine import Engine

States = dict[tuple[str, int], dict[str, Any]]
"""The state of each training, by its name, after each of its epochs."""


class PlainEngine(Engine):
    """Trains one network after another, in this process."""

    def run(self, **asked: Any) -> None:
        recorder, searcher = asked["recorder"], asked["searcher"]
        worker = PlainWorker(
            asked["train"],
            asked["evaluation"],
            self.folder,
            device="cpu",
            predict=asked.get("predict", False),
        )
        recorder.begin(SimpleNamespace(), self.slots, asked["n_trainings"])
        for number in range(asked["n_trainings"]):
            statistics = SimpleNamespace(metric_analysis={}, metric_n_steps={})
            config = searcher.suggest(str(number))
            trial: Any = SimpleNamespace(config=config, run_metadata=statistics)
            recorder.on_trial_start(trial=trial)
            worker.assign(config["assignment"])
            while True:
                trial.last_result = worker.step().to_result()
                recorder.on_trial_result(trial=trial, result=trial.last_result)
                if trial.last_result["done"]:
                    break
            searcher.on_trial_complete(str(number), trial.last_result)
            recorder.on_trial_complete(trial=trial)


class PlainWorker(Worker):
    """A worker; the name of its training is known to `replaying`."""

    name = ""

    def assign(self, assignment: Assignment) -> None:
        PlainWorker.name = assignment.name
        super().assign(assignment)


@contextlib.contextmanager
def without_ray(data: TrainTest) -> Iterator[None]:
    """Let commands train in this process, with few images, and neither estimate nor draw."""

    @contextlib.contextmanager
    def open_plainly(resources: Resources, locked: Any, **options: Any) -> Iterator[Session]:
        engine = PlainEngine(resources, lambda: 1, locked, Path())
        yield Session(engine, io.StringIO(), lambda: None)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sweep.driver.session.open_session", open_plainly)
        patch.setattr("sweep.api.plan._estimate", lambda *given: None)
        patch.setattr("sweep.api.work.load_data", lambda name, folder, split: data)
        patch.setattr("sweep.api.work._finish", lambda *given, **options: None)
        yield


@contextlib.contextmanager
def replaying(states: States) -> Iterator[None]:
    """Replay trainings instead of training; what they continue from must be as it was."""

    def train_epochs(run: TrainingRun, *images: Any, epochs: int) -> Iterator[Any]:
        name, n_epochs = PlainWorker.name, len(run.history)
        if n_epochs:
            assert fingerprint(run.state_dict()) == fingerprint(states[name, n_epochs])
        for epoch in range(n_epochs + 1, epochs + 1):
            run.load_state_dict(states[name, epoch])
            yield run.history[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sweep.training.worker.train_epochs", train_epochs)
        yield


def fingerprint(state: Any) -> Any:
    """Return a state as plain data, without times."""
    if isinstance(state, dict):
        times = ("seconds", "images_per_s")
        return {key: fingerprint(value) for key, value in state.items() if key not in times}
    if isinstance(state, list | tuple):
        return [fingerprint(value) for value in state]
    return state.numpy().tobytes() if hasattr(state, "numpy") else state


def exit_code(command: Callable[[], None]) -> int:
    """Run a command quietly; return its exit code. Any other exception is a bug, and is raised."""
    quiet = io.StringIO()
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        try:
            command()
        except SystemExit as end:
            return int(end.code or 0)
        except Exception as error:
            failure = describe_failure(error)
            if failure is None:
                raise
            return failure[1]
    return 0
