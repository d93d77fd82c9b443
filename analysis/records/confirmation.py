"""The confirmation of a sweep, `confirm.jsonl`: finalists and baselines with fresh seeds.

Each kind of record is a class below, whose tag is the `kind`. Times are in seconds since 1970
(UTC), accuracies are fractions in [0, 1].
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import msgspec
from typing_extensions import override

from analysis.errors import LedgerError
from analysis.hyperparameters import DEFAULTS
from analysis.records.epochs import Epoch, Fraction
from analysis.records.files import CONFIRMATION_FILE, LEDGER_FILE
from analysis.records.ledger import Ledger
from analysis.records.seeds import confirmation_seeds
from analysis.storage.folder import Folder
from analysis.storage.journal import FirstRecord, Journal, JournalRecord, JournalWriter

Role = Literal["finalist", "baseline"]
RunEndState = Literal["COMPLETE", "FAILED"]
RunState = Literal["RUNNING", "COMPLETE", "FAILED"]

MIN_SEEDS = 4
"""Fewest seeds with an interval, a p value and a forecast, and between two planned looks."""
_MAX_LOOKS = 6

# The name of an arm becomes part of the names of files.
_ARM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


class ConfirmationBegun(FirstRecord, frozen=True, tag="confirmation", omit_defaults=True):
    """A confirmation of the sweep `name` begins; its arms are trained for `epochs`.

    `created` is the time of the first record of the sweep's ledger; earlier versions had none.
    """

    epochs: int
    created: float = 0.0


class Plan(JournalRecord, frozen=True, tag="plan", omit_defaults=True):
    """How many finalists are confirmed, with how many seeds, and the names of all arms.

    With `max_seeds` seeds are added until the verdict is clear, and `seeds` does not count.
    """

    top_k: int
    seeds: int
    max_seeds: int | None
    arms: tuple[str, ...] = ()

    @property
    def n_planned(self) -> int:
        """The largest number of seeds."""
        return self.seeds if self.max_seeds is None else self.max_seeds

    def next_look(self, n_seeds: int) -> int | None:
        """Return the seeds at the first of at most six looks with more than `n_seeds`."""
        step = self.n_planned
        if self.max_seeds is not None:
            step = max(MIN_SEEDS, -(-self.max_seeds // _MAX_LOOKS))
        following = min((n_seeds // step + 1) * step, self.n_planned)
        return following if following > n_seeds else None


class LookTaken(JournalRecord, frozen=True, tag="look"):
    """The results of the complete runs so far have been looked at, to reach a verdict.

    `seeds` is the number of seeds with which all runs have ended. `planned` is the number that
    was planned at the first look, which all looks share: it determines how the error is spent.
    """

    seeds: int
    planned: int


class Arm(JournalRecord, frozen=True, tag="arm"):
    """A finalist or a baseline, to be trained with several seeds.

    `title` is the name that is shown, `trial_id` the trial that it comes from, if any, and
    `hyperparameters` has all values. A `reference` has the regularizers of the hand-tuned point,
    or none, in any recipe, which may have more of them; verdicts compare with it.
    """

    arm: str
    title: str
    role: Role
    model: str
    trial_id: int | None
    hyperparameters: dict[str, Any]
    epochs: int
    reference: bool

    def differences(self, other: "Arm") -> int:
        """Return the number of settings in which another arm differs.

        The model, the epochs and each hyperparameter count as one. A hyperparameter that an old
        record does not have is its default.
        """
        mine, others = ({**DEFAULTS, **arm.hyperparameters} for arm in (self, other))
        differing = [mine.get(name) != others.get(name) for name in mine.keys() | others.keys()]
        return sum([self.model != other.model, self.epochs != other.epochs, *differing])


class RunEpoch(JournalRecord, frozen=True, tag="run_epoch", gc=False):
    """One epoch of one run, followed by the fields of `Epoch` in their order.

    It is evaluated on the test images: `test_loss` and `test_accuracy` replace `val_…`.
    """

    arm: str
    seed: int
    epoch: int
    train_loss: float
    train_accuracy: Fraction
    test_loss: float
    test_accuracy: Fraction
    seconds: float
    images_per_s: float

    @classmethod
    def of(cls, time: float, arm: str, seed: int, epoch: Epoch) -> Self:
        """Return the record of an epoch that a run has finished."""
        return cls(time, arm, seed, *msgspec.structs.astuple(epoch))

    def to_epoch(self) -> Epoch:
        """Return the epoch alone."""
        return Epoch(*msgspec.structs.astuple(self)[3:])


class RunEnded(JournalRecord, frozen=True, tag="run_ended"):
    """A run has ended: COMPLETE, or FAILED for `reason`."""

    arm: str
    seed: int
    state: RunEndState
    reason: str | None


class ConfirmationNotice(JournalRecord, frozen=True, tag="notice"):
    """Something a user should know."""

    text: str


ConfirmationRecord = (
    ConfirmationBegun | Plan | Arm | RunEpoch | RunEnded | LookTaken | ConfirmationNotice
)


@dataclass(frozen=True, slots=True)
class Look:
    """What a look saw, see `LookTaken`: the last test accuracy of each complete run.

    `seeds` are all whose runs had begun. The accuracies, by arm and seed, are fractions.
    """

    n_seeds: int
    n_planned: int
    seeds: frozenset[int]
    accuracies: dict[str, dict[int, float]]


@dataclass(slots=True)
class Run:
    """One arm trained with one seed. `epochs` are consecutive from 1, on the test images.

    `started` is the time of its first epoch's beginning, in seconds since 1970; 0 without one.
    """

    arm: str
    seed: int
    epochs: list[Epoch] = field(default_factory=list)
    state: RunState = "RUNNING"
    reason: str | None = None
    started: float = 0.0


@dataclass
class Confirmation(Journal):
    """The contents of a confirmation: arms by name, runs by arm and seed.

    `n_planned` is the largest number of seeds in the plans under which runs were completed: a
    shortened plan still spends the error of the longest one.
    """

    file = CONFIRMATION_FILE
    first = ConfirmationBegun
    decoder = msgspec.json.Decoder(ConfirmationRecord)
    sent_at_once = (RunEnded, LookTaken)
    remedy = "copy the sweep, delete this file, and confirm the sweep again"

    begun: ConfirmationBegun
    arms: dict[str, Arm] = field(default_factory=dict)
    runs: dict[tuple[str, int], Run] = field(default_factory=dict)
    notices: list[ConfirmationNotice] = field(default_factory=list)
    plan: Plan | None = None
    n_planned: int = 1
    taken_looks: list[Look] = field(default_factory=list)

    @property
    def has_results(self) -> bool:
        """Whether a run is complete."""
        return any(run.state == "COMPLETE" for run in self.runs.values())

    @property
    def looks(self) -> list[Look]:
        """The looks in order.

        Version 0.1.0 recorded none, and no plan: what it left counts as one look, at the
        planned number of seeds.
        """
        if self.taken_looks or self.plan is not None:
            return self.taken_looks
        n_seeds = max(1, len(self.seeds))
        return [self._look(n_seeds, n_seeds)]

    def n_seeds_ended(self, arms: Collection[str]) -> int:
        """Return the number of seeds with which the runs of all `arms` have ended."""
        ended = {key for key, run in self.runs.items() if run.state != "RUNNING"}
        return sum(all((arm, seed) in ended for arm in arms) for seed in self.seeds)

    def in_role(self, role: Role) -> list[Arm]:
        """Return the finalists or the baselines, in order."""
        return [arm for arm in self.arms.values() if arm.role == role]

    def finalist(self, trial_id: int) -> Arm | None:
        """Return the finalist that comes from a trial, if one does."""
        return next((arm for arm in self.in_role("finalist") if arm.trial_id == trial_id), None)

    def reference_of(self, finalist: Arm) -> Arm | None:
        """Return the arm that a finalist's hyperparameters are compared with, if there is one.

        It is the baseline in the finalist's own recipe, or in the most similar one: the
        effect of a recipe must not be credited to the hyperparameters. It may be the finalist
        itself.
        """
        references = [arm for arm in self.arms.values() if arm.reference]
        return min(references, key=finalist.differences, default=None)

    @property
    def seeds(self) -> set[int]:
        """The seeds of all runs that have begun."""
        return {seed for _, seed in self.runs}

    def ordered_seeds(self, sweep_seed: int) -> list[int]:
        """Return the seeds of all runs: those derived from the sweep's in order, then others."""
        derived = confirmation_seeds(sweep_seed, len(self.seeds))
        own = [seed for seed in derived if seed in self.seeds]
        return own + sorted(self.seeds - set(own))

    def runs_of(self, arm: str) -> list[Run]:
        """Return the runs of an arm, sorted by seed."""
        return sorted((r for r in self.runs.values() if r.arm == arm), key=lambda r: r.seed)

    def test_accuracies(self, arm: str) -> dict[int, float]:
        """Return by seed the test accuracy after the last epoch of an arm's finished runs.

        It is the last epoch's and never the highest: choosing among epochs by test images
        would flatter the result.
        """
        epochs = self.arms[arm].epochs
        return {
            run.seed: run.epochs[-1].val_accuracy
            for run in self.runs_of(arm)
            if run.state == "COMPLETE" and run.epochs and len(run.epochs) == epochs
        }

    @override
    def check(self, record: ConfirmationRecord) -> None:
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
            case LookTaken(seeds=n_seeds, planned=n_planned):
                if n_seeds < 0 or n_planned < 1:
                    raise LedgerError(f"is a look at {n_seeds} of {n_planned} seeds")

    @override
    def add(self, record: ConfirmationRecord) -> None:
        match record:
            case Arm(arm=name):
                self.arms[name] = record
            case RunEpoch():
                run = self._run(record)
                run.started = run.started or record.time - record.seconds
                run.epochs.append(record.to_epoch())
                run.state, run.reason = "RUNNING", None
            case RunEnded():
                run = self._run(record)
                run.state, run.reason = record.state, record.reason
            case Plan():
                self.n_planned = max(record.n_planned, self.n_planned if self.has_results else 1)
                self.plan = record
                if record.arms:
                    self._forget_all_but(record.arms)
            case LookTaken(seeds=n_seeds, planned=n_planned):
                self.taken_looks.append(self._look(n_seeds, n_planned))
            case ConfirmationNotice():
                self.notices.append(record)

    def _forget_all_but(self, planned: Collection[str]) -> None:
        """Forget the arms that are not planned any more, if no run of theirs has ended."""
        ended = {run.arm for run in self.runs.values() if run.state != "RUNNING"}
        kept = {*planned, *ended}
        self.arms = {name: arm for name, arm in self.arms.items() if name in kept}
        self.runs = {key: run for key, run in self.runs.items() if key[0] in kept}

    def _look(self, n_seeds: int, n_planned: int) -> Look:
        accuracies = {arm: self.test_accuracies(arm) for arm in self.arms}
        return Look(n_seeds, n_planned, frozenset(self.seeds), accuracies)

    def _check_run(self, record: RunEpoch | RunEnded) -> None:
        """Check a record of a run; a failed run may continue, a complete one may not."""
        arm = self.arms.get(record.arm)
        if arm is None:
            raise LedgerError(f"is about the arm {record.arm!r}, which no record defines")
        run = self.runs.get((record.arm, record.seed))
        if run is not None and run.state == "COMPLETE":
            raise LedgerError(f"is about {record.arm!r}, seed {record.seed}, which is complete")
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


def read_confirmation(folder: Folder, ledger: Ledger) -> Confirmation | None:
    """Read the confirmation of a sweep; None without one, LedgerError if it is another's.

    It may also be of trials that an older copy of the ledger has lost since.
    """
    found = Confirmation.read(folder)
    if found is None:
        return None
    is_other = found.begun.created not in (0.0, ledger.created.time)
    of = "another sweep" if is_other else f"other trials than {LEDGER_FILE}"
    if is_other or any(_has_other_values(arm, ledger) for arm in found.in_role("finalist")):
        path = folder.display_path(CONFIRMATION_FILE)
        raise LedgerError(
            f"{path} is of {of}: restore the two files that belong together, or delete it and "
            "confirm the sweep again"
        )
    return found


def _has_other_values(finalist: Arm, ledger: Ledger) -> bool:
    """Return whether a finalist has another network or other values than its trial, if any."""
    trial = ledger.trials.get(finalist.trial_id or 0)
    return trial is not None and (
        finalist.model != trial.config["model"]
        or any(trial.value(name) != value for name, value in finalist.hyperparameters.items())
    )


class ConfirmationWriter(JournalWriter[Confirmation]):
    """Appends records to a confirmation."""

    kind = Confirmation
