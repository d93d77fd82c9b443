import json
from pathlib import Path
from typing import Any

import pytest

from analysis.records.confirmation import ConfirmationBegun, ConfirmationWriter, RunEnded
from analysis.records.ledger import (
    FORMAT,
    EpochRecord,
    Ledger,
    SweepCreated,
    TrialEnded,
    TrialStarted,
)
from analysis.records.seeds import confirmation_seeds
from analysis.results.selection import rank_trials
from analysis.storage.folder import Folder, LocalFolder
from sweep.config import HAND_TUNED, SweepConfig
from sweep.driver.arms import plan_arms
from sweep.driver.folders import write_environment
from sweep.driver.missing import find_missing
from sweep.driver.resume import check_changes
from sweep.environment import versions
from sweep.errors import UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """The folder of a sweep that began with the versions of today."""
    folder = LocalFolder(tmp_path)
    write_environment(folder)
    return folder


def _ledger(config: SweepConfig, *states: str) -> Ledger:
    """A ledger with a trial of each state, complete ones better and better."""
    ledger = Ledger(SweepCreated(0.0, FORMAT, "made", config.model_dump(mode="json")))
    values = {"dropout": 0.1, "rotation": 5.0, "shift": 0.05, "weight_decay": 1e-4}
    for trial_id, state in enumerate(states, start=1):
        ledger.apply(TrialStarted(1.0, trial_id, 0, dict(values)))
        accuracy = 0.9 + trial_id / 100
        ledger.apply(EpochRecord(2.0, trial_id, 1, 0.1, 0.9, 0.1, accuracy, 1.0, 1e4))
        if state != "RUNNING":
            ledger.apply(TrialEnded(3.0, trial_id, state, None))  # type: ignore[arg-type]
    return ledger


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"trials": 50},
        {"confirm": None},
        {"confirm": {"top_k": 3, "seeds": 9}},
        {"resources": {"cpu": 2}},
    ],
    ids=str,
)
def test_what_may_change_is_no_change(change: dict[str, Any], folder: Folder) -> None:
    config = SweepConfig.model_validate({"epochs": 5, **change})
    ledger = _ledger(SweepConfig(epochs=5), "COMPLETE")
    assert check_changes(folder, ledger, config, accept_changes=False) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"epochs": 6}, ["`epochs`: 5 then, 6 now"]),
        ({"seed": 1}, ["`seed`: 0 then, 1 now"]),
        ({"searcher": "gp"}, ["`searcher`: tpe then, gp now"]),
        ({"recipe": {"learning_rate": 0.02}}, ["`recipe.learning_rate`: 0.01 then, 0.02 now"]),
        ({"scheduler": {"grace_period": 2}}, ["`scheduler.grace_period`: 3 then, 2 now"]),
        (
            {"model": "mlp", "split_seed": 4},
            ["`model`: lenet5 then, mlp now", "`split_seed`: 0 then, 4 now"],
        ),
    ],
    ids=str,
)
def test_change_is_told_and_needs_to_be_accepted(
    change: dict[str, Any], told: list[str], folder: Folder
) -> None:
    config = SweepConfig.model_validate({"epochs": 5, **change})
    ledger = _ledger(SweepConfig(epochs=5), "COMPLETE")
    with pytest.raises(UsageError) as raised:
        check_changes(folder, ledger, config, accept_changes=False)
    for sentence in told:
        assert sentence in str(raised.value)
    assert "--accept-changes" in str(raised.value)
    assert check_changes(folder, ledger, config, accept_changes=True) == told


def test_other_versions_are_a_change(folder: Folder) -> None:
    then = versions() | {"torch": "1.0"}
    folder.write("environment.json", json.dumps({"versions": then}).encode())
    config = SweepConfig()
    with pytest.raises(UsageError, match="version of `torch`: 1.0 then, "):
        check_changes(folder, _ledger(config), config, accept_changes=False)


@pytest.mark.parametrize("content", [None, b"", b"{}", b"[1]", b'{"versions": {}}'])
def test_sweep_that_does_not_tell_its_versions_is_taken_as_it_is(
    content: bytes | None, folder: Folder
) -> None:
    folder.delete("environment.json")
    if content is not None:
        folder.write("environment.json", content)
    config = SweepConfig()
    assert check_changes(folder, _ledger(config), config, accept_changes=False) == []


def test_fewer_trials_than_there_are_is_refused(folder: Folder) -> None:
    ledger = _ledger(SweepConfig(trials=3), "COMPLETE", "STOPPED", "RUNNING")
    with pytest.raises(UsageError, match="`trials` must be at least 3, .* but got 2"):
        check_changes(folder, ledger, SweepConfig(trials=2), accept_changes=True)


@pytest.mark.parametrize(
    ("states", "missing"),
    [
        ([], "0 of 3 trials have ended"),
        (["COMPLETE", "RUNNING"], "1 of 3 trials have ended, 1 were cut off"),
        (["COMPLETE", "FAILED", "RUNNING"], "2 of 3 trials have ended, 1 were cut off"),
        (["STOPPED", "FAILED", "STOPPED"], ""),  # nothing to confirm
        (["COMPLETE", "FAILED", "STOPPED"], "20 of 20 runs are still to be confirmed"),
    ],
)
def test_missing_is_told_in_words(states: list[str], missing: str, folder: Folder) -> None:
    config = SweepConfig(trials=3, epochs=1)
    assert str(find_missing(folder, _ledger(config, *states), config) or "") == missing


def test_missing_is_nothing_without_a_confirmation(folder: Folder) -> None:
    config = SweepConfig.model_validate({"trials": 1, "epochs": 1, "confirm": "none"})
    assert not find_missing(folder, _ledger(config, "COMPLETE"), config)


def test_missing_runs_of_a_confirmation_are_counted(folder: Folder) -> None:
    config = SweepConfig.model_validate(
        {"trials": 1, "epochs": 1, "confirm": {"top_k": 1, "seeds": 2}}
    )
    ledger = _ledger(config, "COMPLETE")
    first, second = confirmation_seeds(0, 2)
    with ConfirmationWriter.open(folder, ConfirmationBegun(0.0, 1, "made", 1)) as writer:
        arms = plan_arms(config, rank_trials(ledger))
        for arm in arms:
            writer.append(arm)
            writer.append(RunEnded(1.0, arm.arm, first, "COMPLETE", None))
        writer.append(RunEnded(1.0, "mlp", second, "FAILED", "why"))
        missing = "4 of 8 runs are still to be confirmed"
        assert str(find_missing(folder, ledger, config)) == missing
        for arm in arms:
            writer.append(RunEnded(1.0, arm.arm, second, "COMPLETE", None))
    assert not find_missing(folder, ledger, config)


def test_missing_runs_of_a_sweep_whose_best_is_the_hand_tuned_point_are_three_arms(
    folder: Folder,
) -> None:
    config = SweepConfig(trials=1, epochs=1)
    ledger = _ledger(config, "COMPLETE")
    ledger.trials[1].hyperparameters.update(HAND_TUNED)
    assert str(find_missing(folder, ledger, config)) == "15 of 15 runs are still to be confirmed"


def test_missing_runs_of_an_extended_sweep_are_the_new_finalists(folder: Folder) -> None:
    config = SweepConfig.model_validate(
        {"trials": 2, "epochs": 1, "confirm": {"top_k": 1, "seeds": 1}}
    )
    ledger = _ledger(config, "COMPLETE", "COMPLETE")
    ledger.trials[1].hyperparameters.update(HAND_TUNED)
    (seed,) = confirmation_seeds(0, 1)
    with ConfirmationWriter.open(folder, ConfirmationBegun(0.0, 1, "made", 1)) as writer:
        for arm in plan_arms(config, rank_trials(ledger)[1:]):
            writer.append(arm)
            writer.append(RunEnded(1.0, arm.arm, seed, "COMPLETE", None))
    # The first trial, confirmed before, is the hand-tuned baseline.
    missing = "1 of 4 runs are still to be confirmed"
    assert str(find_missing(folder, ledger, config)) == missing
