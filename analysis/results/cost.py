"""What a search cost, and what stopping trials early saved."""

from dataclasses import dataclass
from itertools import pairwise

from analysis.records.ledger import EpochRecord, Ledger


@dataclass(frozen=True)
class Cost:
    """The cost of a search.

    Attributes:
        epochs: Epochs run.
        epochs_saved: Epochs that the scheduler did not let its stopped trials run.
        slot_seconds: Time spent in training and validation, summed over slots, in seconds.
        elapsed_s: Time in which a driver was at work, in seconds, its own start included
            from the sweep's first session on, pauses between sessions left out.
        utilization: The part of the slots' time that went into training and validation,
            from a session's first trial until fewer trials were left than slots; None
            where no session had such a stretch.
    """

    epochs: int
    epochs_saved: int
    slot_seconds: float
    elapsed_s: float
    utilization: float | None


@dataclass(frozen=True)
class _Stretch:
    """A session's busy stretch: from `begin` to `end`, seconds since 1970, `slots` wide."""

    begin: float
    end: float
    slots: int


def search_cost(ledger: Ledger) -> Cost:
    """Adds up the search's cost from its ledger."""
    epochs = [record for record in ledger.records if isinstance(record, EpochRecord)]
    planned = int(ledger.config["epochs"])
    busy = available = 0.0
    for stretch in _stretches(ledger):
        available += (stretch.end - stretch.begin) * stretch.slots
        busy += sum(
            max(0.0, min(e.time, stretch.end) - max(e.time - e.seconds, stretch.begin))
            for e in epochs
        )
    return Cost(
        epochs=len(epochs),
        epochs_saved=sum(planned - len(t.epochs) for t in ledger.in_state("STOPPED")),
        slot_seconds=sum(epoch.seconds for epoch in epochs),
        elapsed_s=sum(end - begin for begin, end in _sessions(ledger)),
        utilization=busy / available if available else None,
    )


def _sessions(ledger: Ledger) -> list[tuple[float, float]]:
    """The begin and end of each session; a killed one ends with its last event."""
    events = sorted(_event_times(ledger))
    begins = [session.time for session in ledger.sessions]
    spans = []
    for begin, following in pairwise([*begins, float("inf")]):
        inside = [time for time in events if begin <= time < following]
        spans.append((begin, max(inside, default=begin)))
    return spans


def _event_times(ledger: Ledger) -> list[float]:
    times = [record.time for record in ledger.records if isinstance(record, EpochRecord)]
    for trial in ledger.trials.values():
        times += [trial.started] if trial.ended is None else [trial.started, trial.ended]
    times += [notice.time for notice in ledger.notices]
    return times if ledger.ended is None else [*times, ledger.ended.time]


def _stretches(ledger: Ledger) -> list[_Stretch]:
    ends = sorted(trial.ended for trial in ledger.trials.values() if trial.ended is not None)
    n_trials = int(ledger.config["trials"])
    stretches = []
    for session, (begin, end) in zip(ledger.sessions, _sessions(ledger), strict=True):
        if n_trials < session.slots:
            continue
        # The first moment at which fewer trials are left than slots begins the tail.
        tail_index = n_trials - session.slots
        tail = ends[tail_index] if tail_index < len(ends) else end
        first = min(
            (
                record.time - record.seconds
                for record in ledger.records
                if isinstance(record, EpochRecord) and begin <= record.time <= end
            ),
            default=end,
        )
        if min(end, tail) > first:
            stretches.append(_Stretch(first, min(end, tail), session.slots))
    return stretches
