"""The sweep's own Ray, a part of which dies."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.records.ledger import Ledger, read_ledger
from analysis.storage.folder import LocalFolder

StartDriver = Callable[..., Any]


def test_raylet_that_dies_ends_the_sweep_with_words(
    start_driver: StartDriver, brief: tuple[str, ...]
) -> None:
    _lose_ray("raylet", start_driver, brief)


@pytest.mark.long
@pytest.mark.parametrize("process", ["raylet", "gcs_server"])
def test_ray_that_dies_costs_the_epochs_in_flight(
    process: str, start_driver: StartDriver, brief: tuple[str, ...]
) -> None:
    storage, before = _lose_ray(process, start_driver, brief)
    assert start_driver("resume", "mine", storage=storage).wait().exit_code == 0
    after = read_ledger(LocalFolder(storage / "mine"))
    assert [trial.state for trial in after.trials.values()] == ["COMPLETE"] * 3
    for trial_id, trial in before.trials.items():
        assert after.trials[trial_id].epochs[: len(trial.epochs)] == trial.epochs


def _lose_ray(
    process: str, start_driver: StartDriver, brief: tuple[str, ...]
) -> tuple[Path, Ledger]:
    """Starts a sweep and kills a part of its Ray; returns the storage, and what is kept."""
    driver = start_driver("run", "--name", "mine", "--search-only", *brief)
    driver.wait_for_record('"val_accuracy"')
    driver.wait_for_process(process).kill()
    begin = time.monotonic()
    outcome = driver.wait(timeout=60)
    assert time.monotonic() - begin < 20
    assert (outcome.exit_code, outcome.out) == (4, "")
    assert outcome.err.splitlines()[-2:] == [
        f"error: Ray's {process} has died",
        "every finished epoch is kept, go on with: sweep resume mine",
    ]
    assert "Traceback" not in outcome.err
    assert driver.left_over() == []
    before = read_ledger(LocalFolder(driver.storage / "mine"))
    assert before.truncated_bytes == 0
    assert {trial.state for trial in before.trials.values()} <= {"COMPLETE", "RUNNING"}
    return driver.storage, before
