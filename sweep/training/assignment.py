"""Messages between the driver and a worker: assignments and reports."""

from dataclasses import dataclass
from typing import Any, Literal

from analysis.records.epochs import Epoch
from analysis.records.predictions import Predictions

METRIC = "val_accuracy"
TIME_ATTRIBUTE = "training_iteration"


@dataclass(frozen=True)
class Assignment:
    """One network to train: a trial of the search, or a run of the confirmation.

    In Tune it is the value of `assignment` in a trial's config.

    Attributes:
        name: Unique in the sweep; names the checkpoint.
        epochs: Epochs of a training that is not stopped early.
        key: The number of the trial, or the name of the run's arm; a worker does not need it.
        repeats: The number of the preview whose hyperparameters the trial has.
    """

    name: str
    seed: int
    model: str
    epochs: int
    hyperparameters: dict[str, Any]
    key: Any = None
    repeats: int | None = None


@dataclass(frozen=True)
class Report:
    """The result of a worker's step: a finished epoch, or why the training cannot continue.

    In Tune it is the value of `report` in a result.

    Attributes:
        epochs: The epoch just finished. After loading a checkpoint also those before it: a
            driver that was killed may not have recorded them. Empty after a failure.
        failure: Why the training cannot continue, in one line.
        is_storage_failure: Whether the storage failed, so that no training can continue.
        notice: Something the user should know.
        predictions: Of the evaluation images, after the last epoch, if requested.
    """

    epochs: tuple[Epoch, ...] = ()
    failure: str | None = None
    traceback: str | None = None
    is_storage_failure: bool = False
    notice: str | None = None
    is_last: bool = False
    predictions: Predictions | None = None

    def outcome(self) -> Literal["COMPLETE", "STOPPED", "FAILED"]:
        """Return how a training has ended if this is its last report."""
        if self.failure is not None:
            return "FAILED"
        return "COMPLETE" if self.is_last else "STOPPED"

    def to_result(self) -> dict[str, Any]:
        """Return a result for Tune; without an epoch it has no metric to rank by."""
        done = self.is_last or self.failure is not None
        result: dict[str, Any] = {"report": self, "done": done}
        if self.epochs:
            result[TIME_ATTRIBUTE] = self.epochs[-1].epoch
            result[METRIC] = self.epochs[-1].val_accuracy
        return result
