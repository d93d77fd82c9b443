from pathlib import Path

import pytest

from analysis.storage.folder import LocalFolder
from sweep.config import Resources
from sweep.environment import Finding, versions
from sweep.tuning import preflight
from sweep.tuning.nodes import Node
from sweep.tuning.preflight import examine_cluster


def _problems(findings: dict[str, Finding]) -> list[str]:
    return [check for check, finding in findings.items() if finding.is_problem]


def _examine(storage: Path, resources: Resources, **more: bool) -> dict[str, Finding]:
    found = examine_cluster(resources, LocalFolder(storage), **more)
    return {finding.check: finding for finding in found}


@pytest.mark.usefixtures("ray_scratch")
def test_ray_that_lacks_nothing_has_no_problem(tmp_path: Path) -> None:
    findings = _examine(tmp_path, Resources())
    assert {check: finding.text for check, finding in findings.items()} == {
        "cluster": "1 node with 2 CPUs and 0 GPUs",
        "resources": "a trial takes 1 CPUs and 0 GPUs: 2 at a time",
        "code": "runs on 1 node",
        "versions": "the same on all nodes",
        "storage": f"{tmp_path} is written and read by all nodes",
    }
    assert _problems(findings) == []
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("ray_scratch")
def test_trial_that_fits_on_no_node_is_a_problem_unless_the_cluster_grows(tmp_path: Path) -> None:
    findings = _examine(tmp_path, Resources(cpu=64))
    assert _problems(findings) == ["resources"]
    assert "and no node has them" in findings["resources"].text
    findings = _examine(tmp_path, Resources(cpu=64), may_grow=True)
    assert _problems(findings) == []
    assert "the first trials wait" in findings["resources"].text


@pytest.mark.usefixtures("ray_scratch")
def test_storage_that_the_driver_cannot_write_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    findings = _examine(tmp_path / "file" / "storage", Resources())
    assert _problems(findings) == ["storage"]
    assert "cannot be written from here: Not a directory" in findings["storage"].text


def _nodes(n: int) -> list[Node]:
    return [Node(str(i), f"10.0.0.{i}", 1.0, 0.0) for i in range(1, n + 1)]


def _pretend(
    monkeypatch: pytest.MonkeyPatch, looks: dict[str, "preflight._Look | str | None"]
) -> None:
    monkeypatch.setattr(preflight, "alive_nodes", lambda: _nodes(len(looks)))
    monkeypatch.setattr(preflight, "_ask", lambda *_: looks)


def test_folder_that_another_node_does_not_see_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = preflight._Look(versions(), None)
    bad = preflight._Look(versions(), "does not see there what the driver has written")
    _pretend(monkeypatch, {"10.0.0.1": good, "10.0.0.2": bad})
    findings = _examine(tmp_path, Resources())
    assert _problems(findings) == ["storage"]
    assert "10.0.0.2 does not see there" in findings["storage"].text
    assert "--storage must be s3://…, gs://… or a folder that all" in findings["storage"].text


def test_node_that_cannot_run_the_code_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = "ModuleNotFoundError: No module named 'torch'"
    _pretend(monkeypatch, {"10.0.0.1": missing})
    findings = _examine(tmp_path, Resources())
    assert _problems(findings) == ["code"]
    assert f"10.0.0.1: {missing}; install the same packages" in findings["code"].text


def test_other_versions_are_named_and_no_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = preflight._Look(versions() | {"torch": "1.0"}, None)
    _pretend(monkeypatch, {"10.0.0.1": other})
    findings = _examine(tmp_path, Resources())
    assert _problems(findings) == []
    assert findings["versions"].text.startswith("torch 1.0 on 10.0.0.1, ")


@pytest.mark.usefixtures("ray_scratch")
def test_what_goes_wrong_on_a_node_is_told_by_its_last_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ModuleNotFoundError("No module named 'torch'")

    monkeypatch.setattr(preflight, "_look", refuse)
    findings = _examine(tmp_path, Resources())
    assert _problems(findings) == ["code"]
    assert ": ModuleNotFoundError: No module named 'torch';" in findings["code"].text


def test_silent_node_is_a_problem_that_more_packages_do_not_mend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _pretend(monkeypatch, {"10.0.0.1": preflight._Look(versions(), None), "10.0.0.2": None})
    findings = _examine(tmp_path, Resources())
    assert _problems(findings) == ["code"]
    assert findings["code"].text.startswith("no answer from 10.0.0.2 in 60 s; ")
    assert "install" not in findings["code"].text
