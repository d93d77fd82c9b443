from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from matplotlib.figure import Figure

from analysis.plots.results import Picture, Results
from analysis.plots.style import plot_style
from analysis.records.confirmation import Confirmation
from analysis.records.ledger import (
    EndState,
    EpochRecord,
    Ledger,
    SessionStarted,
    SweepCreated,
    TrialEnded,
    TrialStarted,
)
from analysis.records.predictions import Predictions, ShownImages

CONFIG: dict[str, Any] = {
    "trials": 4,
    "epochs": 4,
    "recipe": {"schedule": "linear"},
    "space": {
        "dropout": {"low": 0.0, "high": 0.5},
        "weight_decay": {"low": 1e-6, "high": 1e-2, "log": True},
    },
    "scheduler": {"name": "asha", "grace_period": 1, "reduction_factor": 2},
}
Made = tuple[EndState | None, dict[str, Any], Sequence[float]]


def _make_ledger(*trials: Made, **config: Any) -> Ledger:
    """Makes a ledger of trials one after another: how each ended, its hyperparameters, and its
    validation accuracies by epoch. An epoch takes 2 s, starting and ending a trial nothing."""
    ledger = Ledger(SweepCreated(100.0, 1, "made", CONFIG | config))
    ledger.apply(SessionStarted(100.0, "host", 1, 1))
    time = 100.0
    for trial_id, (state, hyperparameters, accuracies) in enumerate(trials, start=1):
        ledger.apply(TrialStarted(time, trial_id, trial_id, hyperparameters))
        for epoch, accuracy in enumerate(accuracies, start=1):
            time += 2.0
            ledger.apply(EpochRecord(time, trial_id, epoch, 0.1, 0.9, 0.05, accuracy, 2.0, 1e4))
        if state is not None:
            reason = "training loss became nan" if state == "FAILED" else None
            ledger.apply(TrialEnded(time, trial_id, state, reason))
    return ledger


@pytest.fixture(scope="session")
def make_ledger() -> Callable[..., Ledger]:
    return _make_ledger


@pytest.fixture(scope="session")
def some_ledger() -> Ledger:
    """Two trials that ran all epochs, one that was stopped, one that failed, one that runs."""
    return _make_ledger(
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
    good: Made = ("COMPLETE", values, [0.95, 0.96, 0.97, 0.98])
    wreck: Made = ("COMPLETE", {"dropout": 0.5, "weight_decay": 1e-2}, [0.9, 0.5, 0.1, 0.1])
    return _make_ledger(*[good] * 5, wreck)


@dataclass(frozen=True)
class Shown:
    """A drawn picture, and what a reader sees of it."""

    figure: Figure
    alt: str

    @property
    def text(self) -> str:
        """The subtitle and the note."""
        return " ".join(text.get_text() for text in self.figure.texts).replace("\n", " ")

    @property
    def legend(self) -> list[str]:
        return [text.get_text() for text in self.figure.legends[0].get_texts()]


def _show(
    draw: Callable[..., Picture],
    ledger: Ledger,
    confirmation: Confirmation | None = None,
    predictions: dict[int, Predictions] | None = None,
    **arguments: str,
) -> Shown:
    results = Results(ledger, confirmation, predictions or {}, ShownImages.none())
    with plot_style():
        picture = draw(results, **arguments)
    return Shown(picture.figure, picture.alt)


@pytest.fixture(scope="session")
def show() -> Callable[..., Shown]:
    """Draws a picture: takes the function that draws it, a ledger, and a confirmation if any."""
    return _show
