"""Checks of a cluster before a sweep, each with one line to say, in seconds."""

import secrets
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from analysis.errors import describe_cause
from analysis.formatting import count
from analysis.storage.folder import Folder, LocalFolder
from sweep.config import Resources
from sweep.environment import Finding, versions
from sweep.tuning.nodes import Node, alive_nodes

_TIMEOUT_S = 60.0
_AGAIN_S = 0.5
_PROBE = ".preflight"


@dataclass(frozen=True)
class _Look:
    """What a node tells of itself."""

    versions: dict[str, str]
    storage: str | None  # what is wrong with it


def examine_cluster(
    resources: Resources, storage: Folder, *, may_grow: bool = False
) -> Iterator[Finding]:
    """Yields a finding a check; Ray must be connected.

    Args:
        resources: Of one trial.
        storage: Where the driver and every node write.
        may_grow: Whether nodes that can run a trial may be yet to come.
    """
    nodes = alive_nodes()
    yield Finding(
        "cluster",
        f"{count(len(nodes), 'node')} with {sum(node.cpus for node in nodes):g} CPUs and "
        f"{sum(node.gpus for node in nodes):g} GPUs",
    )
    yield _resources(nodes, resources, may_grow=may_grow)
    able = [node for node in nodes if node.slots(resources)]
    probe = f"{_PROBE}-{secrets.token_hex(8)}"
    try:
        storage.write(probe, probe.encode())
        looks = _ask(able, storage, probe)
        yield _code(looks)
        yield _versions(looks)
        yield _storage(looks, storage, probe, n_nodes=len(nodes))
    except OSError as error:
        text = f"{storage} cannot be written from here: {describe_cause(error)}"
        yield Finding("storage", text, is_problem=True)
    finally:
        _clear(storage, probe, able)


def _resources(nodes: list[Node], resources: Resources, *, may_grow: bool) -> Finding:
    wanted = f"a trial takes {resources.cpu:g} CPUs and {resources.gpu:g} GPUs"
    slots = sum(node.slots(resources) for node in nodes)
    if slots:
        return Finding("resources", f"{wanted}: {slots} at a time")
    if may_grow:
        return Finding("resources", f"{wanted}: no node has them yet, so the first trials wait")
    text = f"{wanted}, and no node has them; add one, change `resources`, or, where the cluster "
    return Finding("resources", text + "grows by itself, give --concurrency", is_problem=True)


def _ask(nodes: list[Node], storage: Folder, probe: str) -> dict[str, _Look | str | None]:
    """Returns by node what it tells, or why it cannot; None where it is silent."""
    remote_look = ray.remote(num_cpus=0, max_retries=0)(_look)

    def ask(node: Node) -> ray.ObjectRef:
        there = NodeAffinitySchedulingStrategy(node.node_id, soft=False)
        return remote_look.options(scheduling_strategy=there).remote(storage, probe, node.node_id)

    end = time.monotonic() + _TIMEOUT_S
    found: dict[str, _Look | str | None] = {}
    asked = {ask(node): node for node in nodes}
    while asked:
        left = end - time.monotonic()
        for reference in ray.wait(list(asked), timeout=max(0.0, left))[0]:
            node = asked.pop(reference)
            try:
                found[node.address] = ray.get(reference)
            except ray.exceptions.TaskUnschedulableError:
                # The nodes hear of one that has only just joined a moment later.
                time.sleep(_AGAIN_S)
                asked[ask(node)] = node
            except ray.exceptions.RayError as error:
                found[node.address] = str(error).strip().splitlines()[-1]
        if left <= 0:
            return found | dict.fromkeys(node.address for node in asked.values())
    return found


def _look(storage: Folder, probe: str, node_id: str) -> _Look:
    """Runs on a node."""
    # What the trials will need: Tune, and torch.
    import sweep.training.worker
    import sweep.tuning.trainable  # noqa: F401

    return _Look(versions(), _look_at_storage(storage, probe, node_id))


def _look_at_storage(storage: Folder, probe: str, node_id: str) -> str | None:
    try:
        if storage.read(probe) != probe.encode():
            return "reads there what the driver has not written"
        storage.write(f"{probe}-{node_id}", node_id.encode())
    except FileNotFoundError:
        return "does not see there what the driver has written"
    except OSError as error:
        return f"cannot use it: {describe_cause(error)}"
    return None


def _code(looks: dict[str, _Look | str | None]) -> Finding:
    silent = [address for address, look in looks.items() if look is None]
    if silent:
        text = f"no answer from {', '.join(silent)} in {_TIMEOUT_S:.0f} s; "
        mend = "if Ray has lost a node, it knows within a minute: try again then"
        return Finding("code", text + mend, is_problem=True)
    broken = [f"{address}: {look}" for address, look in looks.items() if isinstance(look, str)]
    if not broken:
        return Finding("code", f"runs on {count(len(looks), 'node')}")
    text = f"a trial cannot run on {'; '.join(broken)}; install the same packages there as here"
    return Finding("code", text, is_problem=True)


def _versions(looks: dict[str, _Look | str | None]) -> Finding:
    here = versions()
    differing = [
        f"{name} {theirs} on {address}, {here[name]} here"
        for address, look in looks.items()
        if isinstance(look, _Look)
        for name, theirs in look.versions.items()
        if theirs != here[name]
    ]
    if not differing:
        return Finding("versions", "the same on all nodes")
    return Finding("versions", f"{'; '.join(differing)}: their results may differ")


def _storage(
    looks: dict[str, _Look | str | None], storage: Folder, probe: str, *, n_nodes: int
) -> Finding:
    broken = [
        f"{address} {look.storage}"
        for address, look in looks.items()
        if isinstance(look, _Look) and look.storage is not None
    ]
    if not broken:
        return Finding("storage", f"{storage} is written and read by all nodes")
    text = f"{storage}: {'; '.join(broken)}"
    if isinstance(storage, LocalFolder) and n_nodes > 1:
        text += (
            f"; it is a folder of {socket.gethostname()} alone: with several nodes --storage "
            "must be s3://…, gs://… or a folder that all of them share"
        )
    return Finding("storage", text, is_problem=True)


def _clear(storage: Folder, probe: str, nodes: list[Node]) -> None:
    for name in (probe, *(f"{probe}-{node.node_id}" for node in nodes)):
        try:
            storage.delete(name)
        except OSError:  # the finding has said it
            return
