"""A sweep's confirmation: finalists and baselines, trained afresh and tested.

Its file holds one JSON object a line, as the ledger does:

| kind           | written when                                      | fields            |
|----------------|---------------------------------------------------|-------------------|
| `confirmation` | the confirmation begins; always the first record  | `ConfirmationBegun` |
| `arm`          | a finalist or a baseline is to be trained         | `Arm`             |
| `run_epoch`    | a run has finished an epoch                       | `RunEpoch`        |
| `run_ended`    | a run is over                                     | `RunEnded`        |
| `notice`       | something happened that a user should know        | `ConfirmationNotice` |

Times are seconds since 1970 (UTC), accuracies fractions in [0, 1].
"""

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

from analysis.codec import Codec
from analysis.errors import LedgerError
from analysis.folder import Folder
from analysis.jsonl import LineWriter, read_records

CONFIRMATION_FILE = "confirm.jsonl"
CONFIRMATION_FORMAT = 1

Role = Literal["finalist", "baseline"]
RunEndState = Literal["COMPLETE", "FAILED"]
RunState = Literal["RUNNING", "COMPLETE", "FAILED"]

# An arm's name becomes part of a file's.
_ARM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


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
    `hyperparameters` are all of them. The verdict on the hyperparameters is against the
    baseline that is the `reference`.
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

_CODEC = Codec[ConfirmationRecord](ConfirmationBegun, Arm, RunEpoch, RunEnded, ConfirmationNotice)


@dataclass(slots=True)
class Run:
    """One arm trained with one seed. `epochs` are consecutive from 1."""

    arm: str
    seed: int
    epochs: list[RunEpoch] = field(default_factory=list)
    state: RunState = "RUNNING"
    reason: str | None = None


@dataclass
class Confirmation:
    """What a confirmation's records say, taken together.

    `arms` are in the order in which they were recorded, `runs` are by arm and seed.
    `torn` is the number of bytes of a half-written last line, which was dropped.
    """

    begun: ConfirmationBegun
    arms: dict[str, Arm] = field(default_factory=dict)
    runs: dict[tuple[str, int], Run] = field(default_factory=dict)
    notices: list[ConfirmationNotice] = field(default_factory=list)
    torn: int = 0

    def in_role(self, role: Role) -> list[Arm]:
        """Returns the finalists or the baselines, in order."""
        return [arm for arm in self.arms.values() if arm.role == role]

    @property
    def reference(self) -> Arm | None:
        """The baseline that the verdict on the hyperparameters is against, if there is one."""
        return next((arm for arm in self.in_role("baseline") if arm.reference), None)

    def runs_of(self, arm: str) -> list[Run]:
        """Returns an arm's runs, by seed."""
        return sorted((r for r in self.runs.values() if r.arm == arm), key=lambda r: r.seed)

    def test_accuracies(self, arm: str) -> dict[int, float]:
        """Returns, by seed, the test accuracy after the last epoch of an arm's finished runs.

        It is the last epoch's and never the highest: choosing among epochs by test images
        would flatter the result.
        """
        epochs = self.arms[arm].epochs
        return {
            run.seed: run.epochs[-1].test_accuracy
            for run in self.runs_of(arm)
            if run.state == "COMPLETE" and run.epochs and len(run.epochs) == epochs
        }

    def check(self, record: ConfirmationRecord) -> None:
        """Tells whether a record may follow those before it.

        A failed run may be taken up again where it ended; a complete one is over.

        Raises:
            LedgerError: If it contradicts them.
        """
        match record:
            case Arm(arm=name):
                if not _ARM_NAME.fullmatch(name):
                    raise LedgerError(f"names an arm {name!r}, which cannot be a file's name")
                if name in self.arms:
                    raise LedgerError(f"names the arm {name!r} a second time")
            case RunEpoch() | RunEnded():
                self._check_run(record)
            case ConfirmationBegun():
                raise LedgerError("begins the confirmation a second time")

    def apply(self, record: ConfirmationRecord) -> None:
        """Takes in one more record.

        Raises:
            LedgerError: If it contradicts those before it.
        """
        self.check(record)
        match record:
            case Arm(arm=name):
                self.arms[name] = record
            case RunEpoch():
                run = self._run(record)
                run.epochs.append(record)
                run.state, run.reason = "RUNNING", None
            case RunEnded():
                run = self._run(record)
                run.state, run.reason = record.state, record.reason
            case ConfirmationNotice():
                self.notices.append(record)

    def _check_run(self, record: RunEpoch | RunEnded) -> None:
        arm = self.arms.get(record.arm)
        if arm is None:
            raise LedgerError(f"is about the arm {record.arm!r}, which was never named")
        run = self.runs.get((record.arm, record.seed))
        if run is not None and run.state == "COMPLETE":
            raise LedgerError(f"is about {record.arm!r}, seed {record.seed}, which is over")
        if isinstance(record, RunEpoch):
            following = len(run.epochs) + 1 if run else 1
            if record.epoch != following or record.epoch > arm.epochs:
                raise LedgerError(
                    f"is epoch {record.epoch} of {record.arm!r}, seed {record.seed}, "
                    f"but epoch {following} of {arm.epochs} comes next"
                )

    def _run(self, record: RunEpoch | RunEnded) -> Run:
        return self.runs.setdefault((record.arm, record.seed), Run(record.arm, record.seed))


def dump_confirmation_record(record: ConfirmationRecord) -> bytes:
    """Returns the record as one line, line end included.

    Raises:
        ValueError: If a number is not finite; JSON has no word for it.
    """
    return _CODEC.dump(record)


def read_confirmation(folder: Folder) -> Confirmation | None:
    """Reads the confirmation of the sweep in `folder`; None if none was begun.

    Raises:
        LedgerError: If a line is damaged; a half-written last line is no damage.
    """
    confirmation: Confirmation | None = None

    def take(record: ConfirmationRecord) -> None:
        nonlocal confirmation
        if confirmation is not None:
            confirmation.apply(record)
        elif isinstance(record, ConfirmationBegun):
            confirmation = Confirmation(record)
        else:
            raise LedgerError("comes before the record that begins the confirmation")

    try:
        torn = read_records(folder, CONFIRMATION_FILE, _CODEC, take)
    except FileNotFoundError:
        return None
    if confirmation is not None:
        confirmation.torn = torn
    return confirmation


class ConfirmationWriter(LineWriter):
    """Appends records to a confirmation's file; each is on the disk when `append` returns.

    `confirmation` is the sum of all records.
    """

    def __init__(self, folder: Folder, confirmation: Confirmation) -> None:
        super().__init__(folder.local_path(CONFIRMATION_FILE), torn=confirmation.torn)
        confirmation.torn = 0
        self.confirmation = confirmation

    @classmethod
    def open(cls, folder: Folder, begun: ConfirmationBegun) -> Self:
        """Goes on with the confirmation in `folder`, or begins one with `begun`."""
        confirmation = read_confirmation(folder)
        if confirmation is not None:
            return cls(folder, confirmation)
        folder.delete(CONFIRMATION_FILE)
        writer = cls(folder, Confirmation(begun))
        writer.write_line(dump_confirmation_record(begun))
        return writer

    def append(self, record: ConfirmationRecord) -> None:
        """Writes one record to the disk.

        Raises:
            LedgerError: If it contradicts those before it; then nothing is written.
            OSError: If the disk does not take it; what was there before stays whole.
        """
        line = dump_confirmation_record(record)
        self.confirmation.check(record)
        self.write_line(line)
        self.confirmation.apply(record)
