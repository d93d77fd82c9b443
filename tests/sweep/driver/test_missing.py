from collections.abc import Callable
from pathlib import Path

import pytest

from analysis.records.confirmation import (
    ConfirmationBegun,
    ConfirmationWriter,
    RunEnded,
)
from analysis.records.ledger import Ledger
from analysis.records.seeds import confirmation_seeds
from analysis.storage.folder import Folder
from analysis.storage.local_folder import LocalFolder
from sweep.config import SweepConfig
from sweep.driver.missing import find_missing, plan_runs

MakeLedger = Callable[..., Ledger]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return LocalFolder(tmp_path)


def _config(n_trials: int, top_k: int = 1, n_seeds: int = 2) -> SweepConfig:
    confirm = {"top_k": top_k, "seeds": n_seeds}
    return SweepConfig.model_validate({"trials": n_trials, "epochs": 1, "confirm": confirm})


@pytest.mark.parametrize(
    ("states", "n_trials", "n_runs", "text"),
    [
        ([], 3, 0, "0 of 3 trials have ended"),
        (["FAILED", "RUNNING"], 2, 0, "1 of 3 trials have ended, 1 were cut off"),
        (["COMPLETE", "FAILED", "RUNNING"], 1, 8, "2 of 3 trials have ended, 1 were cut off"),
        (["COMPLETE", "FAILED", "STOPPED"], 0, 8, "8 of 8 runs are still to be confirmed"),
    ],
)
def test_missing_trials_and_runs_are_counted_and_described(
    states: list[str],
    n_trials: int,
    n_runs: int,
    text: str,
    folder: Folder,
    make_ledger: MakeLedger,
) -> None:
    config = _config(3)
    missing = find_missing(folder, make_ledger(config, *states), config)
    assert missing
    assert (missing.n_trials, len(missing.runs), missing.text) == (n_trials, n_runs, text)


def test_nothing_is_missing_without_a_finalist_or_a_confirmation(
    folder: Folder, make_ledger: MakeLedger
) -> None:
    config = _config(2)
    assert not find_missing(folder, make_ledger(config, "STOPPED", "FAILED"), config)
    config = config.model_copy(update={"confirm": None})
    assert not find_missing(folder, make_ledger(config, "COMPLETE", "COMPLETE"), config)


def _confirm(
    folder: Folder, config: SweepConfig, ledger: Ledger, n_seeds: int, failing: str = ""
) -> None:
    with ConfirmationWriter(folder, ConfirmationBegun(0.0, 1, "made", 1)) as writer:
        arms, seeds = plan_runs(config, ledger, None)
        for arm in arms:
            writer.append(arm)
            for seed in seeds[:n_seeds]:
                state = "FAILED" if arm.arm == failing else "COMPLETE"
                writer.append(RunEnded(1.0, arm.arm, seed, state, None))  # type: ignore[arg-type]


def test_missing_runs_are_those_that_are_not_complete_seed_by_seed(
    folder: Folder, make_ledger: MakeLedger
) -> None:
    config = _config(1)
    ledger = make_ledger(config, "COMPLETE")
    first, second = confirmation_seeds(0, 2)
    _confirm(folder, config, ledger, 1, failing="mlp")
    assert find_missing(folder, ledger, config).runs == [
        ("mlp", first),
        *((arm, second) for arm in ("trial-1", "hand-tuned", "lenet5", "mlp")),
    ]


def test_complete_confirmation_lacks_new_finalists_and_other_epochs(
    folder: Folder, make_ledger: MakeLedger
) -> None:
    config = _config(1, n_seeds=1)
    ledger = make_ledger(config, "COMPLETE")
    _confirm(folder, config, ledger, 1)
    assert not find_missing(folder, ledger, config)
    longer = config.model_copy(update={"epochs": 2})  # the confirmation does not count any more
    assert len(find_missing(folder, ledger, longer).runs) == 4
    more = _config(2, top_k=2, n_seeds=1)
    missing = find_missing(folder, make_ledger(more, "COMPLETE", "COMPLETE"), more)
    assert missing.runs == [("trial-2", *confirmation_seeds(0, 1))]
    assert missing.text == "1 of 5 runs are still to be confirmed"
