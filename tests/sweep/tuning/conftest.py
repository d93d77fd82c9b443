from collections.abc import Callable
from typing import Any

import pytest

from analysis.records.epochs import Epoch
from analysis.records.ledger import EpochRecord, Ledger, SweepCreated, TrialEnded, TrialStarted
from analysis.records.seeds import trial_seed
from analysis.storage.journal import FORMAT
from sweep.config import SweepConfig
from sweep.training.assignment import Report


@pytest.fixture(scope="session")
def make_result(make_metrics: Callable[..., Epoch]) -> Callable[..., dict[str, Any]]:
    """Makes Tune's result from the validation accuracies of an epoch and those before it.

    With `past` the epochs before the last are reported as well, as after a checkpoint.
    """

    def make(*accuracies: float, epochs: int = 4, past: bool = False) -> dict[str, Any]:
        reported = [
            make_metrics(epoch, accuracy) for epoch, accuracy in enumerate(accuracies, start=1)
        ]
        report = Report(
            tuple(reported if past else reported[-1:]), is_last=len(reported) == epochs
        )
        return report.to_result()

    return make


@pytest.fixture(scope="session")
def begin_ledger() -> Callable[[SweepConfig], Ledger]:
    """Makes an empty ledger, in memory, of a sweep with a config."""

    def begin(config: SweepConfig) -> Ledger:
        return Ledger(SweepCreated(0.0, FORMAT, "made", config.model_dump(mode="json")))

    return begin


@pytest.fixture(scope="session")
def record(make_metrics: Callable[..., Epoch]) -> Callable[..., None]:
    """Enters a trial's epochs in a ledger, each once; a trial without a state runs on."""

    def enter(
        ledger: Ledger, number: int, accuracies: list[float], state: Any = None, **values: Any
    ) -> None:
        if number not in ledger.trials:
            ledger.apply(TrialStarted(0.0, number, trial_seed(0, number), values))
        known = len(ledger.trials[number].epochs)
        for epoch, accuracy in enumerate(accuracies[known:], start=known + 1):
            ledger.apply(EpochRecord.of(1.0, number, make_metrics(epoch, accuracy)))
        if state is not None:
            ledger.apply(TrialEnded(2.0, number, state, None))

    return enter
