"""How a search got on: the trials that ran all their epochs, in the order in which they ended."""

from dataclasses import dataclass

from analysis.records.ledger import EpochRecord, Ledger, TrialEnded
from analysis.results.budget import working_clock
from analysis.results.selection import trial_score


@dataclass(frozen=True)
class Finish:
    """The end of a trial that ran all its epochs.

    `score` is a fraction. `epochs` counts those of all trials up to then, and `seconds` excludes
    the pauses between sessions.
    """

    trial_id: int
    score: float
    epochs: int
    seconds: float


def finishes(ledger: Ledger) -> list[Finish]:
    """Return the finishes of the trials that ran all their epochs, in order."""
    found, epochs = [], 0
    for seconds, record in working_clock(ledger):
        epochs += isinstance(record, EpochRecord)
        if isinstance(record, TrialEnded):
            score = trial_score(ledger.trials[record.trial_id])
            if score is not None:
                found.append(Finish(record.trial_id, score, epochs, seconds))
    return found


def improvements(ledger: Ledger) -> list[Finish]:
    """Return the finishes that scored higher than all before them."""
    better: list[Finish] = []
    for finish in finishes(ledger):
        if not better or finish.score > better[-1].score:
            better.append(finish)
    return better
