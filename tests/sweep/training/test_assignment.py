from collections.abc import Callable
from typing import Any

import pytest

from analysis.records.epochs import Epoch
from sweep.training.assignment import METRIC, TIME_ATTRIBUTE, Assignment, Failure, Report

MakeMetrics = Callable[..., Epoch]

ASSIGNMENT = Assignment(
    name="trial-0003", seed=5, model="lenet5", epochs=4, hyperparameters={"dropout": 0.25}
)


def test_assignment_travels_in_a_config_that_holds_more() -> None:
    config: dict[str, Any] = {"trial_id": 3, **ASSIGNMENT.to_config()}
    assert Assignment.from_config(config) == ASSIGNMENT


def test_report_of_an_epoch_has_what_the_scheduler_ranks_by(make_metrics: MakeMetrics) -> None:
    report = Report(make_metrics(2, 0.97))
    result = report.to_result()
    assert (result[TIME_ATTRIBUTE], result[METRIC], result["done"]) == (2, 0.97, False)
    assert Report.from_result(result) is report
    assert report.epochs == (make_metrics(2, 0.97),)


def test_report_tells_past_epochs_in_order(make_metrics: MakeMetrics) -> None:
    past = (make_metrics(1, 0.9), make_metrics(2, 0.91))
    report = Report(make_metrics(3, 0.92), past=past)
    assert [metrics.epoch for metrics in report.epochs] == [1, 2, 3]


def test_report_of_a_failure_has_nothing_to_rank_by() -> None:
    result = Report(None, failure=Failure("why")).to_result()
    assert set(result) == {"report", "done"}
    assert result["done"]


@pytest.mark.parametrize(
    ("is_last", "failure", "outcome", "done"),
    [
        (False, None, "STOPPED", False),
        (True, None, "COMPLETE", True),
        (False, Failure("why"), "FAILED", True),
    ],
)
def test_report_knows_how_a_training_ended(
    is_last: bool, failure: Failure | None, outcome: str, done: bool, make_metrics: MakeMetrics
) -> None:
    epoch = None if failure else make_metrics(4, 0.98)
    report = Report(epoch, failure=failure, is_last=is_last)
    assert report.outcome() == outcome
    assert report.to_result()["done"] is done
