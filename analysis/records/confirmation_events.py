"""The records of a sweep's confirmation: one JSON object a line, as in the ledger.

| kind           | written when                               | fields beside `time`             |
|----------------|--------------------------------------------|----------------------------------|
| `confirmation` | the confirmation begins; always first      | see `ConfirmationBegun`          |
| `arm`          | a finalist or a baseline is to be trained  | see `Arm`                        |
| `run_epoch`    | a run has finished an epoch                | see `RunEpoch`                   |
| `run_ended`    | a run is over                              | `arm`, `seed`, `state`, `reason` |
| `notice`       | something happened that a user should know | `text`                           |

Times are seconds since 1970 (UTC), accuracies fractions in [0, 1].
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from analysis.errors import LedgerError
from analysis.hyperparameters import DEFAULTS
from analysis.storage.codec import Codec

CONFIRMATION_FORMAT = 1

Role = Literal["finalist", "baseline"]
RunEndState = Literal["COMPLETE", "FAILED"]
RunState = Literal["RUNNING", "COMPLETE", "FAILED"]


@dataclass(frozen=True, slots=True)
class ConfirmationBegun:
    """A confirmation of the sweep `name` begins; its arms are trained for `epochs`."""

    kind: ClassVar[str] = "confirmation"
    time: float
    format: int
    name: str
    epochs: int

    def __post_init__(self) -> None:
        if self.format != CONFIRMATION_FORMAT:
            raise LedgerError(
                f"is of confirmation format {self.format}, but this program reads format "
                f"{CONFIRMATION_FORMAT}; use the version of the program that wrote it"
            )


@dataclass(frozen=True, slots=True)
class Arm:
    """Something to be trained with several seeds: a finalist or a baseline.

    `title` is its name for people, `trial_id` the trial that it comes from, if any,
    `hyperparameters` are all of them. A `reference` has the hand-tuned point, in whatever
    recipe, and is what verdicts are against.
    """

    kind: ClassVar[str] = "arm"
    time: float
    arm: str
    title: str
    role: Role
    model: str
    trial_id: int | None
    hyperparameters: dict[str, Any]
    epochs: int
    reference: bool

    def differences(self, other: "Arm") -> int:
        """Returns in how many respects another arm's training differs; in 0 it is the same.

        Model and epochs count as one each, and so does every hyperparameter. One that an arm
        lacks, which was recorded before there was such a hyperparameter, is its default.
        """
        mine, others = ({**DEFAULTS, **arm.hyperparameters} for arm in (self, other))
        differing = [mine.get(name) != others.get(name) for name in mine.keys() | others.keys()]
        return sum([self.model != other.model, self.epochs != other.epochs, *differing])


@dataclass(frozen=True, slots=True)
class RunEpoch:
    """One epoch of one run, tested on the 10,000 test images afterwards.

    `train_loss` and `train_accuracy` are running figures, as in `EpochRecord`. `seconds`
    is training and testing, `images_per_s` training only.
    """

    kind: ClassVar[str] = "run_epoch"
    time: float
    arm: str
    seed: int
    epoch: int
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    seconds: float
    images_per_s: float


@dataclass(frozen=True, slots=True)
class RunEnded:
    """A run is over: COMPLETE, or FAILED for `reason`."""

    kind: ClassVar[str] = "run_ended"
    time: float
    arm: str
    seed: int
    state: RunEndState
    reason: str | None


@dataclass(frozen=True, slots=True)
class ConfirmationNotice:
    """Something a user should know."""

    kind: ClassVar[str] = "notice"
    time: float
    text: str


ConfirmationRecord = ConfirmationBegun | Arm | RunEpoch | RunEnded | ConfirmationNotice

CODEC = Codec[ConfirmationRecord](ConfirmationBegun, Arm, RunEpoch, RunEnded, ConfirmationNotice)


def dump_confirmation_record(record: ConfirmationRecord) -> bytes:
    """Returns the record as one line, line end included.

    Raises:
        ValueError: If a number is not finite; JSON has no word for it.
    """
    return CODEC.dump(record)
