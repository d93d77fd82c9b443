"""Records, ledgers and confirmations that tests make in memory, without files.

Each kind of record has a function: its arguments, and the fields in `given`, replace the values
that are invented here.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from msgspec.structs import replace

from analysis.records.confirmation import Arm, Confirmation, ConfirmationBegun, RunEnded, RunEpoch
from analysis.records.epochs import Epoch
from analysis.records.ledger import (
    EndState,
    EpochRecord,
    Ledger,
    SessionStarted,
    SweepCreated,
    TrialEnded,
    TrialStarted,
)
from analysis.storage.journal import FORMAT, Journal
from sweep.config import SweepConfig

J = TypeVar("J", bound=Journal)
CONFIG: dict[str, Any] = {
    "model": "lenet5",
    "seed": 0,
    "epochs": 4,
    "recipe": {"schedule": "linear"},
    "space": {
        "dropout": {"low": 0.0, "high": 0.5},
        "weight_decay": {"low": 1e-6, "high": 1e-2, "log": True},
    },
    "scheduler": {"name": "asha", "grace_period": 1, "reduction_factor": 2},
    "confirm": {"top_k": 1, "seeds": 5},
}
_REASONS = {"FAILED": "loss became nan"}


def begin_ledger(config: SweepConfig | dict[str, Any], **given: Any) -> Ledger:
    """Make the ledger of a sweep without trials."""
    plain = config.model_dump(mode="json") if isinstance(config, SweepConfig) else config
    return Ledger(replace(SweepCreated(0.0, FORMAT, "made", plain), **given))


def begin_confirmation(epochs: int = 2, **given: Any) -> Confirmation:
    """Make a confirmation without arms."""
    return Confirmation(replace(ConfirmationBegun(0.0, FORMAT, "made", epochs), **given))


def apply(journal: J, *records: Any) -> J:
    """Apply records to a journal, and return it."""
    for record in records:
        journal.apply(record)
    return journal


def measured(number: int, accuracy: float = 0.95) -> Epoch:
    return Epoch(number, 0.1, 0.9, 0.05, accuracy, seconds=2.0, images_per_s=1e4)


def session_started(slots: int = 1, time: float = 0.0) -> SessionStarted:
    return SessionStarted(time, "host", 1, slots)


def trial_started(trial_id: int, values: Any = None, **given: Any) -> TrialStarted:
    return replace(TrialStarted(0.0, trial_id, trial_id, values or {}), **given)


def trial_epoch(trial_id: int, number: int, accuracy: float = 0.95, **given: Any) -> EpochRecord:
    return replace(EpochRecord.of(0.0, trial_id, measured(number, accuracy)), **given)


def trial_ended(
    trial_id: int, state: EndState = "COMPLETE", reason: str | None = None, time: float = 0.0
) -> TrialEnded:
    return TrialEnded(time, trial_id, state, reason or _REASONS.get(state))


def trial_records(
    trial_id: int,
    accuracies: Iterable[float],
    state: EndState | None = "COMPLETE",
    values: Any = None,
    *,
    reason: str | None = None,
    time: float = 0.0,
    seconds: float = 2.0,
    **started: Any,
) -> Iterator[Any]:
    """Yield the records of a trial with these validation accuracies; without a state it runs."""
    yield trial_started(trial_id, values, time=time, **started)
    for number, accuracy in enumerate(accuracies, start=1):
        time += seconds
        yield trial_epoch(trial_id, number, accuracy, time=time, seconds=seconds)
    if state is not None:
        yield trial_ended(trial_id, state, reason, time)


def make_arm(name: str, role: str = "baseline", **given: Any) -> Arm:
    return replace(Arm(0.0, name, name, role, "lenet5", None, {}, 2, False), **given)


def run_epoch(arm: str, seed: int, number: int, accuracy: float = 0.95, **given: Any) -> RunEpoch:
    made = RunEpoch(0.0, arm, seed, number, 0.1, 0.97, 0.02, accuracy, 4.0, 1e4)
    return replace(made, **given)


def run_ended(arm: str, seed: int, state: str = "COMPLETE", reason: str | None = None) -> RunEnded:
    return RunEnded(0.0, arm, seed, state, reason or _REASONS.get(state))


def run_records(
    arm: str,
    seed: int,
    accuracies: Iterable[float],
    state: str | None = "COMPLETE",
    **given: Any,
) -> Iterator[Any]:
    """Yield the records of a run with these test accuracies; without a state it runs."""
    for number, accuracy in enumerate(accuracies, start=1):
        yield run_epoch(arm, seed, number, accuracy, **given)
    if state is not None:
        yield run_ended(arm, seed, state)


def make_ledger(
    *trials: tuple[EndState | None, dict[str, Any], Sequence[float]], **config: Any
) -> Ledger:
    """Make a ledger of trials one after another, with `CONFIG` except for `config`.

    Of each trial the arguments say how it ended, its hyperparameters, and its validation
    accuracies by epoch. An epoch takes 2 s, starting and ending a trial nothing.
    """
    ledger = begin_ledger(CONFIG | {"trials": len(trials)} | config, time=100.0)
    ledger.apply(session_started(time=100.0))
    for trial_id, (state, values, accuracies) in enumerate(trials, start=1):
        time = ledger.records[-1].time
        apply(ledger, *trial_records(trial_id, accuracies, state, values, time=time))
    return ledger


def by_seed(*accuracies: float | None) -> dict[int, float | None]:
    """Return accuracies by seed, for `make_confirmation`."""
    return dict(enumerate(accuracies, start=1001))


def make_confirmation(
    accuracies: dict[str, dict[int, float | None]], *, first_trial: int = 1
) -> Confirmation:
    """Make a confirmation in memory from accuracies by arm and seed; None is a failed run.

    Arms called `finalist…` are finalists, namely the trials from `first_trial` on, the others
    baselines, the first of them the reference. Each has a learning rate of its own. Every run
    has two epochs, of which the first is the better one.
    """
    confirmation = begin_confirmation()
    reference = next((name for name in accuracies if not name.startswith("finalist")), None)
    trial_ids = itertools.count(first_trial)
    for number, name in enumerate(accuracies):
        is_finalist = name.startswith("finalist")
        arm = make_arm(
            name,
            "finalist" if is_finalist else "baseline",
            title=f"the {name}",
            trial_id=next(trial_ids) if is_finalist else None,
            hyperparameters={"learning_rate": float(number)},
            reference=name == reference,
        )
        confirmation.apply(arm)
    for name, by_seed in accuracies.items():
        for seed, accuracy in by_seed.items():
            if accuracy is None:
                apply(confirmation, *run_records(name, seed, [0.999], "FAILED"))
            else:
                apply(confirmation, *run_records(name, seed, [0.999, accuracy]))
    return confirmation
