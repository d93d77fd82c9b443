import json
from pathlib import Path

import pytest

from analysis.records.ledger import Ledger
from analysis.records.seeds import confirmation_seeds
from analysis.storage.folder import Folder
from analysis.storage.local_folder import LocalFolder
from appending import write_journal
from config_ledgers import make_ledger
from in_memory import begin_confirmation, run_ended
from sweep.config import SweepConfig
from sweep.config.resolve import resolve_config
from sweep.driver.arms import planned_arms, planned_seeds
from sweep.driver.folders import write_environment
from sweep.driver.resume import check_changes, find_missing, plan_resume
from sweep.environment import versions
from sweep.errors import UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """The folder of a sweep that began with the versions of today."""
    folder = LocalFolder(tmp_path)
    write_environment(folder, SweepConfig())
    return folder


def _config(n_trials: int, top_k: int = 1, n_seeds: int = 2) -> SweepConfig:
    confirm = {"top_k": top_k, "seeds": n_seeds}
    return SweepConfig.model_validate({"trials": n_trials, "epochs": 1, "confirm": confirm})


@pytest.mark.parametrize(
    ("states", "n_trials", "n_runs", "text"),
    [
        ([], 3, 0, "0 of 3 trials have ended"),
        (["FAILED", "RUNNING"], 2, 0, "1 of 3 trials have ended, 1 interrupted"),
        (["COMPLETE", "FAILED", "RUNNING"], 1, 8, "2 of 3 trials have ended, 1 interrupted"),
        (["COMPLETE", "FAILED", "STOPPED"], 0, 8, "8 of 8 confirmation runs are missing"),
    ],
)
def test_missing_trials_and_runs_are_counted_and_described(states, n_trials, n_runs, text, folder):
    config = _config(3)
    missing = find_missing(folder, make_ledger(config, *states), config)
    assert missing
    assert (missing.n_trials, len(missing.runs), missing.text) == (n_trials, n_runs, text)


def test_nothing_is_missing_without_a_finalist_or_a_confirmation(folder):
    config = _config(2)
    assert not find_missing(folder, make_ledger(config, "STOPPED", "FAILED"), config)
    config = config.model_copy(update={"confirm": None})
    assert not find_missing(folder, make_ledger(config, "COMPLETE", "COMPLETE"), config)


def _confirm(
    folder: Folder, config: SweepConfig, ledger: Ledger, n_seeds: int, failing: str = ""
) -> None:
    seeds = planned_seeds(config, ledger, None)[:n_seeds]
    records = []
    for arm in planned_arms(config, ledger, None):
        state = "FAILED" if arm.arm == failing else "COMPLETE"
        records += [arm, *(run_ended(arm.arm, seed, state) for seed in seeds)]
    write_journal(folder, begin_confirmation(epochs=1), *records)


def test_missing_runs_are_those_that_are_not_complete_seed_by_seed(folder):
    config = _config(1)
    ledger = make_ledger(config, "COMPLETE")
    first, second = confirmation_seeds(0, 2)
    _confirm(folder, config, ledger, 1, failing="mlp")
    assert find_missing(folder, ledger, config).runs == [
        ("mlp", first),
        *((arm, second) for arm in ("trial-1", "hand-tuned", "lenet5", "mlp")),
    ]


def test_complete_confirmation_lacks_new_finalists_and_other_epochs(folder):
    config = _config(1, n_seeds=1)
    ledger = make_ledger(config, "COMPLETE")
    _confirm(folder, config, ledger, 1)
    assert not find_missing(folder, ledger, config)
    longer = config.model_copy(update={"epochs": 2})  # the confirmation does not count any more
    assert len(find_missing(folder, ledger, longer).runs) == 4
    more = _config(2, top_k=2, n_seeds=1)
    missing = find_missing(folder, make_ledger(more, "COMPLETE", "COMPLETE"), more)
    assert missing.runs == [("trial-2", *confirmation_seeds(0, 1))]
    assert missing.text == "1 of 5 confirmation runs are missing"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, []),
        ({"trials": 50, "resources": {"cpu": 2}}, []),
        ({"confirm": None, "time_budget": "30m"}, []),
        ({"confirm": {"top_k": 3, "seeds": 9}}, []),
        ({"epochs": 6}, ["`epochs`: 5 then, 6 now"]),
        ({"seed": 1}, ["`seed`: 0 then, 1 now"]),
        ({"searcher": "gp"}, ["`searcher`: tpe then, gp now"]),
        ({"recipe": {"learning_rate": 0.02}}, ["`recipe.learning_rate`: 0.01 then, 0.02 now"]),
        ({"scheduler": {"grace_period": 2}}, ["`scheduler.grace_period`: 3 then, 2 now"]),
        (
            {"model": "mlp", "seed": 4},
            ["`model`: lenet5 then, mlp now", "`seed`: 0 then, 4 now"],
        ),
    ],
    ids=str,
)
def test_change_that_matters_is_told_and_needs_to_be_accepted(change, told, folder):
    config = SweepConfig.model_validate({"epochs": 5, **change})
    ledger = make_ledger(SweepConfig(epochs=5), "COMPLETE")
    assert check_changes(folder, ledger, config, accept_changes=True) == told
    if not told:
        assert check_changes(folder, ledger, config, accept_changes=False) == []
        return
    with pytest.raises(UsageError, match="--accept-changes") as raised:
        check_changes(folder, ledger, config, accept_changes=False)
    assert "".join(f"\n  {sentence}" for sentence in told) in str(raised.value)


def test_split_is_kept_unless_another_one_is_given(folder):
    ledger = make_ledger(SweepConfig(split="random", split_seed=4), "COMPLETE")
    for preset in ("quick", "classic", "best"):
        config = resolve_config(preset=preset)
        kept, *_ = plan_resume(folder, ledger, config, accept_changes=True)
        assert (kept.split, kept.split_seed) == ("random", 4)
    other = resolve_config(settings=["split=contiguous"])
    with pytest.raises(UsageError, match="`split`: random then, contiguous now"):
        plan_resume(folder, ledger, other, accept_changes=False)


@pytest.mark.parametrize("change", [{"split": "random"}, {"split_seed": 4}], ids=str)
def test_other_validation_images_cannot_be_accepted(change, folder):
    new = make_ledger(SweepConfig())
    assert check_changes(folder, new, SweepConfig(**change), accept_changes=True)
    begun = make_ledger(SweepConfig(), "RUNNING")
    with pytest.raises(UsageError, match="other validation images are not comparable"):
        check_changes(folder, begun, SweepConfig(**change), accept_changes=True)
    folder.write("checkpoints/trial-0001.pt", b"of a trial that the ledger has not recorded yet")
    with pytest.raises(UsageError, match="other validation images are not comparable"):
        check_changes(folder, new, SweepConfig(**change), accept_changes=True)


def test_path_of_the_data_may_change_but_not_its_name(folder):
    ledger = make_ledger(SweepConfig(dataset="/old/own.npz"), "COMPLETE")
    moved = SweepConfig(dataset="/new/own.npz")
    assert check_changes(folder, ledger, moved, accept_changes=False) == []
    with pytest.raises(UsageError, match="`dataset`: /old/own.npz then, mnist now"):
        check_changes(folder, ledger, SweepConfig(), accept_changes=False)


def test_other_versions_of_packages_are_a_change(folder):
    then = versions() | {"lenet-sweep": "0.1.0"}
    folder.write("environment.json", json.dumps({"versions": then}).encode())
    assert (
        check_changes(folder, make_ledger(SweepConfig()), SweepConfig(), accept_changes=False)
        == []
    )
    then["torch"] = "1.0"
    folder.write("environment.json", json.dumps({"versions": then}).encode())
    config = SweepConfig()
    with pytest.raises(UsageError, match="version of `torch`: 1.0 then, "):
        check_changes(folder, make_ledger(config), config, accept_changes=False)


@pytest.mark.parametrize("content", [None, b"", b"{}", b"[1]", b'{"versions": {}}'])
def test_sweep_that_does_not_tell_its_versions_is_taken_as_it_is(content, folder):
    folder.delete("environment.json")
    if content is not None:
        folder.write("environment.json", content)
    config = SweepConfig()
    assert check_changes(folder, make_ledger(config), config, accept_changes=False) == []
