from collections.abc import Callable
from typing import Any

import pytest

from analysis.records.epochs import Epoch
from analysis.records.ledger import FORMAT, Ledger, SweepCreated
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
        before = tuple(reported[:-1]) if past else ()
        return Report(reported[-1], past=before, is_last=len(reported) == epochs).to_result()

    return make


@pytest.fixture
def begin_ledger() -> Callable[[SweepConfig], Ledger]:
    """Makes an empty ledger, in memory, of a sweep with a config."""

    def begin(config: SweepConfig) -> Ledger:
        return Ledger(SweepCreated(0.0, FORMAT, "made", config.model_dump(mode="json")))

    return begin
