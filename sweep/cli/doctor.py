"""Checks of this machine, and of a cluster, before a sweep, each with one line to say."""

import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from analysis.errors import describe_cause
from analysis.storage.folder import Folder, LocalFolder
from data_utils.mirrors import mirror_urls
from data_utils.mnist import cached, default_folder
from data_utils.sources import SourceError
from sweep.config import Resources
from sweep.environment import Finding, machine, needs_no_quotes, versions
from sweep.errors import ClusterError

_PROBE = ".doctor"
_TIMEOUT_S = 3.0


def examine(storage: Folder, data: Path | None, address: str | None = None) -> Iterator[Finding]:
    """Yields a finding a check; takes a few seconds, with a cluster's `address` some more."""
    found = versions()
    missing = [name for name, version in found.items() if version == "not installed"]
    text = ", ".join(f"{name} {version}" for name, version in found.items())
    yield Finding("versions", text, is_problem=bool(missing))
    if not needs_no_quotes(sys.executable):
        text = f"Ray cannot run {sys.executable}: make the virtual environment in another folder"
        yield Finding("python", text, is_problem=True)
    here = machine()
    yield Finding("processors", f"{here['processors']} ({here['processor']})")
    memory = int(here["memory_bytes"]) / 2**30
    yield Finding(
        "memory",
        f"{memory:.0f} GiB" + ("" if memory >= 3 else "; a sweep wants 3 or more"),
        is_problem=memory < 2,
    )
    yield _gpu()
    is_cached = cached(data)
    yield _data(data or default_folder(), is_cached)
    yield _storage(storage)
    yield _network(is_cached)
    if address is not None:
        yield from _cluster(address, storage)


def _gpu() -> Finding:
    try:
        import torch
    except (ImportError, OSError) as error:
        return Finding("gpu", f"torch cannot be imported: {error}", is_problem=True)
    if not torch.cuda.is_available():
        return Finding("gpu", "none usable with CUDA; trials train on processors")
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return Finding("gpu", f"{', '.join(names)}; `--set resources.gpu=0.25` shares one by four")


def _data(folder: Path, is_cached: bool) -> Finding:
    if is_cached:
        return Finding("data", f"MNIST is complete in {folder}")
    return Finding("data", f"MNIST is not in {folder} yet; `sweep data` fetches it")


def _storage(storage: Folder) -> Finding:
    try:
        storage.write(_PROBE, b"")
        storage.delete(_PROBE)
        if not isinstance(storage, LocalFolder):
            return Finding("storage", f"{storage} can be written")
        free = shutil.disk_usage(storage.path).free / 2**30
    except OSError as error:
        text = (
            f"{storage} cannot be written: {describe_cause(error)}; choose another with --storage"
        )
        return Finding("storage", text, is_problem=True)
    return Finding("storage", f"{storage} can be written, {free:.1f} GiB free", free < 0.1)


def _network(is_cached: bool) -> Finding:
    try:
        url = urlsplit(mirror_urls()[0])
    except SourceError as error:
        return Finding("network", str(error), is_problem=not is_cached)
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        socket.create_connection((url.hostname, port), timeout=_TIMEOUT_S).close()
    except OSError:
        needed = "not needed: MNIST is here" if is_cached else "MNIST comes from the package index"
        return Finding("network", f"MNIST's mirror cannot be reached ({needed})")
    return Finding("network", "MNIST's mirror can be reached")


def _cluster(address: str, storage: Folder) -> Iterator[Finding]:
    from sweep.tuning.preflight import examine_cluster
    from sweep.tuning.ray_session import ray_session

    try:
        with ray_session(address=address, n_cpus=0):
            findings = list(examine_cluster(Resources(), storage))
    except ClusterError as error:
        findings = [Finding("cluster", str(error), is_problem=True)]
    yield from findings
