"""Trains networks through Ray Tune, for the search and for the confirmation."""

import contextlib
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import ConcurrencyLimiter, Searcher

from analysis.errors import StorageError, describe_cause
from analysis.records.epochs import Epoch
from analysis.records.files import CHECKPOINTS_FOLDER, failure_name
from analysis.storage.folder import Folder
from data_utils.dataset import ImageDataset
from models.own import texts
from sweep.config import Resources
from sweep.errors import ClusterError
from sweep.training.assignment import Assignment, Report
from sweep.tuning import ray_private
from sweep.tuning.trainable import SweepTrainable

_RETRIES = 2


class _AllTrained(Exception):  # noqa: N818 - not an error
    """Ends Tune before it takes a snapshot of all its trials, which is never restored."""


class Recorder(ray_private.NotPickled, tune.Callback, ABC):
    """Records everything that Ray Tune reports, as it happens.

    After a retry a worker reports its checkpoint's last epoch again, which is ignored. `error` is
    the exception that ended the recording.
    """

    def __init__(self, folder: Folder, on_step: Callable[[], None]) -> None:
        self._folder, self._on_step = folder, on_step
        self._deaths: dict[str, set[tuple[str, int]]] = {}
        self.error: Exception | None = None

    @abstractmethod
    def start(self, assignment: Assignment) -> None:
        """Record the start of a training, unless it is recorded."""

    @abstractmethod
    def n_epochs(self, assignment: Assignment) -> int:
        """Return how many of a training's epochs are recorded."""

    @abstractmethod
    def epoch(self, assignment: Assignment, metrics: Epoch) -> None:
        """Record an epoch."""

    @abstractmethod
    def notice(self, assignment: Assignment, text: str) -> None:
        """Record something that the user should know."""

    @abstractmethod
    def end(self, assignment: Assignment, report: Report | None, reason: str | None) -> None:
        """Record the end, after the last report, or without one if the process died."""

    def delete_checkpoints(self, names: Iterable[str]) -> None:
        """Delete the checkpoints of trainings; those without one are ignored."""
        checkpoints = self._folder.child(CHECKPOINTS_FOLDER)
        for file in {f"{name}.pt" for name in names}.intersection(checkpoints.files()):
            checkpoints.delete(file)

    def begin(
        self, limiter: ConcurrencyLimiter, slots: Callable[[], int], n_trainings: int
    ) -> None:
        """Follow `n_trainings` trainings, and limit how many run at a time to the slots."""
        self._limiter, self._slots, self._n_left = limiter, slots, n_trainings

    def on_step_begin(self, **info: Any) -> None:
        """Set the number of slots, before Tune asks for the next trial."""
        self._limiter.max_concurrent = self._slots()

    def on_step_end(self, **info: Any) -> None:
        """Update the display, let the driver end the sweep, or end Tune after the last."""
        with self._keeping_error():
            self._on_step()
        if self._n_left == 0:
            raise _AllTrained

    def on_trial_start(self, *, trial: Trial, **info: Any) -> None:
        """Record a training that starts or is tried again."""
        with self._keeping_error():
            self.start(trial.config["assignment"])

    def on_trial_result(self, *, trial: Trial, result: dict[str, Any], **info: Any) -> None:
        """Record the epochs that are not recorded yet."""
        assignment: Assignment = trial.config["assignment"]
        report: Report = result["report"]
        with self._keeping_error():
            if report.is_storage_failure:
                raise StorageError(report.failure)
            if report.notice is not None:
                self.notice(assignment, report.notice)
            known = self.n_epochs(assignment)
            for metrics in report.epochs:
                if metrics.epoch > known:
                    self.epoch(assignment, metrics)

    def on_trial_complete(self, *, trial: Trial, **info: Any) -> None:
        """Record how a training ended, by itself or by the scheduler."""
        assignment: Assignment = trial.config["assignment"]
        report: Report = trial.last_result["report"]
        reason = report.failure
        with self._keeping_error():
            if report.traceback is not None:
                name = failure_name(assignment.name)
                self._folder.write(name, report.traceback.encode())
                reason = f"{reason} (traceback in {name})"
            self.end(assignment, report, reason)
        # Tune's statistics of every metric are half of the memory that it keeps of a trial.
        trial.run_metadata.metric_analysis.clear()
        trial.run_metadata.metric_n_steps.clear()
        self._n_left -= 1

    def on_trial_error(self, *, iteration: int, trial: Trial, **info: Any) -> None:
        """Record a training whose process died too often.

        When a process dies while it is being reused, Tune first tries the next training again
        and then, in the same step, gives it up. Such a training is left for another run.
        """
        with self._keeping_error():
            cause, n_deaths = self._death(iteration, trial)
            if n_deaths > _RETRIES:
                self.end(trial.config["assignment"], None, f"{cause} {n_deaths} times")
        self._n_left -= 1

    def on_trial_recover(self, *, iteration: int, trial: Trial, **info: Any) -> None:
        """Record that a process died, perhaps before its training started; Tune retries."""
        assignment: Assignment = trial.config["assignment"]
        with self._keeping_error():
            cause, _ = self._death(iteration, trial)
            self.start(assignment)
            n_epochs = self.n_epochs(assignment)
            when = f"after epoch {n_epochs}" if n_epochs else "in its first epoch"
            self.notice(assignment, f"{cause} {when}; another process continues")

    def _death(self, iteration: int, trial: Trial) -> tuple[str, int]:
        """Return why a process died, and how many have; Tune may report a death twice."""
        deaths = self._deaths.setdefault(trial.config["assignment"].name, set())
        deaths.add((trial.trial_id, iteration))
        file = Path(trial.error_file or os.devnull)
        is_known = file.exists() and "OutOfMemory" in file.read_text(errors="replace")
        return f"its process {'ran out of memory' if is_known else 'died'}", len(deaths)

    @contextlib.contextmanager
    def _keeping_error(self) -> Iterator[None]:
        """Keep an exception for `Engine.run`, and record nothing after it.

        Tune would replace it by an exception of its own or, at the end of a trial, count it as
        a failure and retry the trial.
        """
        if self.error is not None:
            raise self.error
        try:
            yield
        except Exception as error:
            self.error = error
            raise


class ListSearcher(ray_private.NotPickled, Searcher):
    """Proposes the assignments of a list, one after the other."""

    def __init__(self, assignments: Iterable[Assignment]) -> None:
        super().__init__()
        self._assignments = iter(assignments)

    def suggest(self, trial_id: str) -> dict[str, Any]:
        """Return the config of the next assignment."""
        return {"assignment": next(self._assignments)}

    def on_trial_complete(self, trial_id: str, *result: Any, **info: Any) -> None:
        """Do nothing: the list does not depend on results."""


@dataclass(frozen=True)
class Engine:
    """Runs trainings; Ray must be running.

    `slots` returns how many trainings may run at a time, as nodes come and go. The folder is that
    of the sweep, where checkpoints go; `scratch` has Tune's own files, which nothing needs later.
    """

    resources: Resources
    slots: Callable[[], int]
    folder: Folder
    scratch: Path

    def run(
        self,
        *,
        train: ImageDataset,
        evaluation: ImageDataset,
        recorder: Recorder,
        searcher: Searcher,
        n_trainings: int,
        scheduler: TrialScheduler | None = None,
        predict: bool = False,
    ) -> None:
        """Train what a searcher proposes; Tune may give up a training before it has ended.

        The recorder receives every event; an exception in it aborts the run. With `predict` last
        reports have predictions of the images `evaluation`.
        """
        trainable = tune.with_parameters(
            SweepTrainable,
            train=train,
            evaluation=evaluation,
            folder=self.folder,
            device="cuda" if self.resources.gpu else "cpu",
            predict=predict,
            networks=texts(),
        )
        resources = {"cpu": self.resources.cpu, "gpu": self.resources.gpu}
        limiter = ConcurrencyLimiter(searcher, self.slots())
        recorder.begin(limiter, self.slots, n_trainings)
        ray_private.report_no_callbacks()
        try:
            tuner = tune.Tuner(
                tune.with_resources(trainable, resources),
                tune_config=tune.TuneConfig(
                    num_samples=n_trainings,
                    search_alg=limiter,
                    scheduler=scheduler,
                    reuse_actors=True,
                ),
                run_config=tune.RunConfig(
                    name=f"tune-{time.monotonic_ns()}",
                    storage_path=str(self.scratch),
                    callbacks=[recorder],
                    # The trainable writes its own, where a retry on any node finds them.
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                    failure_config=tune.FailureConfig(max_failures=_RETRIES),
                    verbose=0,
                    progress_reporter=tune.CLIReporter(),  # another one clears a notebook's cell
                ),
            )
            tuner.fit()
        except Exception as error:
            if recorder.error is not None:
                raise recorder.error from None
            if isinstance(error, OSError) and not isinstance(error, StorageError):
                where = f"Ray's scratch folder {self.scratch}"
                raise ClusterError(f"{where}: {describe_cause(error)}") from error
            if not isinstance(error, _AllTrained):
                raise
