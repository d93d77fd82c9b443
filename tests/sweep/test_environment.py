import json
import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import psutil
import pytest

from sweep import environment
from sweep.environment import (
    commit,
    describe_environment,
    machine,
    memory_bytes,
    n_processors,
    versions,
)


class _Installed:
    """An installed distribution, as pip notes its origin."""

    def __init__(self, note: str | None) -> None:
        self._note = note

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return self._note


def _git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git checkout with one commit, in a folder with a blank, that we were installed from."""
    folder = tmp_path / "my checkout"
    folder.mkdir()
    _git(folder, "init", "--quiet")
    (folder / "file").write_text("content")
    _git(folder, "add", "file")
    _git(folder, "commit", "--quiet", "-m", "first")
    note = json.dumps({"url": folder.as_uri(), "dir_info": {}})
    monkeypatch.setattr(environment, "distribution", lambda name: _Installed(note))
    return folder


@pytest.fixture
def control_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where limits of processor time and memory are looked up; there is none."""
    folder = tmp_path / "cgroup"
    for name in ("cpu", "memory"):
        (folder / name).mkdir(parents=True)
    monkeypatch.setattr(environment, "_CONTROL_GROUPS", folder)
    return folder


def test_versions_are_those_installed() -> None:
    found = versions()
    assert found["python"] == platform.python_version()
    for package in ("torch", "ray", "optuna", "numpy"):
        assert found[package] == version(package)


def test_versions_tell_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "PACKAGES", ("no-such-package",))
    assert versions()["no-such-package"] == "not installed"


@pytest.mark.parametrize(
    ("usable", "physical", "expected"),
    [(8, 4, 4), (2, 4, 2), (4, 4, 4), (1, 64, 1), (6, None, 6)],
)
@pytest.mark.usefixtures("control_groups")
def test_n_processors_counts_the_usable_cores_once(
    usable: int, physical: int | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(usable)), raising=False)
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: physical)
    assert n_processors() == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "250000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "6400000 100000\n"}, 4),
        ({"cpu.max": "max 100000\n"}, 4),
        ({"cpu.max": ""}, 4),
        ({"cpu/cpu.cfs_quota_us": "150000\n", "cpu/cpu.cfs_period_us": "50000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
    ],
)
def test_n_processors_keeps_to_the_share_of_a_container(
    files: dict[str, str],
    expected: int,
    control_groups: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: 4)
    for name, text in files.items():
        (control_groups / name).write_text(text)
    assert n_processors() == expected


@pytest.mark.parametrize("file", ["memory.max", "memory/memory.limit_in_bytes"])
def test_memory_keeps_to_the_limit_of_a_container(file: str, control_groups: Path) -> None:
    total = psutil.virtual_memory().total
    assert memory_bytes() == total
    for text, expected in (("1048576\n", 2**20), (f"{2**63 - 4096}\n", total), ("max\n", total)):
        (control_groups / file).write_text(text)
        assert memory_bytes() == expected


def test_machine_is_described_in_plain_data() -> None:
    described = machine()
    assert described["host"] == platform.node()
    assert described["processors"] == n_processors() >= 1
    assert described["memory_bytes"] == memory_bytes()
    assert described["processor"]
    whole = describe_environment()
    assert json.loads(json.dumps(whole)) == whole
    assert set(whole) == {"versions", "commit", "machine"}


def test_commit_is_the_checkouts(checkout: Path) -> None:
    head = _git(checkout, "rev-parse", "HEAD")
    assert re.fullmatch("[0-9a-f]{40}", head)
    assert commit() == head


def test_commit_is_not_a_tags_name(checkout: Path) -> None:
    _git(checkout, "tag", "-a", "v1", "-m", "one")
    assert commit() == _git(checkout, "rev-parse", "HEAD")


def test_commit_with_changes_on_top_is_dirty(checkout: Path) -> None:
    (checkout / "file").write_text("changed")
    assert commit() == _git(checkout, "rev-parse", "HEAD") + "-dirty"


@pytest.mark.parametrize(
    "note",
    [None, "{}", '{"url": "file:///no/such/folder"}', '{"url": "https://example.org/a.git"}'],
)
def test_commit_is_unknown_without_a_checkout(
    note: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "distribution", lambda name: _Installed(note))
    assert commit() is None


def test_commit_is_unknown_without_git(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(checkout))
    assert commit() is None
