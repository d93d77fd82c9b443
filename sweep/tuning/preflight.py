"""Checks of a cluster before a sweep; they take seconds."""

import contextlib
import secrets
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from analysis.errors import StorageError, describe_cause
from analysis.formatting import count
from analysis.storage.folder import Folder
from analysis.storage.local_folder import LocalFolder
from sweep.config import Resources
from sweep.environment import Finding, versions
from sweep.tuning.nodes import Node, alive_nodes

_TIMEOUT_S = 60.0
_AGAIN_S = 0.5


@dataclass(frozen=True)
class Look:
    """The versions on a node, and the problem with the storage there, or None."""

    versions: dict[str, str]
    storage: str | None


Answers = Mapping[str, Look | str | None]
"""By address of a node: its look, or why it cannot run a trial, or None without an answer."""


def examine_cluster(
    resources: Resources, storage: Folder, *, may_grow: bool = False
) -> Iterator[Finding]:
    """Yield the finding of each check; Ray must be connected.

    `may_grow` says that nodes that can run a trial may still join.
    """
    nodes = alive_nodes()
    cpus, gpus = sum(node.cpus for node in nodes), sum(node.gpus for node in nodes)
    yield Finding("cluster", f"{count(len(nodes), 'node')} with {cpus:g} CPUs and {gpus:g} GPUs")
    slots = sum(resources.slots(node.cpus, node.gpus) for node in nodes)
    text = f"a trial takes {resources.cpu:g} CPUs and {resources.gpu:g} GPUs"
    if slots:
        text += f": {slots} at a time"
    elif may_grow:
        text += ": no node has them yet, so the first trials wait"
    else:
        text += (
            ", and no node has them; add a node, lower `resources`, or, on an autoscaling "
            "cluster, set --concurrency"
        )
    yield Finding("resources", text, is_problem=not (slots or may_grow))
    able = [node for node in nodes if resources.slots(node.cpus, node.gpus)]
    probe = f".preflight-{secrets.token_hex(8)}"
    try:
        storage.write(probe, probe.encode())
        yield from examine_answers(_ask(able, storage, probe), storage, n_nodes=len(nodes))
    except StorageError as error:
        text = f"{storage} cannot be written from here: {describe_cause(error)}"
        yield Finding("storage", text, is_problem=True)
    finally:
        with contextlib.suppress(StorageError):  # the finding says it
            for name in (probe, *(f"{probe}-{node.node_id}" for node in able)):
                storage.delete(name)


def examine_answers(answers: Answers, storage: Folder, *, n_nodes: int) -> Iterator[Finding]:
    """Yield what the nodes' answers say about their code, versions and storage."""
    looks = {address: look for address, look in answers.items() if isinstance(look, Look)}
    silent = [address for address, answer in answers.items() if answer is None]
    broken = [f"{address}: {look}" for address, look in answers.items() if isinstance(look, str)]
    text = f"runs on {count(len(answers), 'node')}"
    if silent:
        text = (
            f"no answer from {', '.join(silent)} in {_TIMEOUT_S:.0f} s; try again in a "
            "minute, when Ray has noticed a lost node"
        )
    elif broken:
        where = "; ".join(broken)
        text = f"a trial cannot run on {where}; install the same packages there as here"
    yield Finding("code", text, is_problem=bool(silent or broken))

    here = versions()
    differing = "; ".join(
        f"{name} {theirs} on {address}, {here[name]} here"
        for address, look in looks.items()
        for name, theirs in look.versions.items()
        if theirs != here[name]
    )
    text = f"{differing}: their results may differ" if differing else "the same on all nodes"
    yield Finding("versions", text)

    unusable = [f"{address} {look.storage}" for address, look in looks.items() if look.storage]
    text = f"all nodes can read and write {storage}"
    if unusable:
        text = f"{storage}: {'; '.join(unusable)}"
        if isinstance(storage, LocalFolder) and n_nodes > 1:
            text += (
                f"; it is a folder of {socket.gethostname()} alone: with several nodes "
                "--storage must be s3://…, gs://…, az://… or a folder that all of them share"
            )
    yield Finding("storage", text, is_problem=bool(unusable))


def _ask(nodes: list[Node], storage: Folder, probe: str) -> Answers:
    remote_look = ray.remote(num_cpus=0, max_retries=0)(_look)

    def ask(node: Node) -> ray.ObjectRef:
        there = NodeAffinitySchedulingStrategy(node.node_id, soft=False)
        return remote_look.options(scheduling_strategy=there).remote(storage, probe, node.node_id)

    end = time.monotonic() + _TIMEOUT_S
    answers: dict[str, Look | str | None] = {}
    asked = {ask(node): node for node in nodes}
    while asked and (left := end - time.monotonic()) > 0:
        for reference in ray.wait(list(asked), timeout=left)[0]:
            node = asked.pop(reference)
            try:
                answers[node.address] = ray.get(reference)
            except ray.exceptions.TaskUnschedulableError:
                # The other nodes know a node that has just joined only a moment later.
                time.sleep(_AGAIN_S)
                asked[ask(node)] = node
            except ray.exceptions.RayError as error:
                answers[node.address] = str(error).strip().splitlines()[-1]
    return answers | dict.fromkeys(node.address for node in asked.values())


def _look(storage: Folder, probe: str, node_id: str) -> Look:
    """Run on a node."""
    # Trials need these, and with them Tune and torch.
    import sweep.training.worker
    import sweep.tuning.trainable  # noqa: F401

    problem = None
    try:
        if storage.read(probe) != probe.encode():
            problem = "reads different data there than the driver wrote"
        storage.write(f"{probe}-{node_id}", node_id.encode())
    except FileNotFoundError:
        problem = "cannot find the file that the driver wrote"
    except StorageError as error:
        problem = f"cannot use it: {describe_cause(error)}"
    return Look(versions(), problem)
