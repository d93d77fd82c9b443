"""The state of a sweep: whether a driver works on it, and whether anything was cut off."""

from typing import Literal

from analysis.records.confirmation import read_confirmation
from analysis.records.ledger import Ledger
from analysis.results.budget import n_planned
from analysis.storage.folder import Folder

SweepState = Literal["running", "interrupted", "finished"]


def sweep_state(folder: Folder, ledger: Ledger) -> SweepState:
    """Return the state of a sweep: `running` only while a driver holds its lock.

    It is `finished` once its search and the confirmation that was begun, if any, are complete.
    """
    if folder.is_locked():
        return "running"
    if ledger.n_ended < n_planned(ledger):
        return "interrupted"
    confirmation = read_confirmation(folder)
    return "interrupted" if confirmation is not None and confirmation.is_cut_off else "finished"
