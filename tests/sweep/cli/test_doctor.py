import re
import shutil
import socket
import sys
from types import SimpleNamespace

import pytest
from torchvision.datasets import MNIST

from data_utils.mnist import default_folder
from sweep.cli import doctor
from sweep.environment import machine


def test_doctor_checks_everything_and_leaves_nothing_behind(call, tmp_path):
    outcome = call("doctor --json --storage", tmp_path / "here")
    document = outcome.document
    findings = {f["check"]: f["text"] for f in document["findings"]}
    checks = ["versions", "processors", "memory", "gpu", "data", "storage", "network"]
    assert list(findings) == checks
    assert findings["storage"].startswith(f"{tmp_path / 'here'} can be written, ")
    assert findings["data"] == f"MNIST is complete in {default_folder()}"
    assert document["ok"] is (outcome.exit_code == 0)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_doctor_with_problems_ends_in_4(call, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # importing it fails
    monkeypatch.setattr(sys, "executable", "/home/me/my projects/.venv/bin/python")
    monkeypatch.setattr(doctor, "versions", lambda: {"python": "3.11", "ray": "not installed"})
    n_bytes = int(1.5 * 2**30)
    monkeypatch.setattr(doctor, "machine", lambda: machine() | {"memory_bytes": n_bytes})
    (tmp_path / "file").write_text("")
    outcome = call("doctor --storage file/below --data empty")
    assert outcome.exit_code == 4
    lines = {
        line[8:20].strip(): (line[:8].strip(), line[20:]) for line in outcome.out.splitlines()
    }
    assert lines["versions"] == ("problem", "python 3.11, ray not installed")
    assert lines["memory"] == ("problem", "2 GiB; a sweep needs 3 GiB or more")
    assert lines["python"][0] == "problem"
    assert "/home/me/my projects/.venv/bin/python" in lines["python"][1]
    assert lines["gpu"][0] == "problem"
    assert lines["gpu"][1].startswith("torch cannot be imported: ")
    assert lines["storage"][0] == "problem"
    assert "file/below cannot be written: Not a directory" in lines["storage"][1]
    assert lines["data"] == ("ok", "MNIST is not in empty; run `sweep data`")
    problems = [check for check, (mark, _) in lines.items() if mark == "problem"]
    assert outcome.err == f"error: a sweep cannot run: see {', '.join(problems)} above\n"


@pytest.mark.parametrize(
    ("options", "why"),
    [("--data empty", "the package index has MNIST too"), ("", "not needed: MNIST is here")],
)
def test_mirror_that_is_away_is_no_problem_but_a_full_disk_is(options, why, call, monkeypatch):
    usage = SimpleNamespace(free=50 * 2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        monkeypatch.setattr(MNIST, "mirrors", [f"http://127.0.0.1:{port}/mnist/"])
        reached = call("doctor", *options.split())
    assert re.search("^ok +network +MNIST's mirror can be reached$", reached.out, re.MULTILINE)
    away = call("doctor", *options.split()).out
    assert re.search(rf"^ok +network +MNIST's mirror cannot be reached \({why}\)$", away, re.M)
    assert re.search(r"^problem +storage .* can be written, 0\.0 GiB free$", away, re.M)
