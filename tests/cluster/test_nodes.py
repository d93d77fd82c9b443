import json
import sys
from pathlib import Path

import pytest

from data_utils.mnist import default_folder
from tests.cluster.nodes import CHECKOUT, Cluster, Node

pytestmark = [pytest.mark.cluster, pytest.mark.long]

_TASK_ON_EVERY_NODE = """
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
    if node["Alive"]:
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        seen.append(ray.remote(look).options(scheduling_strategy=there).remote(sys.argv[1:]))
print(json.dumps(ray.get(seen)))
"""
_CONNECT = """
import ray

try:
    ray.init(address="auto", log_to_driver=False)
except ConnectionError:
    print("refused")
else:
    print("connected")
"""


def _python(node: Node, script: str, *arguments: str, env: dict[str, str] | None = None) -> str:
    done = node.run([sys.executable, "-c", script, *arguments], env=env, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_node_works_without_the_project_its_data_and_the_drivers_files(
    cluster: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "ledger.jsonl").touch()  # as in a storage on the machine of the driver
    hidden = [CHECKOUT / "sweep", default_folder(), tmp_path, Path.home() / ".ssh"]
    seen = json.loads(_python(cluster.head, _TASK_ON_EVERY_NODE, *map(str, hidden)))
    assert sorted(seen) == [
        [name, False, [], [0.0, 0.0]] for name in ("head", "worker-1", "worker-2")
    ]


def test_nodes_have_no_folder_in_common(cluster: Cluster) -> None:
    for folder in ("/tmp", "/dev/shm", str(Path.home())):
        cluster.nodes["worker-1"].run(["touch", f"{folder}/mine"])
        assert cluster.nodes["worker-1"].run(["ls", f"{folder}/mine"]).returncode == 0
        assert cluster.nodes["worker-2"].run(["ls", f"{folder}/mine"]).returncode != 0
        assert not Path(folder, "mine").exists()


def test_ray_asks_for_the_token(cluster: Cluster) -> None:
    worker = cluster.nodes["worker-1"]
    assert _python(worker, _CONNECT) == "connected\n"
    assert _python(worker, _CONNECT, env={"RAY_AUTH_TOKEN": "0" * 64}) == "refused\n"
