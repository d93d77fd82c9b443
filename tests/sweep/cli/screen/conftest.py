import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from rich.console import Console, RenderableType

from analysis.records.ledger import (
    FORMAT,
    EpochRecord,
    Ledger,
    Notice,
    SessionStarted,
    SweepCreated,
    TrialEnded,
    TrialStarted,
)

BEGIN = 1_800_000_000.0


@dataclass
class Story:
    """A ledger in memory that is told what happens, `step` seconds after one another."""

    n_trials: int = 4
    epochs: int = 2
    slots: int = 2
    now: float = BEGIN
    seconds: float = 10.0
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        recipe = {"schedule": "constant"}
        space = {"dropout": {"low": 0.0, "high": 0.5}}
        config = {"trials": self.n_trials, "epochs": self.epochs, "recipe": recipe, "space": space}
        self.ledger = Ledger(SweepCreated(self.now, FORMAT, "told", config))

    def session(self) -> None:
        self.ledger.apply(SessionStarted(self.now, "laptop", 1, self.slots))

    def start(self, *trial_ids: int, **hyperparameters: Any) -> None:
        for trial_id in trial_ids:
            values = hyperparameters or {"dropout": 0.25}
            self.ledger.apply(TrialStarted(self.now, trial_id, trial_id, values))

    def epoch(self, trial_id: int, *accuracies: float) -> None:
        for accuracy in accuracies:
            self.now += self.seconds
            number = len(self.ledger.trials[trial_id].epochs) + 1
            self.ledger.apply(
                EpochRecord(
                    self.now, trial_id, number, 0.1, 0.9, 0.1, accuracy, self.seconds, 5000.0
                )
            )

    def end(self, trial_id: int, state: Any = "COMPLETE", reason: str | None = None) -> None:
        self.ledger.apply(TrialEnded(self.now, trial_id, state, reason))

    def notice(self, trial_id: int | None, text: str) -> None:
        self.ledger.apply(Notice(self.now, trial_id, text))


@pytest.fixture
def make_story() -> Callable[..., Story]:
    return Story


def _render(picture: RenderableType, width: int = 120) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None, highlight=False).print(picture)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


@pytest.fixture
def render() -> Callable[..., list[str]]:
    """Returns the lines of a picture, as on a terminal without colours."""
    return _render
