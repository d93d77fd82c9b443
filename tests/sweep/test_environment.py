import json
import os
import platform
import re
import subprocess
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import psutil
import pytest

from sweep import environment
from sweep.environment import commit, machine, n_processors, versions


def _git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    """Installs this program with pip's record of where it comes from, if any."""

    def install(record: str | None) -> None:
        info = tmp_path / "site" / "lenet_sweep-0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Name: lenet-sweep\nVersion: 0\n")
        if record is not None:
            (info / "direct_url.json").write_text(record)
        monkeypatch.syspath_prepend(str(info.parent))

    return install


@pytest.fixture
def control_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with the limits of processor time and memory; there are none."""
    folder = tmp_path / "cgroup"
    for name in ("cpu", "memory"):
        (folder / name).mkdir(parents=True)
    monkeypatch.setattr(environment, "_CONTROL_GROUPS", folder)
    return folder


def test_versions_are_those_installed(monkeypatch):
    monkeypatch.setattr(environment, "PACKAGES", ("torch", "ray", "no-such-package"))
    assert versions() == {
        "python": platform.python_version(),
        "torch": version("torch"),
        "ray": version("ray"),
        "no-such-package": "not installed",
    }


@pytest.mark.parametrize(
    ("usable", "physical", "limits", "expected"),
    [
        (8, 4, {}, 4),
        (2, 4, {}, 2),
        (6, None, {}, 6),
        (8, 4, {"cpu.max": "250000 100000\n"}, 2),
        (8, 4, {"cpu.max": "50000 100000\n"}, 1),
        (8, 4, {"cpu.max": "6400000 100000\n"}, 4),
        (8, 4, {"cpu.max": "max 100000\n"}, 4),
        (8, 4, {"cpu.max": ""}, 4),
        (8, 4, {"cpu/cpu.cfs_quota_us": "150000\n", "cpu/cpu.cfs_period_us": "50000\n"}, 3),
        (8, 4, {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
    ],
)
def test_processors_are_usable_cores_within_the_share_of_a_container(
    usable, physical, limits, expected, control_groups, monkeypatch
):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(usable)), raising=False)
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: physical)
    for name, text in limits.items():
        (control_groups / name).write_text(text)
    assert n_processors() == expected


@pytest.mark.parametrize("file", ["memory.max", "memory/memory.limit_in_bytes"])
def test_memory_is_within_the_limit_of_a_container(file, control_groups):
    total = psutil.virtual_memory().total
    assert machine()["memory_bytes"] == total
    assert machine()["processor"]
    for text, expected in (("1048576\n", 2**20), (f"{2**63 - 4096}\n", total), ("max\n", total)):
        (control_groups / file).write_text(text)
        assert machine()["memory_bytes"] == expected


def test_commit_is_the_checkouts_and_not_a_tags_name(install, tmp_path, monkeypatch):
    checkout = tmp_path / "my checkout"
    checkout.mkdir()
    _git(checkout, "init", "--quiet")
    (checkout / "file").write_text("content")
    _git(checkout, "add", "file")
    _git(checkout, "commit", "--quiet", "-m", "first")
    install(json.dumps({"url": checkout.as_uri(), "dir_info": {}}))
    head = _git(checkout, "rev-parse", "HEAD")
    assert re.fullmatch("[0-9a-f]{40}", head)
    assert commit() == head
    _git(checkout, "tag", "-a", "v1", "-m", "one")
    assert commit() == head
    (checkout / "file").write_text("changed")
    assert commit() == f"{head}-dirty"
    monkeypatch.setenv("PATH", str(checkout))  # without git
    assert commit() is None


@pytest.mark.parametrize(
    "record",
    [None, "{}", '{"url": "file:///no/such/folder"}', '{"url": "https://example.org/a.git"}'],
)
def test_commit_is_unknown_without_a_checkout(record, install):
    install(record)
    assert commit() is None
