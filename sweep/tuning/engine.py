"""Trainings through Ray Tune: what the search and the confirmation have in common."""

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import ConcurrencyLimiter, Searcher

from analysis.errors import StorageError
from analysis.records.epochs import Epoch
from analysis.records.files import failure_name
from analysis.storage.folder import Folder
from data_utils.dataset import ImageDataset
from sweep.config import Resources
from sweep.training.assignment import Assignment, Report, WorkerSettings
from sweep.tuning import ray_private
from sweep.tuning.trainable import SweepTrainable

_RETRIES = 2


class Recorder(tune.Callback, ABC):
    """Writes down everything that Ray Tune reports, as it happens.

    An epoch that is known already is ignored: after a retry a worker tells its checkpoint's
    last epoch once more.

    Attributes:
        error: What went wrong here.
        given_up: Whether Tune has given up a training that is to be taken up again.
    """

    def __init__(self, folder: Folder, on_step: Callable[[], None]) -> None:
        self._folder, self._on_step = folder, on_step
        self._deaths: dict[str, set[tuple[str, int]]] = {}
        self.error: Exception | None = None
        self.given_up = False

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its callbacks for a restore that is never asked for."""
        return {}

    @abstractmethod
    def start(self, config: Mapping[str, Any]) -> None:
        """Records that a training begins, unless it did before."""

    @abstractmethod
    def n_epochs(self, config: Mapping[str, Any]) -> int:
        """Returns how many of a training's epochs are recorded."""

    @abstractmethod
    def epoch(self, config: Mapping[str, Any], metrics: Epoch) -> None:
        """Records an epoch."""

    @abstractmethod
    def notice(self, config: Mapping[str, Any], text: str) -> None:
        """Records something that the user should know."""

    @abstractmethod
    def end(self, config: Mapping[str, Any], report: Report | None, reason: str | None) -> None:
        """Records the end: after the last report, or without one where its process died."""

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Gives the display, and whoever wants to stop the sweep, their turn."""
        with self._error_kept():
            self._on_step()

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Records a training that begins or is tried again."""
        with self._error_kept():
            self.start(trial.config)

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        result: dict[str, Any],
        **info: Any,
    ) -> None:
        """Records the epochs that are not recorded yet."""
        report = Report.from_result(result)
        with self._error_kept():
            if report.failure is not None and report.failure.is_storage:
                raise StorageError(report.failure.reason)
            if report.notice is not None:
                self.notice(trial.config, report.notice)
            known = self.n_epochs(trial.config)
            for metrics in report.epochs:
                if metrics.epoch > known:
                    self.epoch(trial.config, metrics)

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Records how a training ended by itself or by the scheduler."""
        report = Report.from_result(trial.last_result)
        reason = None
        with self._error_kept():
            if report.failure is not None:
                reason = report.failure.reason
                if report.failure.traceback is not None:
                    name = failure_name(Assignment.from_config(trial.config).name)
                    self._folder.write(name, report.failure.traceback.encode())
                    reason += f" (traceback in {name})"
            self.end(trial.config, report, reason)

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Records a training whose process died once too often.

        Where it dies as it is handed on to a next training, Tune first lets that be tried again
        and then, in the same step, gives it up: such a training is left as it is.
        """
        with self._error_kept():
            n_deaths = self._count_death(iteration, trial)
            if n_deaths <= _RETRIES:
                self.given_up = True
            else:
                self.end(trial.config, None, f"its process {_cause(trial)} {n_deaths} times")

    def on_trial_recover(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Records that a process died, perhaps before its training began; another one goes on."""
        with self._error_kept():
            self._count_death(iteration, trial)
            self.start(trial.config)
            n_epochs = self.n_epochs(trial.config)
            where = f"after epoch {n_epochs}" if n_epochs else "in its first epoch"
            self.notice(trial.config, f"its process {_cause(trial)} {where}; another goes on")

    def _count_death(self, iteration: int, trial: Trial) -> int:
        """Returns how many processes have died in a training; Tune may tell one death twice."""
        deaths = self._deaths.setdefault(Assignment.from_config(trial.config).name, set())
        deaths.add((trial.trial_id, iteration))
        return len(deaths)

    @contextlib.contextmanager
    def _error_kept(self) -> Iterator[None]:
        """Keeps what goes wrong here, and lets nothing more be recorded.

        Tune turns it into an error of its own, or, at a trial's end, takes it for a failure
        of the trial, which it would try again.
        """
        if self.error is not None:
            raise self.error
        try:
            yield
        except Exception as error:
            self.error = error
            raise


class ListSearcher(Searcher):
    """Proposes a list of assignments, one after the other."""

    def __init__(self, assignments: Sequence[Assignment]) -> None:
        super().__init__()
        self._assignments = iter(assignments)

    def suggest(self, trial_id: str) -> dict[str, Any]:
        """Return the config of the next assignment."""
        return next(self._assignments).to_config()

    def on_trial_complete(self, trial_id: str, *result: Any, **info: Any) -> None:
        """Do nothing: the list does not depend on results."""

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: Tune's own state is never restored."""


class _AllTrained(Exception):  # noqa: N818 - no error
    """Ends Tune before it snapshots its trials, for a restore that is never asked for."""


class _Supervisor(tune.Callback):
    """Lets as many trainings run at a time as there are slots, and Tune keep little of them."""

    def __init__(
        self,
        limited: ConcurrencyLimiter,
        slots: Callable[[], int],
        n_trainings: int,
    ) -> None:
        self._limited, self._slots, self._n_left = limited, slots, n_trainings

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its callbacks for a restore that is never asked for."""
        return {}

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Passes the number of slots on, before Tune asks for the next trial."""
        self._limited.max_concurrent = self._slots()

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Count a training that has ended, and let Tune keep little of it."""
        ray_private.drop_statistics(trial)
        self._n_left -= 1

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Counts a training whose process died once too often."""
        self._n_left -= 1

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Ends Tune after the last training."""
        if self._n_left == 0:
            raise _AllTrained


def _cause(trial: Trial) -> str:
    """Why a worker's process is gone, as far as Ray knows."""
    try:
        text = Path(trial.error_file).read_text(errors="replace")
    except (OSError, TypeError):
        text = ""
    return "ran out of memory" if "OutOfMemory" in text else "died"


@dataclass(frozen=True)
class Engine:
    """How trainings are run; Ray must be running.

    Attributes:
        resources: Of one training.
        slots: Returns how many trainings may run at a time, as nodes come and go.
        folder: The sweep's; checkpoints go there.
        scratch: Where Tune keeps its own files, of which nothing is needed later.
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
    ) -> bool:
        """Trains until there is nothing left to train.

        Args:
            train: Images to learn from.
            evaluation: Images to measure each epoch on.
            recorder: Is told everything; what it raises ends the whole.
            searcher: Proposes the configs.
            n_trainings: How many there are to be.
            scheduler: Stops some early; by default none.
            predict: Whether the last reports are to have the evaluation images' predictions.

        Returns:
            Whether it is done; if not, what is still missing is to be run again.
        """
        recorder.given_up = False
        settings = WorkerSettings(
            device="cuda" if self.resources.gpu else "cpu",
            folder=self.folder,
            predict=predict,
        )
        trainable = tune.with_resources(
            tune.with_parameters(
                SweepTrainable, train=train, evaluation=evaluation, settings=settings
            ),
            {"cpu": self.resources.cpu, "gpu": self.resources.gpu},
        )
        limited = ConcurrencyLimiter(searcher, self.slots())
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                num_samples=n_trainings,
                search_alg=limited,
                scheduler=scheduler or FIFOScheduler(),
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name=f"tune-{time.monotonic_ns()}",
                storage_path=str(self.scratch),
                callbacks=[recorder, _Supervisor(limited, self.slots, n_trainings)],
                # The trainable writes its own, where a retry on any node finds them.
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                failure_config=tune.FailureConfig(max_failures=_RETRIES),
                verbose=0,
            ),
        )
        try:
            tuner.fit()
        except _AllTrained:
            pass
        except Exception:
            if recorder.error is not None:
                raise recorder.error from None
            raise
        return not recorder.given_up
