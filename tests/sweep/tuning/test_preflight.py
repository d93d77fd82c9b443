import re
from pathlib import Path

import pytest

from analysis.storage.local_folder import LocalFolder
from sweep.config import Resources
from sweep.environment import Finding, versions
from sweep.tuning import preflight
from sweep.tuning.preflight import Look, examine_answers, examine_cluster

pytestmark = pytest.mark.usefixtures("ray_scratch")


def _problems(findings: dict[str, Finding]) -> list[str]:
    return [check for check, finding in findings.items() if finding.is_problem]


def _examine(storage: Path, resources: Resources, **more: bool) -> dict[str, Finding]:
    found = examine_cluster(resources, LocalFolder(storage), **more)
    return {finding.check: finding for finding in found}


def test_healthy_ray_has_no_problem(tmp_path):
    findings = _examine(tmp_path, Resources())
    assert {check: finding.text for check, finding in findings.items()} == {
        "cluster": "1 node with 2 CPUs and 0 GPUs",
        "resources": "a trial takes 1 CPUs and 0 GPUs: 2 at a time",
        "code": "runs on 1 node",
        "versions": "the same on all nodes",
        "storage": f"all nodes can read and write {tmp_path}",
    }
    assert _problems(findings) == []
    assert not list(tmp_path.iterdir())


def test_trial_that_fits_on_no_node_is_a_problem_unless_the_cluster_grows(tmp_path):
    findings = _examine(tmp_path, Resources(cpu=64))
    assert _problems(findings) == ["resources"]
    assert "and no node has them" in findings["resources"].text
    findings = _examine(tmp_path, Resources(cpu=64), may_grow=True)
    assert _problems(findings) == []
    assert "the first trials wait" in findings["resources"].text


def test_storage_that_the_driver_cannot_write_is_a_problem(tmp_path):
    (tmp_path / "file").touch()
    findings = _examine(tmp_path / "file" / "storage", Resources())
    assert _problems(findings) == ["storage"]
    assert "cannot be written from here: Not a directory" in findings["storage"].text


def test_error_on_a_node_is_reported_by_its_last_line(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise ModuleNotFoundError("No module named 'torch'")

    monkeypatch.setattr(preflight, "_look", refuse)
    findings = _examine(tmp_path, Resources())
    assert _problems(findings) == ["code"]
    assert (
        ": ModuleNotFoundError: No module named 'torch'; install the same packages"
        in findings["code"].text
    )


GOOD = Look(versions(), None)


@pytest.mark.parametrize(
    ("answers", "check", "is_problem", "text"),
    [
        (
            {"10.0.0.1": GOOD, "10.0.0.2": Look(versions(), "does not see there what")},
            "storage",
            True,
            "10.0.0.2 does not see there what; it is a folder of .* alone: .* or a folder that",
        ),
        (
            {"10.0.0.1": GOOD, "10.0.0.2": None},
            "code",
            True,
            "no answer from 10.0.0.2 in 60 s; try again in a minute",
        ),
        (
            {"10.0.0.1": Look(versions() | {"torch": "1.0"}, None)},
            "versions",
            False,
            "torch 1.0 on 10.0.0.1, ",
        ),
    ],
    ids=["storage", "silent", "versions"],
)
def test_answers_say_what_is_wrong_where(answers, check, is_problem, text, tmp_path):
    found = examine_answers(answers, LocalFolder(tmp_path), n_nodes=len(answers))
    findings = {finding.check: finding for finding in found}
    assert _problems(findings) == [check] * is_problem
    assert re.search(text, findings[check].text)
