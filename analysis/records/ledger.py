"""The ledger of a sweep, `ledger.jsonl`: one JSON object per line.

Each kind of record is a class below, whose tag is the `kind`. Times are in seconds since 1970
(UTC), accuracies are fractions in [0, 1].
"""

from dataclasses import dataclass, field
from errno import EISDIR, ENAMETOOLONG, ENOTDIR
from typing import Any, Literal, Self

import msgspec
from typing_extensions import override

from analysis.errors import LedgerError, StorageError
from analysis.hyperparameters import DEFAULTS
from analysis.records.dataset import MNIST, DataRecord
from analysis.records.epochs import Epoch, Fraction
from analysis.records.files import CONFIRMATION_FILE, LEDGER_FILE
from analysis.storage.folder import Folder
from analysis.storage.journal import FirstRecord, Journal, JournalRecord, JournalWriter

RENAMED_KEYS = {"first": "initial_points"}
"""Key in configs of version 0.1.0 → its current name."""

DIVERGED = "diverged"
"""How the reason of a failure begins if the loss became infinite or NaN."""

EndState = Literal["COMPLETE", "STOPPED", "FAILED"]
State = Literal["RUNNING", "COMPLETE", "STOPPED", "FAILED"]
Origin = Literal["initial", "proposed", "earlier sweep"]


class EarlierTrial(msgspec.Struct, frozen=True):
    """A trial of an earlier sweep: the values of what is searched now, and how it ended."""

    trial_id: int
    state: Literal["COMPLETE", "STOPPED"]
    hyperparameters: dict[str, Any]
    val_accuracies: list[float]
    score: float | None


class EarlierSweep(msgspec.Struct, frozen=True):
    """What a sweep learned from an earlier one.

    `point`, the earlier sweep's best, is tried after the initial points; None if it is one.
    """

    name: str
    trials: list[EarlierTrial]
    point: dict[str, Any] | None


class SweepCreated(FirstRecord, frozen=True, tag="sweep", omit_defaults=True):
    """A sweep begins, with its resolved config and what describes its data."""

    config: dict[str, Any]
    earlier: EarlierSweep | None = None
    data: DataRecord = MNIST


class ConfigChanged(JournalRecord, frozen=True, tag="config"):
    """The config of the sweep changes: more trials, or changes that the user accepted."""

    config: dict[str, Any]


class SessionStarted(JournalRecord, frozen=True, tag="session"):
    """A driver begins to work on the sweep, `slots` trials at a time."""

    host: str
    pid: int
    slots: int


class TrialStarted(JournalRecord, frozen=True, tag="trial_started", omit_defaults=True):
    """A trial begins. `trial_id` counts from 1; `seed` is that of the trial.

    `preview_epochs` are those of a preview's schedule; None for any other trial. `repeats` is
    the preview whose hyperparameters the trial has.
    """

    trial_id: int
    seed: int
    hyperparameters: dict[str, Any]
    preview_epochs: int | None = None
    repeats: int | None = None


class EpochRecord(JournalRecord, frozen=True, tag="epoch", gc=False):
    """One epoch of one trial, followed by the fields of `Epoch` in their order."""

    trial_id: int
    epoch: int
    train_loss: float
    train_accuracy: Fraction
    val_loss: float
    val_accuracy: Fraction
    seconds: float
    images_per_s: float

    @classmethod
    def of(cls, time: float, trial_id: int, epoch: Epoch) -> Self:
        """Return the record of an epoch that a trial has finished."""
        return cls(time, trial_id, *msgspec.structs.astuple(epoch))

    def to_epoch(self) -> Epoch:
        """Return the epoch alone."""
        return Epoch(*msgspec.structs.astuple(self)[2:])


class TrialEnded(JournalRecord, frozen=True, tag="trial_ended"):
    """A trial has ended: COMPLETE (all epochs), STOPPED early, or FAILED for `reason`."""

    trial_id: int
    state: EndState
    reason: str | None


class Notice(JournalRecord, frozen=True, tag="notice"):
    """Something a user should know about one trial or, without `trial_id`, the sweep."""

    trial_id: int | None
    text: str


class SessionEnded(JournalRecord, frozen=True, tag="session_ended"):
    """A driver stops: `finished`, `interrupted by …` or what went wrong.

    The next driver writes it for one that was `killed`.
    """

    reason: str


def has_diverged(reason: str | None) -> bool:
    """Return whether a failure for this reason is a divergence, which would come again."""
    return (reason or "").startswith(DIVERGED)


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


@dataclass(slots=True)
class Trial:
    """One trial, see `TrialStarted`. Its epochs are consecutive from 1.

    Attributes:
        hyperparameters: Those that were searched, and those of `HAND_TUNED` in any case.
        config: The sweep's config when the trial started.
        state: RUNNING also for a trial that was interrupted.
        earlier_point: Whether the best of an earlier sweep is tried after the initial points.
    """

    trial_id: int
    seed: int
    hyperparameters: dict[str, Any]
    started: float
    config: dict[str, Any]
    epochs: list[Epoch] = field(default_factory=list)
    state: State = "RUNNING"
    ended: float | None = None
    reason: str | None = None
    earlier_point: bool = False
    preview_epochs: int | None = None
    repeats: int | None = None

    @property
    def planned_epochs(self) -> int:
        """The epochs of its schedule."""
        return self.preview_epochs or int(self.config["epochs"])

    @property
    def outcome(self) -> str:
        """Its state as one word; a preview that ended is not `stopped`, but a `preview`."""
        return "preview" if self.state == "STOPPED" and self.preview_epochs else self.state.lower()

    def value(self, name: str) -> Any:
        """Return the value of a hyperparameter: drawn, fixed by the recipe, or its default."""
        fixed = self.config["recipe"].get(name, DEFAULTS.get(name))
        return self.hyperparameters.get(name, fixed)

    @property
    def origin(self) -> Origin:
        """Whether it is an initial point of its config, an earlier best, or a proposal."""
        n_initial = len(self.config["initial_points"])
        number = self.repeats or self.trial_id
        if number <= n_initial:
            return "initial"
        is_earlier = self.earlier_point and number == n_initial + 1
        return "earlier sweep" if is_earlier else "proposed"

    @property
    def seconds(self) -> float:
        """The time that its epochs took, in seconds."""
        return sum(epoch.seconds for epoch in self.epochs)

    @property
    def val_accuracy(self) -> float | None:
        """The validation accuracy after the last epoch, if an epoch was finished."""
        return self.epochs[-1].val_accuracy if self.epochs else None


@dataclass
class Ledger(Journal):
    """The contents of a ledger.

    Attributes:
        config: The sweep's resolved config, as plain data, after its last change.
        records: The records after the first, in the order of the file. Their times
            decrease where a clock was set back.
        trials: By number, in the order in which they started.
    """

    file = LEDGER_FILE
    first = SweepCreated
    decoder = msgspec.json.Decoder(Record)
    sent_at_once = (TrialEnded, SessionStarted, SessionEnded)
    remedy = (  # another trial may get the number of one that was confirmed
        f"copy the sweep, delete {CONFIRMATION_FILE} and all lines from {{}} on in the copy, and "
        "resume the copy"
    )

    created: SweepCreated
    config: dict[str, Any] = field(init=False)
    records: list[Record] = field(default_factory=list)
    trials: dict[int, Trial] = field(default_factory=dict)
    sessions: list[SessionStarted] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    ended: SessionEnded | None = None

    def __post_init__(self) -> None:
        self.config = _with_current_keys(self.created.config)

    @property
    def name(self) -> str:
        """The sweep's name."""
        return self.created.name

    @property
    def data(self) -> DataRecord:
        """What describes the sweep's data."""
        return self.created.data

    @property
    def n_ended(self) -> int:
        """How many trials have ended."""
        return sum(trial.state != "RUNNING" for trial in self.trials.values())

    @property
    def n_epochs(self) -> int:
        """How many epochs all trials have run."""
        return sum(len(trial.epochs) for trial in self.trials.values())

    @property
    def has_open_session(self) -> bool:
        """Whether the last session has not ended: its driver is searching, or was killed."""
        return bool(self.sessions) and self.ended is None

    def in_state(self, state: State) -> list[Trial]:
        """Return the trials in `state`, in the order in which they started."""
        return [trial for trial in self.trials.values() if trial.state == state]

    @override
    def check(self, record: Record) -> None:
        match record:
            case EpochRecord() | TrialEnded():
                trial = self.trials.get(record.trial_id)
                if trial is None:
                    raise LedgerError(f"is about trial {record.trial_id}, which was never started")
                if trial.state != "RUNNING":
                    raise LedgerError(
                        f"is about trial {record.trial_id}, which has ended ({trial.state})"
                    )
                if isinstance(record, EpochRecord) and record.epoch != len(trial.epochs) + 1:
                    raise LedgerError(
                        f"is epoch {record.epoch} of trial {record.trial_id}, "
                        f"but epoch {len(trial.epochs) + 1} comes next"
                    )
            case TrialStarted():
                if record.trial_id in self.trials:
                    raise LedgerError(f"starts trial {record.trial_id} a second time")
            case SweepCreated():
                raise LedgerError("begins the sweep a second time")

    @override
    def add(self, record: Record) -> None:
        self.records.append(record)
        match record:
            case EpochRecord():
                self.trials[record.trial_id].epochs.append(record.to_epoch())
            case TrialStarted():
                earlier = self.created.earlier
                self.trials[record.trial_id] = Trial(
                    record.trial_id,
                    record.seed,
                    record.hyperparameters,
                    record.time,
                    self.config,
                    earlier_point=earlier is not None and earlier.point is not None,
                    preview_epochs=record.preview_epochs,
                    repeats=record.repeats,
                )
            case TrialEnded():
                trial = self.trials[record.trial_id]
                trial.state, trial.ended, trial.reason = record.state, record.time, record.reason
            case ConfigChanged():
                self.config = _with_current_keys(record.config)
            case SessionStarted():
                self.sessions.append(record)
                self.ended = None
            case SessionEnded():
                self.ended = record
            case Notice():
                self.notices.append(record)


def _with_current_keys(config: dict[str, Any]) -> dict[str, Any]:
    """Return a recorded config with the keys of today, which an older one has not."""
    renamed = {RENAMED_KEYS.get(key, key): value for key, value in config.items()}
    older: dict[str, Any] = {"dataset": "mnist", "split": "random", "time_budget": None}
    return {**older, "initial_points": [], **renamed}


def read_first_record(folder: Folder) -> SweepCreated | None:
    """Return the record that begins a sweep; None without a sweep, LedgerError if damaged."""
    path = folder.display_path(LEDGER_FILE)
    try:
        line = folder.read_first_line(LEDGER_FILE)
        is_lost = line.startswith(b"\0")  # whether the file is damaged depends on its other lines
        ledger = Ledger.read(folder) if is_lost else Ledger.parse(line, path)
    except FileNotFoundError:
        return None
    except StorageError as error:
        if error.errno in (EISDIR, ENAMETOOLONG, ENOTDIR):
            return None
        raise LedgerError(f"{path} cannot be read ({error.strerror})") from error
    return None if ledger is None else ledger.created


def read_ledger(folder: Folder) -> Ledger:
    """Read the ledger of a sweep; FileNotFoundError without one, LedgerError if damaged.

    The sweep has the current name of its folder.
    """
    ledger = Ledger.read(folder)
    if ledger is None:
        raise FileNotFoundError(f"no sweep in {folder}")
    ledger.created = msgspec.structs.replace(ledger.created, name=folder.name)
    return ledger


class LedgerWriter(JournalWriter[Ledger]):
    """Appends records to a ledger."""

    kind = Ledger
