import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.records.ledger import Ledger
from analysis.storage.folder import Folder
from analysis.storage.local_folder import LocalFolder
from sweep.config import SweepConfig
from sweep.driver.folders import write_environment
from sweep.driver.resume import check_changes
from sweep.environment import versions
from sweep.errors import UsageError

MakeLedger = Callable[..., Ledger]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """The folder of a sweep that began with the versions of today."""
    folder = LocalFolder(tmp_path)
    write_environment(folder)
    return folder


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, []),
        ({"trials": 50, "resources": {"cpu": 2}}, []),
        ({"confirm": None}, []),
        ({"confirm": {"top_k": 3, "seeds": 9}}, []),
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
def test_change_that_matters_is_told_and_needs_to_be_accepted(
    change: dict[str, Any], told: list[str], folder: Folder, make_ledger: MakeLedger
) -> None:
    config = SweepConfig.model_validate({"epochs": 5, **change})
    ledger = make_ledger(SweepConfig(epochs=5), "COMPLETE")
    assert check_changes(folder, ledger, config, accept_changes=True) == told
    if not told:
        assert check_changes(folder, ledger, config, accept_changes=False) == []
        return
    with pytest.raises(UsageError, match="--accept-changes") as raised:
        check_changes(folder, ledger, config, accept_changes=False)
    assert "".join(f"\n  {sentence}" for sentence in told) in str(raised.value)


def test_other_versions_are_a_change(folder: Folder, make_ledger: MakeLedger) -> None:
    then = versions() | {"torch": "1.0"}
    folder.write("environment.json", json.dumps({"versions": then}).encode())
    config = SweepConfig()
    with pytest.raises(UsageError, match="version of `torch`: 1.0 then, "):
        check_changes(folder, make_ledger(config), config, accept_changes=False)


@pytest.mark.parametrize("content", [None, b"", b"{}", b"[1]", b'{"versions": {}}'])
def test_sweep_that_does_not_tell_its_versions_is_taken_as_it_is(
    content: bytes | None, folder: Folder, make_ledger: MakeLedger
) -> None:
    folder.delete("environment.json")
    if content is not None:
        folder.write("environment.json", content)
    config = SweepConfig()
    assert check_changes(folder, make_ledger(config), config, accept_changes=False) == []


def test_fewer_trials_than_there_are_is_refused(folder: Folder, make_ledger: MakeLedger) -> None:
    ledger = make_ledger(SweepConfig(trials=3), "COMPLETE", "STOPPED", "RUNNING")
    with pytest.raises(UsageError, match="`trials` must be at least 3, .* but got 2"):
        check_changes(folder, ledger, SweepConfig(trials=2), accept_changes=True)
