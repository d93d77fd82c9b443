"""The ledger's records: one JSON object a line, each with its kind and its time.

| kind            | written when                               | fields beside `kind` and `time` |
|-----------------|--------------------------------------------|---------------------------------|
| `sweep`         | the sweep begins; always the first record  | `format`, `name`, `config`      |
| `config`        | the sweep goes on with another config      | `config`                        |
| `session`       | a driver begins to work on the sweep       | `host`, `pid`, `slots`          |
| `trial_started` | a trial gets its hyperparameters           | see `TrialStarted`              |
| `epoch`         | a trial has finished an epoch              | see `EpochRecord`               |
| `trial_ended`   | a trial is over                            | `trial_id`, `state`, `reason`   |
| `notice`        | something happened that a user should know | `trial_id`, `text`              |
| `session_ended` | a driver stops in good order               | `reason`                        |

Times are seconds since 1970 (UTC), accuracies fractions in [0, 1].
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from analysis.errors import LedgerError
from analysis.storage.codec import Codec

FORMAT = 1

DIVERGED = "diverged"
"""How the reason of a trial begins that failed because its loss was no finite number."""

EndState = Literal["COMPLETE", "STOPPED", "FAILED"]
State = Literal["RUNNING", "COMPLETE", "STOPPED", "FAILED"]


@dataclass(frozen=True, slots=True)
class SweepCreated:
    """A sweep begins, with its whole resolved config."""

    kind: ClassVar[str] = "sweep"
    time: float
    format: int
    name: str
    config: dict[str, Any]

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise LedgerError(
                f"is of ledger format {self.format}, but this program reads format {FORMAT}; "
                "use the version of the program that wrote it"
            )


@dataclass(frozen=True, slots=True)
class ConfigChanged:
    """From here on the sweep has another config: more trials, or what the user accepted."""

    kind: ClassVar[str] = "config"
    time: float
    config: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """A driver begins to work on the sweep, `slots` trials at a time."""

    kind: ClassVar[str] = "session"
    time: float
    host: str
    pid: int
    slots: int


@dataclass(frozen=True, slots=True)
class TrialStarted:
    """A trial begins. `trial_id` counts from 1; `seed` is its own."""

    kind: ClassVar[str] = "trial_started"
    time: float
    trial_id: int
    seed: int
    hyperparameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One epoch of one trial.

    `train_loss` and `train_accuracy` are running figures, as the network saw the images:
    dropout and augmentation on. `seconds` is training and validation, `images_per_s`
    training only.
    """

    kind: ClassVar[str] = "epoch"
    time: float
    trial_id: int
    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float
    val_accuracy: float
    seconds: float
    images_per_s: float


@dataclass(frozen=True, slots=True)
class TrialEnded:
    """A trial is over: COMPLETE (all epochs), STOPPED early, or FAILED for `reason`."""

    kind: ClassVar[str] = "trial_ended"
    time: float
    trial_id: int
    state: EndState
    reason: str | None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a user should know, of one trial or (`trial_id` none) of the sweep."""

    kind: ClassVar[str] = "notice"
    time: float
    trial_id: int | None
    text: str


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """A driver stops in good order: `finished`, `interrupted` or what went wrong."""

    kind: ClassVar[str] = "session_ended"
    time: float
    reason: str


Record = (
    SweepCreated
    | ConfigChanged
    | SessionStarted
    | TrialStarted
    | EpochRecord
    | TrialEnded
    | Notice
    | SessionEnded
)

CODEC = Codec[Record](
    SweepCreated,
    ConfigChanged,
    SessionStarted,
    TrialStarted,
    EpochRecord,
    TrialEnded,
    Notice,
    SessionEnded,
)


def dump_record(record: Record) -> bytes:
    """Returns the record as one line, newline included.

    Raises:
        ValueError: If a number is not finite; JSON has no word for it.
    """
    return CODEC.dump(record)


def parse_record(line: bytes) -> Record:
    """Reads one line.

    Raises:
        LedgerError: If it is no record, or of a format newer than this program's.
    """
    return CODEC.parse(line)
