"""The files for clusters, checked as far as possible without AWS and Kubernetes."""

import fnmatch
import os
import re
import shlex
import signal
import subprocess
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import ray
import typer
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts.scripts import start as ray_start
from ray.scripts.symmetric_run import symmetric_run

import sweep
from sweep.cli import app
from sweep.driver.folders import check_name
from waiting import wait_until

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
CLUSTER = Path(sweep.__file__).parent / "cluster"

Document = dict[str, Any]


@pytest.fixture
def aws() -> Document:
    return yaml.safe_load((CLUSTER / "aws.yaml").read_text())


@pytest.fixture
def kubernetes() -> tuple[Document, Document]:
    """The RayJob, and its NetworkPolicy."""
    job, policy = yaml.safe_load_all((CLUSTER / "rayjob.yaml").read_text())
    return job, policy


@pytest.fixture
def rayjob(kubernetes: tuple[Document, Document]) -> Document:
    return kubernetes[0]


def _ray_start(commands: list[str]) -> dict[str, Any]:
    """The options of the one `ray start` in a list of commands, as Ray reads them."""
    (command,) = [command for command in commands if "ray start" in command]
    words = shlex.split(command.partition("ray start")[2])
    return ray_start.make_context("ray start", words).params


def _sweep(line: str) -> dict[str, Any]:
    """The options of a command of this project, as its command line reads them."""
    program, name, *words = shlex.split(line)
    assert program == "sweep"
    return typer.main.get_group(app).commands[name].make_context(name, words).params


def _pods(rayjob: Document) -> Iterator[Document]:
    cluster = rayjob["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        yield group["template"]


def test_aws_is_what_ray_accepts(aws):
    validate_config(prepare_config(aws))  # as `ray up` does before it asks the cloud for anything


def test_aws_head_grows_the_cluster_and_workers_join_it(aws):
    head = _ray_start(aws["head_start_ray_commands"])
    assert head["head"]
    assert head["dashboard_host"] == "127.0.0.1"
    assert head["autoscaling_config"] == "~/ray_bootstrap_config.yaml"
    worker = _ray_start(aws["worker_start_ray_commands"])
    assert not worker["head"]
    assert worker["address"] == f"$RAY_HEAD_IP:{head['port']}"


def test_aws_nodes_need_a_token_and_open_nothing_but_ssh(aws):
    assert "~/.ray/auth_token" in aws["file_mounts"]
    (command,) = [command for command in aws["setup_commands"] if "RAY_AUTH" in command]
    assert re.search(r"echo 'export .*RAY_AUTH_MODE=token' >> ~/\.bashrc", command)
    assert aws["provider"]["security_group"]["IpPermissions"] == []
    node_types = aws["available_node_types"].values()
    assert all("SecurityGroupIds" not in node["node_config"] for node in node_types)


def test_aws_concurrency_fills_the_cluster_when_it_has_grown(aws):
    text = (CLUSTER / "aws.yaml").read_text()
    (line,) = re.findall(r"'(sweep run .*)'", text)
    options = _sweep(line)
    head, worker = (aws["available_node_types"][name] for name in ("head", "worker"))
    assert worker["max_workers"] == aws["max_workers"]
    assert options["concurrency"] == (
        head["resources"]["CPU"] + worker["max_workers"] * worker["resources"]["CPU"]
    )
    assert options["address"] == "auto"


def test_rayjob_runs_or_resumes_on_shared_storage_with_this_ray(rayjob):
    assert (rayjob["apiVersion"], rayjob["kind"]) == ("ray.io/v1", "RayJob")
    assert rayjob["spec"]["backoffLimit"] > 0
    named = rayjob["spec"]["rayClusterSpec"]["rayVersion"]
    assert named.split(".")[:2] == ray.__version__.split(".")[:2]
    options = _sweep(rayjob["spec"]["entrypoint"])
    check_name(options["name"])
    assert options["resume"]
    assert options["storage"].startswith("s3://")
    assert options["address"] == "auto"


def test_rayjob_needs_a_token_and_its_pods_are_not_root(rayjob):
    cluster = rayjob["spec"]["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["headGroupSpec"]["serviceType"] == "ClusterIP"
    for pod in _pods(rayjob):
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert pod["spec"]["automountServiceAccountToken"] is False
        (container,) = pod["spec"]["containers"]
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["envFrom"] == [{"secretRef": {"name": "lenet-sweep-s3"}}]
        assert "env" not in container  # no secret in the file itself


def test_rayjob_pods_hear_the_operator_on_the_dashboard_port_alone(kubernetes):
    rayjob, policy = kubernetes
    spec = policy["spec"]
    assert spec["policyTypes"] == ["Ingress"]
    for pod in _pods(rayjob):
        assert pod["metadata"]["labels"] == spec["podSelector"]["matchLabels"]
    siblings, operator = spec["ingress"]
    assert siblings == {"from": [{"podSelector": spec["podSelector"]}]}
    assert [port["port"] for port in operator["ports"]] == [8265]


def test_image_is_the_one_that_the_containerfile_builds(rayjob):
    text = (CLUSTER / "Containerfile").read_text()
    (tag,) = re.findall(r"--tag (\S+)", text)
    assert tag == f"lenet-sweep:{version('lenet-sweep')}"
    (user,) = re.findall(r"^USER (\d+):", text, re.MULTILINE)  # not root
    for pod in _pods(rayjob):
        assert [container["image"] for container in pod["spec"]["containers"]] == [tag]
        assert pod["spec"]["securityContext"]["runAsUser"] == int(user)
    copied = re.findall(r"^COPY (\w+) \1$", text, re.MULTILINE)
    assert sorted(copied) == sorted(PROJECT["tool"]["mypy"]["packages"])


@pytest.mark.parametrize("name", ["aws.yaml", "rayjob.yaml"])
def test_sweep_takes_the_commands_that_the_head_comments_show(name):
    text = (CLUSTER / name).read_text()
    lines = re.findall(r"^#.*?(sweep (?:run|status) [^'\n]*)", text, re.MULTILINE)
    assert lines
    for line in lines:
        assert _sweep(line)["storage"] == "s3://BUCKET/sweeps"


def test_slurm_job_runs_or_resumes_on_all_its_nodes_and_is_requeued(tmp_path):
    """With stand-ins for the commands of Slurm; `srun` waits for the signal before the end."""
    programs = {
        "ray": "",
        "srun": 'printf "%s\\n" "$@" >step && exec sleep 60',
        "scontrol": 'case $1 in show) echo "n7 n8" | tr " " "\\n";; *) echo "$@" >requeued;; esac',
    }
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray/auth_token").touch()
    for name, text in programs.items():
        program = tmp_path / ".venv/bin" / name
        program.write_text(f"#!/bin/bash\n{text}\n")
        program.chmod(0o755)
    slurm = {"JOB_ID": "4711", "JOB_NODELIST": "n[7-8]", "JOB_NUM_NODES": "2"}
    environment = {f"SLURM_{name}": value for name, value in slurm.items()}
    environment |= {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "SLURM_CPUS_PER_TASK": "4"}
    job = subprocess.Popen(
        ["bash", CLUSTER / "slurm.sh"], cwd=tmp_path, env=environment, start_new_session=True
    )
    try:
        wait_until((tmp_path / "step").exists, 30)
        job.send_signal(signal.SIGUSR1)
        wait_until((tmp_path / "requeued").exists, 30)
        assert job.wait(timeout=20) == 128 + signal.SIGUSR1
    finally:
        job.kill()
        os.killpg(job.pid, signal.SIGKILL)  # the step, too
    assert (tmp_path / "requeued").read_text() == "requeue 4711\n"
    words = (tmp_path / "step").read_text().splitlines()
    separator = words.index("--")
    assert words[:4] == ["--cpus-per-task=4", "ray", "symmetric-run", "--address"]
    cluster = symmetric_run.make_context("_", words[3:separator], resilient_parsing=True).params
    assert (cluster["address"], cluster["min_nodes"]) == ("n7:24711", 2)
    started = ray_start.make_context("ray start", [*cluster["ray_args_and_entrypoint"]]).params
    assert started["num_cpus"] == 4
    options = _sweep(shlex.join(words[separator + 1 :]))
    assert options["resume"]
    assert options["address"] == "auto"


def test_every_file_is_in_a_wheel():
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["*"]
    names = sorted(path.name for path in CLUSTER.iterdir())
    assert names == ["Containerfile", "aws.yaml", "rayjob.yaml", "slurm.sh"]
    assert all(any(fnmatch.fnmatch(name, pattern) for pattern in patterns) for name in names)
