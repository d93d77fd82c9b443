import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from analysis.errors import LedgerError, StorageError
from analysis.storage.folder import Folder, LocalFolder
from sweep.config import SweepConfig
from sweep.config.resolve import load_config
from sweep.driver.folders import check_name, exists, name_after, prepare_folder
from sweep.environment import versions
from sweep.errors import UsageError


@pytest.mark.parametrize("name", ["a", "7", "classic-20260101-120000", "A.b_c-d", "x" * 100])
def test_name_of_a_folder_is_accepted(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".a", "-a", "_a", "a/b", "a\\b", "a b", "a\n", "é", "a:b", "x" * 101, "~"],
)
def test_name_that_is_no_folders_everywhere_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="^a sweep's name must be 1 to 100 letters"):
        check_name(name)


@pytest.mark.parametrize(
    ("stem", "begins"),
    [("classic", "classic-"), ("my cfg", "my-cfg-"), ("_été", "t-"), ("…", "sweep-")],
)
def test_name_is_made_of_what_a_name_may_have(stem: str, begins: str) -> None:
    name = name_after(stem)
    check_name(name)
    assert name.startswith(begins)
    check_name(name_after("x" * 300))


@pytest.fixture
def storage(tmp_path: Path) -> Folder:
    return LocalFolder(tmp_path / "storage")


def test_folder_begins_with_config_and_environment(storage: Folder) -> None:
    config = SweepConfig(trials=7)
    folder = prepare_folder(storage, "mine", config)
    assert folder.path == storage.path / "mine"
    assert load_config(folder.read("config.yaml").decode(), "config.yaml") == config
    environment = json.loads(folder.read("environment.json"))
    assert set(environment) == {"versions", "commit", "machine"}
    assert environment["versions"] == versions()
    assert not exists(storage, "mine")  # not before its ledger's first record


def test_folder_without_a_ledger_is_taken_over(storage: Folder) -> None:
    prepare_folder(storage, "mine", SweepConfig(trials=7))
    storage.child("mine").write("ledger.jsonl", b'{"kind": "swe')  # killed while it began
    folder = prepare_folder(storage, "mine", SweepConfig(trials=8))
    assert load_config(folder.read("config.yaml").decode(), "config.yaml").trials == 8


def test_folder_of_a_sweep_is_left_alone(
    make_sweep: Callable[..., object], tmp_path: Path, synthetic: ModuleType
) -> None:
    make_sweep(n_trials=2, name="mine")
    storage = LocalFolder(tmp_path)
    assert exists(storage, "mine")
    with pytest.raises(UsageError, match="there is a sweep 'mine' in .* already"):
        prepare_folder(storage, "mine", SweepConfig())
    assert storage.child("mine").files() == ["ledger.jsonl"]


def test_folder_of_a_damaged_sweep_is_left_alone(storage: Folder) -> None:
    storage.child("mine").write("ledger.jsonl", b"garbage\n")
    with pytest.raises(LedgerError, match="ledger.jsonl:1"):
        prepare_folder(storage, "mine", SweepConfig())
    assert storage.child("mine").files() == ["ledger.jsonl"]


def test_storage_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    storage = LocalFolder(tmp_path / "file")
    with pytest.raises(StorageError, match="^cannot write to .*/file/mine: Not a directory; "):
        prepare_folder(storage, "mine", SweepConfig())
