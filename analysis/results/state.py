"""The state of a sweep: whether a driver works on it, what was cut off, and what failed."""

from typing import Literal

from analysis.formatting import count
from analysis.records.confirmation import Confirmation, read_confirmation
from analysis.records.ledger import Ledger
from analysis.results.budget import n_planned
from analysis.storage.folder import Folder

SweepState = Literal["running", "interrupted", "finished"]


def state_in_words(ledger: Ledger, state: SweepState) -> str:
    """Return the state of a sweep in words, with what has ended of one that is not finished."""
    ended, planned = ledger.n_ended, n_planned(ledger)
    if ended < planned:
        return f"{state}, {ended:,} of {count(planned, 'trial')} ended"
    return "search finished, confirmation interrupted" if state == "interrupted" else state


def sweep_state(folder: Folder, ledger: Ledger) -> SweepState:
    """Return the state of a sweep: `running` only while a driver holds its lock.

    It is `finished` once its search and the confirmation that was begun, if any, are complete.
    """
    if folder.is_locked():
        return "running"
    return state_at_rest(ledger, read_confirmation(folder, ledger))


def state_at_rest(ledger: Ledger, confirmation: Confirmation | None) -> SweepState:
    """Return the state of a sweep on which no driver works."""
    if ledger.n_ended < n_planned(ledger):
        return "interrupted"
    if confirmation is None:
        return "finished"
    from analysis.results.completeness import is_cut_off  # SciPy takes a while to import

    return "interrupted" if is_cut_off(ledger, confirmation) else "finished"


def failed_trials(ledger: Ledger) -> list[tuple[str, str]]:
    """Return the trials that failed, with the reasons."""
    return [(f"trial {t.trial_id}", t.reason or "") for t in ledger.in_state("FAILED")]


def failed_runs(confirmation: Confirmation | None) -> list[tuple[str, str]]:
    """Return the runs of a confirmation that failed, with the reasons."""
    if confirmation is None:
        return []
    return [
        (f"{confirmation.arms[run.arm].title}, seed {run.seed}", run.reason or "")
        for run in confirmation.runs.values()
        if run.state == "FAILED"
    ]
