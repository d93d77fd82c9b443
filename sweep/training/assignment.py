"""What travels between the driver and a worker: assignments there, reports back."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from analysis.records.epochs import Epoch
from analysis.records.predictions import Predictions
from analysis.storage.folder import Folder

METRIC = "val_accuracy"
TIME_ATTRIBUTE = "training_iteration"
_KEY = "assignment"


@dataclass(frozen=True)
class Assignment:
    """One network to train: a trial of the search, or a run of the confirmation.

    Attributes:
        name: Unique in the sweep; the checkpoint is called by it.
        seed: Of this training alone.
        model: A name of the model registry's.
        epochs: How long to train, if nothing stops it.
        hyperparameters: All of them, searched or not.
    """

    name: str
    seed: int
    model: str
    epochs: int
    hyperparameters: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain data."""
        return asdict(self)

    def to_config(self) -> dict[str, Any]:
        """Returns it as Tune's config, to which other keys may be added."""
        return {_KEY: self.to_dict()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Assignment":
        """Reads Tune's config."""
        return cls(**{field.name: config[_KEY][field.name] for field in fields(cls)})


@dataclass(frozen=True)
class Failure:
    """Why a training cannot go on.

    Attributes:
        reason: In a line.
        traceback: Where there is one.
        is_storage: Whether it is the storage that failed, so that no training can go on.
    """

    reason: str
    traceback: str | None = None
    is_storage: bool = False


@dataclass(frozen=True)
class Report:
    """What a worker tells after a step: an epoch it has finished, or why it cannot go on.

    Attributes:
        epoch: The epoch just finished; its `val_` figures are of whatever images the
            worker was given to evaluate on.
        past: The epochs before it, told only after coming from a checkpoint: the driver
            that was told of them may have been lost.
        failure: Set instead of `epoch`.
        notice: Something the user should know.
        is_last: Whether all epochs are done.
        predictions: Of the evaluation images, after the last epoch, where they were asked for.
    """

    epoch: Epoch | None
    past: tuple[Epoch, ...] = ()
    failure: Failure | None = None
    notice: str | None = None
    is_last: bool = False
    predictions: Predictions | None = None

    @property
    def epochs(self) -> tuple[Epoch, ...]:
        """All the epochs it tells of, in order."""
        return self.past if self.epoch is None else (*self.past, self.epoch)

    def to_result(self) -> dict[str, Any]:
        """Returns it as Tune's result; without an epoch it has no metric to rank by."""
        result: dict[str, Any] = {
            "report": self,
            "done": self.is_last or self.failure is not None,
        }
        if self.epoch is not None:
            result[TIME_ATTRIBUTE] = self.epoch.epoch
            result[METRIC] = self.epoch.val_accuracy
        return result

    @classmethod
    def from_result(cls, result: Mapping[str, Any]) -> "Report":
        """Reads Tune's result."""
        report = result["report"]
        assert isinstance(report, cls)
        return report

    def outcome(self) -> Literal["COMPLETE", "STOPPED", "FAILED"]:
        """Returns how a training has ended whose last report this is."""
        if self.failure is not None:
            return "FAILED"
        return "COMPLETE" if self.is_last else "STOPPED"


@dataclass(frozen=True)
class WorkerSettings:
    """What is the same for everything a worker trains.

    Attributes:
        device: `cpu` or `cuda`.
        folder: The sweep's, which every worker must be able to reach.
        predict: Whether the last report is to have the predictions of the evaluation images.
    """

    device: str
    folder: Folder
    predict: bool
