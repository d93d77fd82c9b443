"""A sweep's confirmation: finalists and baselines, trained afresh and tested."""

import re
from dataclasses import dataclass, field
from typing import Self

from analysis.errors import LedgerError
from analysis.records.confirmation_events import (
    CODEC,
    CONFIRMATION_FORMAT,
    Arm,
    ConfirmationBegun,
    ConfirmationNotice,
    ConfirmationRecord,
    Role,
    RunEnded,
    RunEpoch,
    RunState,
    dump_confirmation_record,
)
from analysis.storage.folder import Folder
from analysis.storage.journal import RecordWriter, read_records

__all__ = [
    "CONFIRMATION_FILE",
    "CONFIRMATION_FORMAT",
    "Arm",
    "Confirmation",
    "ConfirmationBegun",
    "ConfirmationNotice",
    "ConfirmationRecord",
    "ConfirmationWriter",
    "Run",
    "RunEnded",
    "RunEpoch",
    "dump_confirmation_record",
    "read_confirmation",
]

CONFIRMATION_FILE = "confirm.jsonl"

# An arm's name becomes part of a file's.
_ARM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


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

    def finalist(self, trial_id: int) -> Arm | None:
        """Returns the finalist that the trial `trial_id` is, if it is one."""
        return next((arm for arm in self.in_role("finalist") if arm.trial_id == trial_id), None)

    def reference_of(self, finalist: Arm) -> Arm | None:
        """Returns what the verdict on a finalist's hyperparameters is against, if there is any.

        It is the hand-tuned point in the finalist's own recipe, or in the nearest to it: what
        a recipe brings must not be credited to the hyperparameters. It may be the finalist.
        """
        references = [arm for arm in self.arms.values() if arm.reference]
        return min(references, key=finalist.differences, default=None)

    @property
    def seeds(self) -> set[int]:
        """The seeds with which any arm has begun to be trained."""
        return {seed for _, seed in self.runs}

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
                expected = f"epoch {following} comes next"
                if following > arm.epochs:
                    expected = f"there are only {arm.epochs}"
                raise LedgerError(
                    f"is epoch {record.epoch} of {record.arm!r}, seed {record.seed}, "
                    f"but {expected}"
                )

    def _run(self, record: RunEpoch | RunEnded) -> Run:
        return self.runs.setdefault((record.arm, record.seed), Run(record.arm, record.seed))


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
        torn = read_records(folder, CONFIRMATION_FILE, CODEC, take)
    except FileNotFoundError:
        return None
    if confirmation is not None:
        confirmation.torn = torn
    return confirmation


class ConfirmationWriter(RecordWriter):
    """Appends records to a confirmation's file, as `LedgerWriter` does to the ledger.

    `confirmation` is the sum of all records.
    """

    def __init__(self, folder: Folder, confirmation: Confirmation) -> None:
        super().__init__(folder, CONFIRMATION_FILE, torn=confirmation.torn)
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
        writer.write_line(dump_confirmation_record(begun), flush=True)
        return writer

    def append(self, record: ConfirmationRecord) -> None:
        """Writes one record.

        Raises:
            LedgerError: If it contradicts those before it; then nothing is written.
            OSError: If the storage does not take it; what was there before stays whole.
        """
        line = dump_confirmation_record(record)
        self.confirmation.check(record)
        self.write_line(line, flush=isinstance(record, RunEnded))
        self.confirmation.apply(record)
