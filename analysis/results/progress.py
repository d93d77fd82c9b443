"""The progress of a search: the trials that ran all their epochs, in the order of their ends."""

from dataclasses import dataclass
from itertools import accumulate

from analysis.records.ledger import EpochRecord, Ledger, TrialEnded
from analysis.results.budget import working_clock
from analysis.results.cost import search_cost
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


def sweep_curve(ledger: Ledger) -> tuple[list[int], list[float]]:
    """Return the epochs of all trials up to each finish of one, and the best score from it on.

    The last epochs are those of the sweep. Both are empty if no trial ran all its epochs.
    """
    ended = finishes(ledger)
    if not ended:
        return [], []
    best = [*accumulate((finish.score for finish in ended), max)]
    epochs = [*(finish.epochs for finish in ended), search_cost(ledger).epochs]
    return epochs, [*best, best[-1]]


def improvements(ledger: Ledger) -> list[Finish]:
    """Return the finishes that scored higher than all before them."""
    better: list[Finish] = []
    for finish in finishes(ledger):
        if not better or finish.score > better[-1].score:
            better.append(finish)
    return better
