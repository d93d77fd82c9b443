"""Checks of this machine and of a cluster before a sweep, one line each."""

import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from analysis.errors import StorageError, describe_cause
from analysis.storage.folder import Folder
from analysis.storage.local_folder import LocalFolder
from data_utils.errors import DataError
from data_utils.mnist import default_folder
from data_utils.registry import is_path, load_dataset
from data_utils.sources import Progress, SourceError, mirror_urls
from sweep.config import Resources
from sweep.environment import Finding, gpus, machine, needs_no_quotes, versions
from sweep.errors import ClusterError

_PROBE = ".doctor"
_TIMEOUT_S = 3.0


def examine(
    storage: Folder, data: Path | None, address: str | None = None, dataset: str = "mnist"
) -> Iterator[Finding]:
    """Yield one finding per check; takes a few seconds, and longer with a cluster's `address`."""
    found = versions()
    text = ", ".join(f"{name} {version}" for name, version in found.items())
    yield Finding("versions", text, is_problem="not installed" in found.values())
    if not needs_no_quotes(sys.executable):
        text = f"Ray cannot run {sys.executable}: make the virtual environment in another folder"
        yield Finding("python", text, is_problem=True)
    here = machine()
    yield Finding("processors", f"{here['processors']} ({here['processor']})")
    gib = int(here["memory_bytes"]) / 2**30
    needed = "" if gib >= 3 else "; a sweep needs 3 GiB or more"
    yield Finding("memory", f"{gib:.0f} GiB{needed}", is_problem=gib < 2)
    yield _check_gpu()
    finding, is_complete = _check_data(dataset, data)
    yield finding
    yield _check_storage(storage)
    if dataset == "mnist":
        yield _check_network(is_needed=not is_complete)
    if address is not None:
        from sweep.tuning.preflight import examine_cluster
        from sweep.tuning.ray_session import ray_session

        try:
            with ray_session(address=address, n_cpus=0):
                findings = list(examine_cluster(Resources(), storage))
        except ClusterError as error:
            findings = [Finding("cluster", str(error), is_problem=True)]
        yield from findings


def _check_gpu() -> Finding:
    try:
        found = gpus()
    except (ImportError, OSError) as error:
        return Finding("gpu", f"torch cannot be imported: {error}", is_problem=True)
    if not found:
        return Finding("gpu", "none usable with CUDA; trials train on CPUs")
    share = "4 trials share one with --set resources.gpu=0.25"
    return Finding("gpu", f"{found['gpus']} ({found['gpu']}, CUDA {found['cuda']}); {share}")


def _check_data(dataset: str, data: Path | None) -> tuple[Finding, bool]:
    """Check the data without fetching any, and return whether it is complete."""
    title, option = ("MNIST", "") if dataset == "mnist" else (dataset, f" --dataset {dataset}")
    folder = data or default_folder(dataset)
    try:
        found = load_dataset(dataset, data, create=False, progress=Progress(), may_fetch=False)
    except DataError as error:
        if is_path(dataset):
            return Finding("data", str(error), is_problem=True), False
        return Finding("data", f"{title} is not in {folder}; run `sweep data{option}`"), False
    text = f"{title} is complete in {folder}"
    if is_path(dataset):
        text = f"{len(found.train):,} training and {len(found.test):,} test images in {dataset}"
    return Finding("data", text), True


def _check_storage(storage: Folder) -> Finding:
    """Write and delete a file; less than 0.1 GiB of free disk is a problem."""
    try:
        storage.write(_PROBE, b"")
        storage.delete(_PROBE)
    except StorageError as error:
        cause = describe_cause(error)
        text = f"{storage} cannot be written: {cause}; choose another with --storage"
        return Finding("storage", text, is_problem=True)
    if not isinstance(storage, LocalFolder):
        return Finding("storage", f"{storage} can be written")
    free = shutil.disk_usage(storage.path).free / 2**30
    return Finding("storage", f"{storage} can be written, {free:.1f} GiB free", free < 0.1)


def _check_network(*, is_needed: bool) -> Finding:
    """Try MNIST's first mirror; a failure is no problem, as there is another source."""
    try:
        url = urlsplit(mirror_urls()[0])
        port = url.port or (443 if url.scheme == "https" else 80)
        socket.create_connection((url.hostname or "", port), timeout=_TIMEOUT_S).close()
    except SourceError as error:
        return Finding("network", str(error), is_problem=is_needed)
    except OSError:
        why = "the package index has MNIST too" if is_needed else "not needed: MNIST is here"
        return Finding("network", f"MNIST's mirror cannot be reached ({why})")
    return Finding("network", "MNIST's mirror can be reached")
