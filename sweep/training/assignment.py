"""What the driver and a worker exchange: assignments there, reports back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from analysis.records.epochs import Epoch
from analysis.records.predictions import Predictions

METRIC = "val_accuracy"
TIME_ATTRIBUTE = "training_iteration"


@dataclass(frozen=True)
class Assignment:
    """One network to train: a trial of the search, or a run of the confirmation.

    Attributes:
        name: Unique in the sweep; names the checkpoint.
        epochs: Epochs of a training that nothing stops.
        hyperparameters: All of them, searched or not.
    """

    name: str
    seed: int
    model: str
    epochs: int
    hyperparameters: dict[str, Any]

    def to_config(self) -> dict[str, Any]:
        """Return a config for Tune, to which other keys may be added."""
        return {"assignment": self}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Assignment":
        """Return the assignment in a config."""
        assignment: Assignment = config["assignment"]
        return assignment


@dataclass(frozen=True)
class Failure:
    """Why a training cannot go on.

    Attributes:
        reason: One line.
        traceback: Python's traceback, for an unexpected exception.
        is_storage: Whether the storage failed, so that no training can go on.
    """

    reason: str
    traceback: str | None = None
    is_storage: bool = False


@dataclass(frozen=True)
class Report:
    """The result of a worker's step: a finished epoch, or why the training cannot go on.

    Attributes:
        epoch: The epoch just finished; None after a failure.
        past: The epochs before it, but only after loading a checkpoint: a driver that was
            killed may not have recorded them.
        failure: None after an epoch.
        notice: Something the user should know.
        is_last: Whether the training has all its epochs.
        predictions: Of the evaluation images, after the last epoch, if the settings say so.
    """

    epoch: Epoch | None
    past: tuple[Epoch, ...] = ()
    failure: Failure | None = None
    notice: str | None = None
    is_last: bool = False
    predictions: Predictions | None = None

    @property
    def epochs(self) -> tuple[Epoch, ...]:
        """All epochs of the report, in order."""
        return self.past if self.epoch is None else (*self.past, self.epoch)

    def outcome(self) -> Literal["COMPLETE", "STOPPED", "FAILED"]:
        """Return how a training has ended if this is its last report."""
        if self.failure is not None:
            return "FAILED"
        return "COMPLETE" if self.is_last else "STOPPED"

    def to_result(self) -> dict[str, Any]:
        """Return a result for Tune; without an epoch it has no metric to rank by."""
        done = self.is_last or self.failure is not None
        result: dict[str, Any] = {"report": self, "done": done}
        if self.epoch is not None:
            result[TIME_ATTRIBUTE] = self.epoch.epoch
            result[METRIC] = self.epoch.val_accuracy
        return result

    @classmethod
    def from_result(cls, result: Mapping[str, Any]) -> "Report":
        """Return the report in a result."""
        report: Report = result["report"]
        return report
