import json
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from analysis.storage.folder import LocalFolder
from data_utils.mnist import default_folder
from sweep.cli.doctor import check_connection, check_memory, check_storage, check_versions
from sweep.environment import Finding

Call = Callable[..., Any]


def test_doctor_checks_everything_and_leaves_nothing_behind(call: Call, tmp_path: Path) -> None:
    outcome = call("doctor", "--json", "--storage", tmp_path / "here")
    document = json.loads(outcome.out)
    findings = {f["check"]: f["text"] for f in document["findings"]}
    checks = ["versions", "processors", "memory", "gpu", "data", "storage", "network"]
    assert list(findings) == checks
    assert findings["storage"].startswith(f"{tmp_path / 'here'} can be written, ")
    assert findings["data"] == f"MNIST is complete in {default_folder()}"
    assert document["ok"] is (outcome.exit_code == 0)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_doctor_with_problems_ends_in_4(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # importing it fails
    monkeypatch.setattr(sys, "executable", "/home/me/my projects/.venv/bin/python")
    (tmp_path / "file").write_text("")
    outcome = call("doctor", "--storage", "file/below", "--data", "empty")
    assert outcome.exit_code == 4
    lines = {
        line[8:20].strip(): (line[:8].strip(), line[20:]) for line in outcome.out.splitlines()
    }
    assert lines["python"][0] == "problem"
    assert "/home/me/my projects/.venv/bin/python" in lines["python"][1]
    assert lines["gpu"][0] == "problem"
    assert lines["gpu"][1].startswith("torch cannot be imported: ")
    assert lines["storage"][0] == "problem"
    assert "file/below cannot be written: Not a directory" in lines["storage"][1]
    assert lines["data"] == ("ok", "MNIST is not in empty; run `sweep data`")
    problems = [check for check, (mark, _) in lines.items() if mark == "problem"]
    assert outcome.err == f"error: a sweep cannot run: see {', '.join(problems)} above\n"


def test_missing_package_is_a_problem() -> None:
    found = check_versions({"python": "3.11", "ray": "not installed"})
    assert found == Finding("versions", "python 3.11, ray not installed", is_problem=True)


@pytest.mark.parametrize(
    ("gib", "text", "is_problem"),
    [
        (1, "1 GiB; a sweep needs 3 or more", True),
        (2.5, "2 GiB; a sweep needs 3 or more", False),
        (3, "3 GiB", False),
    ],
)
def test_little_memory_is_a_problem(gib: float, text: str, is_problem: bool) -> None:
    assert check_memory(int(gib * 2**30)) == Finding("memory", text, is_problem)


def test_full_disk_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = SimpleNamespace(free=50 * 2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    found = check_storage(LocalFolder(tmp_path))
    assert found == Finding("storage", f"{tmp_path} can be written, 0.0 GiB free", is_problem=True)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def test_mirror_is_tried_and_never_a_problem(listener: socket.socket) -> None:
    address = listener.getsockname()
    assert check_connection(*address, True) == Finding("network", "MNIST's mirror can be reached")
    listener.close()
    for is_needed, why in (
        (True, "MNIST comes from the package index"),
        (False, "not needed: MNIST is here"),
    ):
        found = check_connection(*address, is_needed)
        assert found == Finding("network", f"MNIST's mirror cannot be reached ({why})")
