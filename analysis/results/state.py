"""The state of a sweep: whether a driver works on it, and whether anything was cut off."""

from typing import Literal

from analysis.records.confirmation import read_confirmation
from analysis.records.ledger import Ledger
from analysis.results.budget import n_planned
from analysis.storage.folder import Folder

SweepState = Literal["running", "interrupted", "finished"]


def state_in_words(ledger: Ledger, state: SweepState) -> str:
    """Return the state of a sweep, and which part of it was interrupted if the other is not."""
    is_searched = ledger.n_ended >= n_planned(ledger)
    interrupted = state == "interrupted" and is_searched
    return "search finished, confirmation interrupted" if interrupted else state


def sweep_state(folder: Folder, ledger: Ledger) -> SweepState:
    """Return the state of a sweep: `running` only while a driver holds its lock.

    It is `finished` once its search and the confirmation that was begun, if any, are complete.
    """
    if folder.is_locked():
        return "running"
    if ledger.n_ended < n_planned(ledger):
        return "interrupted"
    if (confirmation := read_confirmation(folder)) is None:
        return "finished"
    from analysis.results.verdict import is_cut_off  # SciPy takes a while to import

    return "interrupted" if is_cut_off(ledger, confirmation) else "finished"
