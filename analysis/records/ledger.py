"""A sweep's ledger: written record by record, read back as trials."""

from dataclasses import dataclass, field
from typing import Any, Self

from analysis.errors import LedgerError
from analysis.records.events import (
    CODEC,
    ConfigChanged,
    EpochRecord,
    Notice,
    Record,
    SessionEnded,
    SessionStarted,
    State,
    SweepCreated,
    TrialEnded,
    TrialStarted,
    dump_record,
)
from analysis.storage.folder import Folder
from analysis.storage.journal import RecordWriter, read_records

LEDGER_FILE = "ledger.jsonl"


@dataclass(slots=True)
class Trial:
    """One trial, as far as the ledger tells.

    `epochs` are consecutive from 1. `started` and `ended` are seconds since 1970. `config` is
    the sweep's as it was when the trial started.
    """

    trial_id: int
    seed: int
    hyperparameters: dict[str, Any]
    started: float
    config: dict[str, Any]
    epochs: list[EpochRecord] = field(default_factory=list)
    state: State = "RUNNING"
    ended: float | None = None
    reason: str | None = None

    def value(self, name: str) -> Any:
        """Returns a hyperparameter's value: drawn, or fixed by the recipe; None without either."""
        return self.hyperparameters.get(name, self.config["recipe"].get(name))

    @property
    def seconds(self) -> float:
        """The time its epochs took, in seconds."""
        return sum(epoch.seconds for epoch in self.epochs)

    @property
    def val_accuracy(self) -> float | None:
        """The last epoch's validation accuracy, if an epoch was finished."""
        return self.epochs[-1].val_accuracy if self.epochs else None


@dataclass
class Ledger:
    """What a ledger's records say, taken together.

    `config` is the sweep's resolved config, as plain data, as it was last changed. `torn` is
    the number of bytes of a half-written last line, which was dropped.
    """

    created: SweepCreated
    config: dict[str, Any] = field(init=False)
    trials: dict[int, Trial] = field(default_factory=dict)
    sessions: list[SessionStarted] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    ended: SessionEnded | None = None
    torn: int = 0

    def __post_init__(self) -> None:
        self.config = self.created.config

    @property
    def name(self) -> str:
        """The sweep's name."""
        return self.created.name

    def in_state(self, state: State) -> list[Trial]:
        """Returns the trials in `state`, in the order in which they started."""
        return [trial for trial in self.trials.values() if trial.state == state]

    def check(self, record: Record) -> None:
        """Tells whether a record may follow those before it.

        Raises:
            LedgerError: If it contradicts them.
        """
        match record:
            case EpochRecord():
                trial = self._running(record.trial_id)
                if record.epoch != len(trial.epochs) + 1:
                    raise LedgerError(
                        f"is epoch {record.epoch} of trial {record.trial_id}, "
                        f"but epoch {len(trial.epochs) + 1} comes next"
                    )
            case TrialEnded():
                self._running(record.trial_id)
            case TrialStarted():
                if record.trial_id in self.trials:
                    raise LedgerError(f"starts trial {record.trial_id} a second time")
            case SweepCreated():
                raise LedgerError("begins the sweep a second time")

    def apply(self, record: Record) -> None:
        """Takes in one more record.

        Raises:
            LedgerError: If it contradicts those before it.
        """
        self.check(record)
        match record:
            case EpochRecord():
                self.trials[record.trial_id].epochs.append(record)
            case TrialStarted():
                self.trials[record.trial_id] = Trial(
                    record.trial_id,
                    record.seed,
                    record.hyperparameters,
                    record.time,
                    self.config,
                )
            case TrialEnded():
                trial = self.trials[record.trial_id]
                trial.state, trial.ended, trial.reason = record.state, record.time, record.reason
            case ConfigChanged():
                self.config = record.config
            case SessionStarted():
                self.sessions.append(record)
                self.ended = None
            case SessionEnded():
                self.ended = record
            case Notice():
                self.notices.append(record)

    def _running(self, trial_id: int) -> Trial:
        trial = self.trials.get(trial_id)
        if trial is None:
            raise LedgerError(f"is about trial {trial_id}, which was never started")
        if trial.state != "RUNNING":
            raise LedgerError(f"is about trial {trial_id}, which is over ({trial.state})")
        return trial


def has_begun(folder: Folder) -> bool:
    """Tells whether there is a sweep in `folder`: a ledger with a whole record."""
    try:
        return next(folder.lines(LEDGER_FILE), b"").endswith(b"\n")
    except FileNotFoundError:
        return False


def read_ledger(folder: Folder) -> Ledger:
    """Reads the ledger of the sweep in `folder`.

    Raises:
        FileNotFoundError: If there is none, or none with a whole record.
        LedgerError: If a line is damaged; a half-written last line is no damage.
    """
    ledger: Ledger | None = None

    def take(record: Record) -> None:
        nonlocal ledger
        if ledger is not None:
            ledger.apply(record)
        elif isinstance(record, SweepCreated):
            ledger = Ledger(record)
        else:
            raise LedgerError("comes before the record that begins the sweep")

    torn = read_records(folder, LEDGER_FILE, CODEC, take)
    if ledger is None:
        raise FileNotFoundError(f"no sweep in {folder}")
    ledger.torn = torn
    return ledger


class LedgerWriter(RecordWriter):
    """Appends records to a ledger file.

    On a file system each is on the disk when `append` returns; an object store has it 20 s
    later at most. The writer keeps `ledger`, the sum of all records, up to date, so that a
    driver needs no second account of what happened.
    """

    def __init__(self, folder: Folder, ledger: Ledger) -> None:
        super().__init__(folder, LEDGER_FILE, torn=ledger.torn)
        ledger.torn = 0
        self.ledger = ledger

    @classmethod
    def create(cls, folder: Folder, created: SweepCreated) -> Self:
        """Begins a new ledger in `folder`, in place of one without a whole record.

        Raises:
            FileExistsError: If there is a sweep already.
        """
        if has_begun(folder):
            raise FileExistsError(f"there is a sweep in {folder} already")
        folder.delete(LEDGER_FILE)
        writer = cls(folder, Ledger(created))
        writer.write_line(dump_record(created), flush=True)
        return writer

    @classmethod
    def reopen(cls, folder: Folder) -> Self:
        """Goes on with the ledger in `folder`, without the half-written line it may end in."""
        return cls(folder, read_ledger(folder))

    def append(self, record: Record) -> None:
        """Writes one record.

        Raises:
            LedgerError: If it contradicts those before it; then nothing is written.
            OSError: If the storage does not take it; what was there before stays whole.
        """
        line = dump_record(record)
        self.ledger.check(record)
        self.write_line(line, flush=isinstance(record, TrialEnded | SessionStarted | SessionEnded))
        self.ledger.apply(record)
