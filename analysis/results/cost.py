"""What a search cost, and what stopping trials early saved."""

from collections import Counter
from dataclasses import dataclass, field

from analysis.formatting import count
from analysis.records.ledger import EpochRecord, Ledger, SessionStarted, TrialEnded
from analysis.results.budget import n_planned, working_clock


@dataclass(frozen=True)
class Cost:
    """The cost of a search.

    Attributes:
        epochs_saved: Epochs that the stopped trials did not train.
        slot_seconds: Time of training and validation, summed over the slots, in seconds.
        elapsed_s: Time in which a driver was running, in seconds, without the pauses between
            sessions.
        utilization: Fraction of the slots' time that was training and validation, from the
            first trial of a session until fewer trials are left than slots; None if no
            session lasted that long.
    """

    epochs: int
    epochs_saved: int
    slot_seconds: float
    elapsed_s: float
    utilization: float | None


def describe_shortened(ledger: Ledger) -> str:
    """Say how many trials did not run all epochs, such as `61 previews` or `4 stopped early`."""
    n = Counter(trial.outcome for trial in ledger.trials.values())
    parts = [count(n["preview"], "preview")] if n["preview"] else []
    if n["stopped"] or not parts:
        parts.append(f"{n['stopped']} stopped early")
    return ", ".join(parts)


@dataclass
class _Session:
    """A session on the working clock; until `full_until` it had a trial for every slot."""

    slots: int
    full_until: float
    trained: list[tuple[float, float]] = field(default_factory=list)

    def use(self) -> tuple[float, float]:
        """Return the slot-seconds used and available while it had a trial for every slot."""
        begin = min((start for start, _ in self.trained), default=self.full_until)
        available = max(0.0, self.full_until - begin) * self.slots
        used = sum(max(0.0, min(end, self.full_until) - start) for start, end in self.trained)
        return min(used, available), available


def search_cost(ledger: Ledger) -> Cost:
    """Add up the cost of a search from its ledger."""
    n_left, elapsed_s, sessions = n_planned(ledger), 0.0, list[_Session]()
    for seconds, record in working_clock(ledger):
        elapsed_s = seconds
        if isinstance(record, SessionStarted):
            sessions.append(_Session(record.slots, seconds))
        if not sessions:
            continue
        if n_left >= sessions[-1].slots:
            sessions[-1].full_until = seconds
        if isinstance(record, EpochRecord):
            sessions[-1].trained.append((seconds - record.seconds, seconds))
        n_left -= isinstance(record, TrialEnded)
    shares = [session.use() for session in sessions]
    available = sum(slot_seconds for _, slot_seconds in shares)
    epochs = [epoch for trial in ledger.trials.values() for epoch in trial.epochs]
    return Cost(
        epochs=len(epochs),
        epochs_saved=sum(
            int(trial.config["epochs"]) - len(trial.epochs) for trial in ledger.in_state("STOPPED")
        ),
        slot_seconds=sum(epoch.seconds for epoch in epochs),
        elapsed_s=elapsed_s,
        utilization=sum(used for used, _ in shares) / available if available else None,
    )
