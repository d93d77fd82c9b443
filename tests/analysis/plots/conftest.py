import pytest

from analysis.records.ledger import Ledger
from in_memory import make_ledger


@pytest.fixture(scope="session")
def some_ledger() -> Ledger:
    """Two trials that ran all epochs, one that was stopped, one that failed, one that runs."""
    return make_ledger(
        ("COMPLETE", {"dropout": 0.25, "weight_decay": 1e-4}, [0.9, 0.95, 0.98, 0.985]),
        ("STOPPED", {"dropout": 0.5, "weight_decay": 1e-2}, [0.8]),
        ("COMPLETE", {"dropout": 0.0, "weight_decay": 1e-3}, [0.92, 0.96, 0.985, 0.99]),
        ("FAILED", {"dropout": 0.1, "weight_decay": 1e-6}, []),
        (None, {"dropout": 0.2, "weight_decay": 1e-5}, [0.91, 0.94]),
    )


@pytest.fixture(scope="session")
def ledger_with_a_wreck() -> Ledger:
    """Five trials that ran all epochs well, and a sixth that ran them in vain."""
    values = {"dropout": 0.25, "weight_decay": 1e-4}
    good = ("COMPLETE", values, [0.95, 0.96, 0.97, 0.98])
    wreck = ("COMPLETE", {"dropout": 0.5, "weight_decay": 1e-2}, [0.9, 0.5, 0.1, 0.1])
    return make_ledger(*[good] * 5, wreck)


@pytest.fixture(scope="session")
def ledger_with_previews() -> Ledger:
    """Five previews, of which one is far below the others, and a trial that ran all epochs."""
    values = {"dropout": 0.25, "weight_decay": 1e-4}
    previews = [("STOPPED", values, [accuracy]) for accuracy in (0.97, 0.97, 0.97, 0.97, 0.5)]
    ledger = make_ledger(*previews, ("COMPLETE", values, [0.95, 0.96, 0.97, 0.98]))
    for trial_id in range(1, 6):
        ledger.trials[trial_id].preview_epochs = 1
    return ledger
