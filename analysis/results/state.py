"""The state of a sweep: whether a driver works on it, and whether its search has ended."""

from typing import Literal

from analysis.records.ledger import Ledger
from analysis.results.budget import n_planned
from analysis.storage.folder import Folder

SweepState = Literal["running", "interrupted", "finished"]


def sweep_state(folder: Folder, ledger: Ledger) -> SweepState:
    """Return the state of a sweep: `running` only while a driver holds its lock."""
    if folder.is_locked():
        return "running"
    return "finished" if ledger.n_ended >= n_planned(ledger) else "interrupted"
