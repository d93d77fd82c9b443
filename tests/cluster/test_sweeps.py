"""Sweeps on several nodes that share nothing but a network and an object store."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from data_utils.dataset import TrainTest
from tests.cluster.machines import Network, Process, finish
from tests.cluster.nodes import Cluster, Node
from tests.cluster.object_store import ObjectStore

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(900),
]

N_TRIALS = 4
SMALL = ("--trials", f"{N_TRIALS}", "--epochs", "2", "--set", "scheduler=none", "--search-only")
READ_LEDGER = """
import sys
from pyarrow.fs import FileSystem

store, folder = FileSystem.from_uri(sys.argv[1])
sys.stdout.buffer.write(store.open_input_stream(f"{folder}/{sys.argv[2]}/ledger.jsonl").read())
"""

Records = list[dict[str, Any]]


def _eventually(driver: Process, condition: Callable[[], bool], seconds: float = 180) -> None:
    """Wait until a condition holds while a driver runs."""
    end = time.monotonic() + seconds
    while not condition():
        assert driver.poll() is None, driver.communicate()[1]
        assert time.monotonic() < end, "the condition never held"
        time.sleep(1)


def _trains(node: Node) -> bool:
    """Tell whether a trial is running on a node."""
    return node.run(["pgrep", "-f", "ray::.*Trainable"]).returncode == 0


def _ledger(node: Node, store: ObjectStore, name: str) -> Records:
    """Return the ledger's records as another machine reads them; none before it exists."""
    done = node.run([sys.executable, "-c", READ_LEDGER, store.uri, name])
    return [json.loads(line) for line in done.stdout.splitlines()]


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


@pytest.fixture
def third(cluster: Cluster) -> Iterator[Node]:
    """Return a node that a test may lose."""
    node = cluster.add_node(f"worker-{len(cluster.nodes)}")
    yield node
    if node is cluster.nodes.get(node.name):
        node.cut_off()
        del cluster.nodes[node.name]


@pytest.fixture
def doomed(network: Network, store: ObjectStore, mnist: TrainTest) -> Iterator[Cluster]:
    """Return a cluster for one test: a head on which no trial fits, and a worker."""
    with Cluster(network, store.credentials) as cluster:
        cluster.add_node("doomed-head", cpus=0)
        cluster.add_node("doomed-worker")
        yield cluster


@pytest.mark.long
def test_doctor_examines_the_cluster(cluster: Cluster, store: ObjectStore) -> None:
    where = ("--address", cluster.address, "--storage", store.uri)
    done = cluster.head.sweep("doctor", *where)
    assert done.returncode == 0, done.stdout
    for line in ("3 nodes with 3 CPUs", "runs on 3 nodes", "written and read by all nodes"):
        assert line in done.stdout


def test_sweep_runs_on_every_node(cluster: Cluster, store: ObjectStore) -> None:
    run = _popen_run(cluster.head, cluster, store, "everywhere", "--trials", "3", "--epochs", "1")
    seen: set[str] = set()

    def all_have_trained() -> bool:
        seen.update(name for name, node in cluster.nodes.items() if _trains(node))
        return seen == set(cluster.nodes)

    _eventually(run, all_have_trained)
    done = finish(run, timeout=300)
    assert (done.returncode, "3 trials at a time" in done.stderr) == (0, True), done.stderr
    records = _ledger(cluster.head, store, "everywhere")
    _check_whole(records, 3)
    for node in cluster.nodes.values():
        best = node.sweep("best", "--json", "--storage", store.uri)
        assert best.stdout == cluster.head.sweep("best", "--json", "--storage", store.uri).stdout
    plots = cluster.nodes["worker-1"].sweep("plot", "everywhere", "--storage", store.uri)
    assert plots.returncode == 0, plots.stderr
    token = cluster.environment["RAY_AUTH_TOKEN"]
    assert token not in done.stdout + done.stderr + json.dumps(records)


@pytest.mark.long
def test_lost_node_loses_no_result_and_a_new_node_gets_trials(
    cluster: Cluster, store: ObjectStore, third: Node
) -> None:
    run = _popen_run(cluster.head, cluster, store, "losing", "--trials", "8")
    _eventually(run, lambda: _trains(third) and len(_ledger(cluster.head, store, "losing")) > 6)
    before = _ledger(cluster.head, store, "losing")
    third.cut_off()
    del cluster.nodes[third.name]
    late = cluster.add_node("late")
    _eventually(run, lambda: _trains(late))
    done = finish(run, timeout=400)
    assert done.returncode == 0, done.stderr
    records = _ledger(cluster.head, store, "losing")
    assert records[: len(before)] == before
    _check_whole(records, 8)
    assert "another goes on" in json.dumps(_of_kind(records, "notice"))
    assert "trials at a time instead of" in done.stderr


@pytest.mark.long
def test_another_node_resumes_the_sweep_of_a_killed_driver(
    cluster: Cluster, store: ObjectStore
) -> None:
    run = _popen_run(cluster.head, cluster, store, "orphaned")
    _eventually(run, lambda: len(_of_kind(_ledger(cluster.head, store, "orphaned"), "epoch")) > 2)
    run.send_signal(signal.SIGKILL)
    finish(run, timeout=10)
    before = _ledger(cluster.head, store, "orphaned")
    other = cluster.nodes["worker-2"]
    done = other.sweep("resume", "orphaned", "--storage", store.uri, "--address", cluster.address)
    assert done.returncode == 0, done.stderr
    records = _ledger(cluster.head, store, "orphaned")
    assert records[: len(before)] == before
    _check_whole(records, N_TRIALS)
    assert {record["host"] for record in _of_kind(records, "session")} == {
        "head",
        "worker-2",
    }


@pytest.mark.long
def test_sweep_without_a_node_waits_for_one(doomed: Cluster, store: ObjectStore) -> None:
    run = _popen_run(doomed.head, doomed, store, "alone", "--trials", "2")
    _eventually(run, lambda: bool(_of_kind(_ledger(doomed.head, store, "alone"), "epoch")))
    before = _ledger(doomed.head, store, "alone")
    # Ray hears at once of a killed raylet; the node sees its own processes alone.
    doomed.nodes["doomed-worker"].run(["sh", "-c", "kill -KILL $(pgrep raylet)"])
    with pytest.raises(subprocess.TimeoutExpired):
        run.wait(timeout=20)
    doomed.add_node("saviour")
    done = finish(run, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "no node is left that can run a trial; waiting for one, 15 minutes" in done.stderr
    records = _ledger(doomed.head, store, "alone")
    assert records[: len(before)] == before
    _check_whole(records, 2)


@pytest.mark.long
def test_lost_head_ends_the_command_and_says_how_to_resume(
    doomed: Cluster, store: ObjectStore
) -> None:
    driver = doomed.nodes["doomed-worker"]
    run = _popen_run(driver, doomed, store, "headless")
    _eventually(run, lambda: bool(_of_kind(_ledger(driver, store, "headless"), "epoch")))
    doomed.head.cut_off()
    done = finish(run, timeout=90)
    assert done.returncode == 4, done.stderr
    assert f"the head of the Ray cluster at {doomed.address} does not answer" in done.stderr
    assert "continue with: sweep resume headless --storage 's3://" in done.stderr
    assert "Traceback" not in done.stderr
    assert _of_kind(_ledger(driver, store, "headless"), "epoch")


OLD_RAY = """
import ray
ray.__version__ = "2.9.9"
"""


@pytest.mark.long
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("wrong token", "it refuses the token; set RAY_AUTH_TOKEN_PATH"),
        ("missing token", "no token for the Ray cluster at "),
        ("other version", "2.9.9"),
        ("nobody there", "cannot reach Ray at 10.77.0.1:6379: "),
        ("no answer", "cannot reach Ray at 192.0.2.1:6379: "),
        ("no resources", "no node has them"),
        ("dead store", "the object store says NETWORK_CONNECTION"),
        ("local folder", "--storage must be s3://"),
    ],
)
def test_unusable_cluster_ends_the_command_within_a_minute(
    fault: str, message: str, cluster: Cluster, store: ObjectStore
) -> None:
    options = {"--address": cluster.address, "--storage": store.uri}
    env: dict[str, str] = {}
    more: tuple[str, ...] = ()
    match fault:
        case "wrong token":
            env = {"RAY_AUTH_TOKEN": "0" * 64}
        case "missing token":
            env = {"RAY_AUTH_TOKEN": ""}
        case "other version":
            env = {"PYTHONPATH": "/dev/shm/old"}
            cluster.head.run(["sh", "-c", "mkdir -p /dev/shm/old"])
            script = "import sys; open('/dev/shm/old/sitecustomize.py', 'w').write(sys.argv[1])"
            cluster.head.run([sys.executable, "-c", script, OLD_RAY])
        case "nobody there":
            options["--address"] = "10.77.0.1:6379"
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
    assert not _of_kind(_ledger(cluster.head, store, "faulty"), "trial_started")
