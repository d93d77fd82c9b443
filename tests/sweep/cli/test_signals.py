"""Signals to the whole command, at every stage of a sweep."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.records.confirmation import Confirmation, read_confirmation
from analysis.records.ledger import Ledger, read_ledger
from analysis.storage.folder import LocalFolder

StartDriver = Callable[..., Any]

SEARCH = ("run", "--name", "cut", "--search-only")
LIMIT_S = 10.0


def _ledger(storage: Path) -> Ledger:
    ledger = read_ledger(LocalFolder(storage / "cut"))
    assert ledger.truncated_bytes == 0
    return ledger


def _assert_interrupted(driver: Any, number: signal.Signals, sent: float) -> None:
    """It ends in time and in order; `sent` is when the signal was."""
    outcome = driver.wait(timeout=60)
    assert time.monotonic() - sent < LIMIT_S
    assert (outcome.exit_code, outcome.out) == (128 + number, "")
    assert outcome.err.splitlines()[-1] == (
        "interrupted; every finished epoch is kept, go on with: sweep resume cut"
    )
    assert "Traceback" not in outcome.err
    assert driver.left_over() == []


def test_sigterm_to_all_of_its_processes_ends_a_run_in_time(
    start_driver: StartDriver, brief: tuple[str, ...]
) -> None:
    driver = start_driver(*SEARCH, *brief, start_new_session=True)
    driver.wait_for_record('"trial_started"')
    sent = time.monotonic()
    os.killpg(driver.process.pid, signal.SIGTERM)
    _assert_interrupted(driver, signal.SIGTERM, sent)
    ledger = _ledger(driver.storage)
    assert ledger.ended is not None
    assert ledger.ended.reason == "interrupted by SIGTERM"


def _processes(driver: Any) -> list[str]:
    """What is left after a hasty end, whose files are for the next run to clear away."""
    return [entry for entry in driver.left_over() if not entry.startswith(str(driver.temporary))]


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)]
)
def test_signal_while_ray_starts_ends_a_run_in_time(
    number: signal.Signals, start_driver: StartDriver, brief: tuple[str, ...]
) -> None:
    driver = start_driver(*SEARCH, *brief)
    driver.wait_for_process("gcs_server")
    sent = time.monotonic()
    driver.process.send_signal(number)
    outcome = driver.wait(timeout=60)
    assert time.monotonic() - sent < LIMIT_S
    assert (outcome.exit_code, outcome.out) == (128 + number, "")
    assert "Traceback" not in outcome.err
    assert _processes(driver) == []


@pytest.mark.long
def test_second_sigint_leaves_at_once(start_driver: StartDriver, brief: tuple[str, ...]) -> None:
    driver = start_driver(*SEARCH, *brief)
    driver.wait_for_record('"trial_started"')
    driver.process.send_signal(signal.SIGINT)
    time.sleep(0.1)  # two at the same moment are one
    driver.process.send_signal(signal.SIGINT)
    sent = time.monotonic()
    outcome = driver.wait(timeout=60)
    assert time.monotonic() - sent < 1.5
    assert (outcome.exit_code, outcome.out) == (130, "")
    assert "Traceback" not in outcome.err
    _ledger(driver.storage)
    assert _processes(driver) == []


def test_sigterm_during_the_confirmation_ends_a_run_in_time(
    start_driver: StartDriver, brief: tuple[str, ...]
) -> None:
    _cut_confirmation(signal.SIGTERM, start_driver, brief)


@pytest.mark.long
def test_sigint_during_the_confirmation_loses_nothing(
    start_driver: StartDriver, brief: tuple[str, ...]
) -> None:
    storage, before = _cut_confirmation(signal.SIGINT, start_driver, brief)
    assert start_driver("resume", "cut", storage=storage).wait().exit_code == 0
    after = read_confirmation(LocalFolder(storage / "cut"))
    assert after is not None
    assert len(after.runs) == len(after.arms)
    assert {run.state for run in after.runs.values()} == {"COMPLETE"}
    for key, run in before.runs.items():
        assert after.runs[key].epochs[: len(run.epochs)] == run.epochs


def _cut_confirmation(
    number: signal.Signals, start_driver: StartDriver, brief: tuple[str, ...]
) -> tuple[Path, Confirmation]:
    """Starts a sweep and interrupts its confirmation; returns the storage, and what is kept."""
    plan = ("--trials", "1", "--epochs", "2", "--set", "confirm={top_k: 1, seeds: 1}")
    driver = start_driver("run", "--name", "cut", *brief, *plan)
    driver.wait_for_record('"test_accuracy"', file="confirm.jsonl")
    sent = time.monotonic()
    driver.process.send_signal(number)
    _assert_interrupted(driver, number, sent)
    assert _ledger(driver.storage).in_state("COMPLETE")
    confirmation = read_confirmation(LocalFolder(driver.storage / "cut"))
    assert confirmation is not None
    assert any(run.epochs for run in confirmation.runs.values())
    return driver.storage, confirmation
