"""What travels between the driver and a trial: its assignment there, its reports back."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sweep.training import EpochMetrics

METRIC = "val_accuracy"
TIME_ATTRIBUTE = "training_iteration"


@dataclass(frozen=True)
class Assignment:
    """One trial's orders, in Tune's words its config.

    Attributes:
        trial_id: The ledger's number, from 1; Tune's own ids mean nothing here.
        seed: The trial's own.
        model: A name of the model registry's.
        epochs: Epochs of the trial, if nothing stops it.
        hyperparameters: All of them, searched or not.
    """

    trial_id: int
    seed: int
    model: str
    epochs: int
    hyperparameters: dict[str, Any]

    def to_config(self) -> dict[str, Any]:
        """Returns it as Tune's config."""
        return asdict(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Assignment":
        """Reads Tune's config."""
        return cls(**{name: config[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class Failure:
    """Why a trial cannot go on: one line, and the traceback where there is one."""

    reason: str
    traceback: str | None = None


@dataclass(frozen=True)
class Report:
    """What a trial tells after a step: an epoch it has finished, or why it cannot go on.

    Attributes:
        epoch: The epoch just finished.
        past: The epochs before it, told only when the trial has come from a checkpoint:
            the driver that was told of them may have been lost.
        failure: Set instead of `epoch`.
        notice: Something the user should know.
        is_last: Whether all epochs are done.
    """

    epoch: EpochMetrics | None
    past: tuple[EpochMetrics, ...] = ()
    failure: Failure | None = None
    notice: str | None = None
    is_last: bool = False

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
        """Returns how a trial has ended whose last report this is."""
        if self.failure is not None:
            return "FAILED"
        return "COMPLETE" if self.is_last else "STOPPED"
