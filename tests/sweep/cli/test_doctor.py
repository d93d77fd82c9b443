import shutil
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from analysis.storage.folder import LocalFolder
from sweep.cli import doctor
from sweep.cli.doctor import Finding, examine


@pytest.fixture(autouse=True)
def mirror(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether MNIST's mirror answers; nobody is really asked."""
    answers = [True]

    def connect(address: tuple[str, int], timeout: float) -> SimpleNamespace:
        assert timeout <= 5
        if not answers[0]:
            raise TimeoutError
        return SimpleNamespace(close=lambda: None)

    monkeypatch.setattr(socket, "create_connection", connect)
    return answers


@pytest.fixture(autouse=True)
def healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that lacks nothing, whichever the tests run on."""
    here = {"processors": 4, "processor": "a processor", "memory_bytes": 16 * 2**30}
    monkeypatch.setattr(doctor, "machine", lambda: here)
    monkeypatch.setattr(doctor, "versions", lambda: {"python": "3.11", "ray": "2.60"})
    monkeypatch.setattr(doctor, "cached", lambda folder: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def _examine(storage: Path, data: Path | None = None) -> dict[str, Finding]:
    return {finding.check: finding for finding in examine(LocalFolder(storage), data)}


def _problems(findings: dict[str, Finding]) -> list[str]:
    return [check for check, finding in findings.items() if finding.is_problem]


def test_doctor_finds_no_problem_on_a_healthy_machine(tmp_path: Path) -> None:
    findings = _examine(tmp_path, tmp_path / "digits")
    assert _problems(findings) == []
    assert {check: finding.text for check, finding in findings.items()} | {"storage": ""} == {
        "versions": "python 3.11, ray 2.60",
        "processors": "4 (a processor)",
        "memory": "16 GiB",
        "gpu": "none usable with CUDA; trials train on processors",
        "data": f"MNIST is complete in {tmp_path / 'digits'}",
        "storage": "",
        "network": "MNIST's mirror can be reached",
    }
    assert findings["storage"].text.startswith(f"{tmp_path} can be written, ")


def test_doctor_leaves_nothing_in_the_storage(tmp_path: Path) -> None:
    _examine(tmp_path / "storage")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_doctor_finds_a_missing_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "versions", lambda: {"ray": "not installed"})
    findings = _examine(tmp_path)
    assert _problems(findings) == ["versions"]
    assert findings["versions"].text == "ray not installed"


@pytest.mark.parametrize(
    ("gib", "text", "is_problem"),
    [
        (1, "1 GiB; a sweep wants 3 or more", True),
        (2.5, "2 GiB; a sweep wants 3 or more", False),
        (3, "3 GiB", False),
    ],
)
def test_doctor_judges_the_memory(
    gib: float, text: str, is_problem: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = {"processors": 4, "processor": "", "memory_bytes": int(gib * 2**30)}
    monkeypatch.setattr(doctor, "machine", lambda: here)
    assert _examine(tmp_path)["memory"] == Finding("memory", text, is_problem)


def test_doctor_finds_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda i: f"card {i}")
    text = _examine(tmp_path)["gpu"].text
    assert text == "card 0, card 1; `--set resources.gpu=0.25` shares one by four"


@pytest.mark.parametrize("is_cached", [True, False])
def test_doctor_knows_whether_the_network_is_needed(
    is_cached: bool, tmp_path: Path, mirror: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror[0] = False
    monkeypatch.setattr(doctor, "cached", lambda folder: is_cached)
    findings = _examine(tmp_path, tmp_path / "digits")
    assert _problems(findings) == []
    here = f"MNIST is not in {tmp_path / 'digits'} yet; `sweep data` fetches it"
    why = "MNIST comes from the package index"
    if is_cached:
        here, why = f"MNIST is complete in {tmp_path / 'digits'}", "not needed: MNIST is here"
    assert findings["data"].text == here
    assert findings["network"].text == f"MNIST's mirror cannot be reached ({why})"


def test_doctor_finds_a_storage_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    findings = _examine(tmp_path / "file" / "storage")
    assert _problems(findings) == ["storage"]
    text = findings["storage"].text
    assert text.startswith(f"{tmp_path / 'file' / 'storage'} cannot be written: Not a directory")
    assert "--storage" in text


def test_doctor_finds_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = SimpleNamespace(free=50 * 2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    findings = _examine(tmp_path)
    assert _problems(findings) == ["storage"]
    assert findings["storage"].text == f"{tmp_path} can be written, 0.0 GiB free"


def test_doctor_tells_of_a_broken_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch", "torchvision.datasets"):
        monkeypatch.setitem(sys.modules, name, None)  # importing it fails
    monkeypatch.setattr(doctor, "cached", lambda folder: False)
    findings = _examine(tmp_path)
    assert _problems(findings) == ["gpu", "network"]
    assert findings["gpu"].text.startswith("torch cannot be imported: ")
    assert "cannot import torchvision" in findings["network"].text


def test_doctor_tells_of_a_python_that_ray_cannot_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/home/me/my projects/.venv/bin/python")
    findings = _examine(tmp_path)
    assert _problems(findings) == ["python"]
    assert "/home/me/my projects/.venv/bin/python" in findings["python"].text
