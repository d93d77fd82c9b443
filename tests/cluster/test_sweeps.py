"""Sweeps on several nodes that share nothing but a network and an object store.

The tests share a cluster. Those that lose a node come last, and the last one loses the head.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from data_utils.mnist import default_folder
from tests.cluster.machines import Process, finish
from tests.cluster.nodes import CHECKOUT, Cluster, Node
from tests.cluster.object_store import ObjectStore
from waiting import wait_until

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("ray"),
]

# Short epochs, though on all of MNIST.
SETTINGS = (
    "model=mlp",
    "recipe.batch_size=1000",
    "space={weight_decay: {low: 1.0e-6, high: 1.0e-2, log: true}}",
    "scheduler=none",
)
SMALL = ("--search-only", *(word for setting in SETTINGS for word in ("--set", setting)))
LOOK_AROUND = """
import json, sys
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

ray.init(address="auto", log_to_driver=False)

def look(paths):
    import os, socket, torch
    try:
        import sweep.config as project
    except ImportError:
        project = None
    files = [name for path in paths for _, _, names in os.walk(path) for name in names]
    return socket.gethostname(), project is not None, files, torch.zeros(2).tolist()

seen = []
for node in ray.nodes():
    there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
    seen.append(ray.remote(look).options(scheduling_strategy=there).remote(sys.argv[1:]))
print(json.dumps(ray.get(seen)))
"""

Records = list[dict[str, Any]]


def _eventually(driver: Process, condition: Callable[[], bool]) -> None:
    """Wait until a condition holds while a driver runs."""
    wait_until(condition, 180, process=driver, pause_s=1)


def _trains(node: Node) -> bool:
    """Tell whether a trial is running on a node."""
    return node.run(["pgrep", "-f", "ray::.*Trainable"]).returncode == 0


def _all_have_trained(cluster: Cluster) -> Callable[[], bool]:
    """Return a condition: a trial has run on each node, at whatever time."""
    seen: set[str] = set()

    def condition() -> bool:
        seen.update(name for name, node in cluster.nodes.items() if _trains(node))
        return seen == set(cluster.nodes)

    return condition


def _ledger(store: ObjectStore, name: str) -> Records:
    """Return the records of a ledger; none before it exists."""
    return [json.loads(line) for line in store.read(f"{name}/ledger.jsonl").splitlines()]


def _of_kind(records: Records, kind: str) -> Records:
    return [record for record in records if record["kind"] == kind]


def _check_whole(records: Records, n_trials: int) -> None:
    """Check that every trial is there once, complete, with its epochs in order."""
    starts = [record["trial_id"] for record in _of_kind(records, "trial_started")]
    assert sorted(starts) == list(range(1, n_trials + 1))
    ends = _of_kind(records, "trial_ended")
    assert sorted(record["trial_id"] for record in ends) == sorted(starts)
    assert {record["state"] for record in ends} == {"COMPLETE"}
    for trial_id in starts:
        epochs = [e["epoch"] for e in _of_kind(records, "epoch") if e["trial_id"] == trial_id]
        assert epochs == list(range(1, len(epochs) + 1))


def _popen_run(node: Node, cluster: Cluster, store: ObjectStore, name: str, *more: str) -> Process:
    given = ("--name", name, "--storage", store.uri, "--address", cluster.address)
    return node.popen_sweep("run", *given, *SMALL, *more)


@pytest.mark.long
def test_nodes_share_neither_the_project_nor_its_data_nor_the_drivers_files(cluster, tmp_path):
    (tmp_path / "ledger.jsonl").touch()  # as in a storage on the machine of the driver
    hidden = [CHECKOUT / "sweep", default_folder(), tmp_path, Path.home() / ".ssh"]
    done = cluster.head.run([sys.executable, "-c", LOOK_AROUND, *map(str, hidden)], timeout=120)
    assert done.returncode == 0, done.stderr
    seen = sorted(json.loads(done.stdout))
    assert seen == [[name, False, [], [0.0, 0.0]] for name in ("head", "worker-1")]
    for folder in ("/tmp", "/dev/shm", str(Path.home())):
        command = ["ls", f"{folder}/mine"]
        cluster.nodes["worker-1"].run(["touch", f"{folder}/mine"])
        assert cluster.nodes["worker-1"].run(command).returncode == 0
        assert cluster.head.run(command).returncode != 0
        assert not Path(folder, "mine").exists()


@pytest.mark.long
def test_doctor_examines_the_cluster(cluster, store):
    where = ("--address", cluster.address, "--storage", store.uri)
    done = cluster.head.sweep("doctor", *where)
    assert done.returncode == 0, done.stdout
    for line in ("2 nodes with 2 CPUs", "runs on 2 nodes", "all nodes can read and write"):
        assert line in done.stdout


def test_sweep_runs_on_every_node(cluster, store):
    run = _popen_run(cluster.head, cluster, store, "everywhere", "--trials", "3", "--epochs", "5")
    _eventually(run, _all_have_trained(cluster))
    done = finish(run, timeout=300)
    assert (done.returncode, "2 trials at a time" in done.stderr) == (0, True), done.stderr
    records = _ledger(store, "everywhere")
    _check_whole(records, 3)
    best = cluster.nodes["worker-1"].sweep("best", "--json", "--storage", store.uri).stdout
    assert json.loads(best)["sweep"] == "everywhere"
    token = cluster.environment["RAY_AUTH_TOKEN"]
    assert token not in done.stdout + done.stderr + json.dumps(records)


@pytest.mark.long
def test_another_node_resumes_the_sweep_of_a_killed_driver(cluster, store):
    run = _popen_run(cluster.head, cluster, store, "orphaned", "--trials", "4", "--epochs", "20")
    _eventually(run, lambda: len(_of_kind(_ledger(store, "orphaned"), "epoch")) > 2)
    run.send_signal(signal.SIGKILL)
    finish(run, timeout=10)
    before = _ledger(store, "orphaned")
    other = cluster.nodes["worker-1"]
    done = other.sweep("resume", "orphaned", "--storage", store.uri, "--address", cluster.address)
    assert done.returncode == 0, done.stderr
    records = _ledger(store, "orphaned")
    assert records[: len(before)] == before
    _check_whole(records, 4)
    assert {record["host"] for record in _of_kind(records, "session")} == {"head", "worker-1"}


OWN_FILES = """
import sys
import numpy as np

rng = np.random.default_rng(0)
images, labels = rng.integers(0, 256, (1000, 32, 32, 3), np.uint8), np.arange(1000) % 3
np.savez("own.npz", x_train=images, y_train=labels, x_test=images[:9] // 2, y_test=labels[:9])
open("residual.py", "w").write(sys.argv[1])
"""


@pytest.mark.long
def test_images_and_network_on_the_drivers_machine_alone_reach_all_nodes(cluster, store):
    chapter = (CHECKOUT / "README.md").read_text().partition("## Your own network")[2]
    network = chapter.partition("```python\n")[2].partition("```")[0]
    cluster.head.run([sys.executable, "-c", OWN_FILES, network])
    own = ("--dataset", "./own.npz", "--set", "model=residual.py:Residual")
    own += ("--set", "space.model.width={low: 8, high: 32}", "--set", "recipe.batch_size=50")
    own += ("--trials", "3", "--epochs", "12")
    run = _popen_run(cluster.head, cluster, store, "own", *own)
    _eventually(run, _all_have_trained(cluster))
    _eventually(run, lambda: len(_of_kind(_ledger(store, "own"), "epoch")) > 2)
    run.send_signal(signal.SIGKILL)
    finish(run, timeout=10)
    before = _ledger(store, "own")
    cluster.head.run(["rm", "residual.py"])  # the sweep has kept it
    given = ("resume", "own", "--storage", store.uri, "--address", cluster.address)
    done = cluster.nodes["worker-1"].sweep(*given)
    assert (done.returncode, "there is no file" in done.stderr) == (3, True), done.stderr
    done = cluster.head.sweep(*given)
    assert done.returncode == 0, done.stderr
    records = _ledger(store, "own")
    assert records[: len(before)] == before
    _check_whole(records, 3)
    trials = _of_kind(records, "trial_started")
    assert len({trial["hyperparameters"]["model.width"] for trial in trials}) > 1


OLD_RAY = """
import ray
ray.__version__ = "2.9.9"
"""


@pytest.mark.long
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("wrong token", "it refuses the token; set RAY_AUTH_TOKEN_PATH"),
        ("other version", "2.9.9"),
        ("no answer", "cannot reach Ray at 192.0.2.1:6379: "),
        ("no resources", "no node has them"),
        ("dead store", "the object store does not answer"),
        ("local folder", "--storage must be s3://"),
    ],
)
def test_unusable_cluster_ends_the_command_within_a_minute(fault, message, cluster, store):
    options = {"--address": cluster.address, "--storage": store.uri}
    env: dict[str, str] = {}
    more: tuple[str, ...] = ()
    match fault:
        case "wrong token":
            env = {"RAY_AUTH_TOKEN": "0" * 64}
        case "other version":
            env = {"PYTHONPATH": "/dev/shm/old"}
            cluster.head.run(["sh", "-c", "mkdir -p /dev/shm/old"])
            script = "import sys; open('/dev/shm/old/sitecustomize.py', 'w').write(sys.argv[1])"
            cluster.head.run([sys.executable, "-c", script, OLD_RAY])
        case "no answer":
            options["--address"] = "192.0.2.1:6379"
        case "no resources":
            more = ("--set", "resources.cpu=64")
        case "dead store":
            store.stop()
        case "local folder":
            options["--storage"] = "/tmp/runs"
    given = ["--name", "faulty", *(word for option in options.items() for word in option)]
    try:
        done = cluster.head.sweep("run", *given, *SMALL, *more, env=env, timeout=60)
    finally:
        if fault == "dead store":
            store.start()
    assert done.returncode == 4, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not _of_kind(_ledger(store, "faulty"), "trial_started")


@pytest.mark.long
def test_lost_node_loses_no_result_and_a_new_node_gets_trials(cluster, store):
    doomed = cluster.add_node("doomed")
    run = _popen_run(cluster.head, cluster, store, "losing", "--trials", "6", "--epochs", "80")
    _eventually(run, lambda: _trains(doomed) and len(_ledger(store, "losing")) > 6)
    before = _ledger(store, "losing")
    doomed.cut_off()
    late = cluster.add_node("late")
    _eventually(run, lambda: _trains(late))
    done = finish(run, timeout=400)
    assert done.returncode == 0, done.stderr
    records = _ledger(store, "losing")
    assert records[: len(before)] == before
    _check_whole(records, 6)
    assert "another process continues" in json.dumps(_of_kind(records, "notice"))
    assert "trials at a time instead of" in done.stderr


@pytest.mark.long
def test_sweep_without_a_node_waits_for_one(cluster, store):
    strong = cluster.add_node("strong", cpus=2)
    needs = ("--set", "resources.cpu=2", "--trials", "2", "--epochs", "20")
    run = _popen_run(cluster.head, cluster, store, "alone", *needs)
    _eventually(run, lambda: bool(_of_kind(_ledger(store, "alone"), "epoch")))
    before = _ledger(store, "alone")
    # The node sees its own processes alone. Ray may need 20 s to notice that a raylet is killed.
    strong.run(["sh", "-c", "kill -KILL $(pgrep raylet)"])
    with pytest.raises(subprocess.TimeoutExpired):
        run.wait(timeout=35)
    cluster.add_node("saviour", cpus=2)
    done = finish(run, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "no node can run a trial; waiting for one, 15 minutes" in done.stderr
    records = _ledger(store, "alone")
    assert records[: len(before)] == before
    _check_whole(records, 2)


@pytest.mark.long
def test_lost_head_ends_the_command_and_says_how_to_resume(cluster, store):
    driver = cluster.nodes["worker-1"]
    run = _popen_run(driver, cluster, store, "headless", "--trials", "4", "--epochs", "100")
    _eventually(run, lambda: bool(_of_kind(_ledger(store, "headless"), "epoch")))
    cluster.head.cut_off()
    done = finish(run, timeout=90)
    assert done.returncode == 4, done.stderr
    assert f"the head of the Ray cluster at {cluster.address} has not answered" in done.stderr
    again = f"continue with: sweep resume --address {cluster.address} headless --storage 's3://"
    assert again in done.stderr
    assert "Traceback" not in done.stderr
    assert _of_kind(_ledger(store, "headless"), "epoch")
