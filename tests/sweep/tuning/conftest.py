from collections.abc import Callable
from typing import Any

import pytest

from analysis.ledger import Ledger
from analysis.records import FORMAT, SweepCreated
from sweep.config import SweepConfig
from sweep.training.metrics import EpochMetrics
from sweep.tuning.assignment import Report


def _metrics(epoch: int, val_accuracy: float) -> EpochMetrics:
    return EpochMetrics(
        epoch=epoch,
        train_loss=0.1,
        train_accuracy=0.9,
        val_loss=0.1,
        val_accuracy=val_accuracy,
        seconds=1.0,
        images_per_s=5000.0,
    )


@pytest.fixture(scope="session")
def make_metrics() -> Callable[..., EpochMetrics]:
    """Makes an epoch's metrics from its number and its validation accuracy."""
    return _metrics


@pytest.fixture(scope="session")
def make_result() -> Callable[..., dict[str, Any]]:
    """Makes Tune's result from the validation accuracies of an epoch and those before it.

    With `past` the epochs before the last are told as well, as after a checkpoint.
    """

    def make(*accuracies: float, epochs: int = 4, past: bool = False) -> dict[str, Any]:
        told = [_metrics(epoch, accuracy) for epoch, accuracy in enumerate(accuracies, start=1)]
        before = tuple(told[:-1]) if past else ()
        return Report(told[-1], past=before, is_last=len(told) == epochs).to_result()

    return make


@pytest.fixture
def begin_ledger() -> Callable[[SweepConfig], Ledger]:
    """Makes an empty ledger, in memory, of a sweep with a config."""

    def begin(config: SweepConfig) -> Ledger:
        return Ledger(SweepCreated(0.0, FORMAT, "made", config.model_dump(mode="json")))

    return begin
