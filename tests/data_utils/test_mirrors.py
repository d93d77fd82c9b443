import errno
import gzip
import hashlib
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from data_utils.mirrors import fetch_from_mirrors
from data_utils.sources import Progress, SourceError

CONTENTS = {"first": b"1, 2, 3", "second": b"4, 5"}
FILES = {name: hashlib.sha256(data).hexdigest() for name, data in CONTENTS.items()}
PACKED = {f"/{name}.gz": gzip.compress(data) for name, data in CONTENTS.items()}
FIRST = {"first": FILES["first"]}

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Mirror:
    """A mirror on this machine; `answers` replaces its answer to a path."""

    host: str
    released: threading.Event
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{self.host}/"

    def hang(self, handler: BaseHTTPRequestHandler) -> None:
        self.released.wait(timeout=60)

    def hang_midway(self, handler: BaseHTTPRequestHandler) -> None:
        send(b"half", n_announced=8)(handler)
        self.released.wait(timeout=60)


def send(body: bytes, n_announced: int | None = None, status: int = 200) -> Answer:
    """Answer with `body`; announce its length, another length, or (-1) none."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        n_bytes = len(body) if n_announced is None else n_announced
        if n_bytes >= 0:
            handler.send_header("Content-Length", str(n_bytes))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


NOT_FOUND = send(b"", status=404)


@pytest.fixture
def serve() -> Iterator[Callable[[], Mirror]]:
    servers = []
    released = threading.Event()

    def start() -> Mirror:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.requests.append(self.path)
                default = send(PACKED[self.path]) if self.path in PACKED else NOT_FOUND
                mirror.answers.get(self.path, default)(self)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        mirror = Mirror(f"127.0.0.1:{server.server_port}", released)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return mirror

    yield start
    released.set()
    for server in servers:
        server.shutdown()
        server.server_close()


def fetch(files: dict[str, str], *mirrors: Mirror, **options: float) -> dict[str, bytes]:
    urls = [mirror.url for mirror in mirrors]
    return dict(fetch_from_mirrors(files, Progress(), urls=urls, **options))


def test_mirror_delivers_files_and_reports_its_progress(serve: Callable[[], Mirror]) -> None:
    mirror = serve()
    mirror.answers["/second.gz"] = send(PACKED["/second.gz"], n_announced=-1)
    lines: list[str] = []
    n_bytes: list[tuple[int, int]] = []
    progress = Progress(lines.append, lambda done, total: n_bytes.append((done, total)))
    assert dict(fetch_from_mirrors(FILES, progress, urls=[mirror.url])) == CONTENTS
    assert lines == [f"fetching first from {mirror.host}", f"fetching second from {mirror.host}"]
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
def test_bad_answer_is_refused_with_the_reason(
    serve: Callable[[], Mirror], answer: Answer, reason: str
) -> None:
    mirror = serve()
    mirror.answers["/first.gz"] = answer
    with pytest.raises(SourceError) as caught:
        fetch(FIRST, mirror)
    assert str(caught.value).startswith(f"{mirror.host}: first.gz {reason}")


def test_mirror_that_does_not_answer_is_left_soon(serve: Callable[[], Mirror]) -> None:
    mirror = serve()
    mirror.answers["/first.gz"] = mirror.hang
    with pytest.raises(SourceError, match=r"first.gz cannot be fetched: no answer within 0.1 s"):
        fetch(FILES, mirror, connect_timeout_s=0.1)
    assert mirror.requests == ["/first.gz"]


def test_mirror_that_pauses_within_a_file_is_left(serve: Callable[[], Mirror]) -> None:
    mirror = serve()
    mirror.answers["/first.gz"] = mirror.hang_midway
    with pytest.raises(SourceError, match=r"first.gz cannot be fetched: timed out"):
        fetch(FIRST, mirror, connect_timeout_s=30, read_timeout_s=0.1)


def test_refused_connection_is_named() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(SourceError) as caught:
            fetch(FIRST, Mirror(host, threading.Event()))
    reason = os.strerror(errno.ECONNREFUSED)
    assert str(caught.value) == f"{host}: first.gz cannot be fetched: {reason}"


def test_next_mirror_continues_where_the_last_one_failed(serve: Callable[[], Mirror]) -> None:
    broken, good = serve(), serve()
    broken.answers["/second.gz"] = NOT_FOUND
    assert fetch(FILES, broken, good) == CONTENTS
    assert broken.requests == ["/first.gz", "/second.gz"]
    assert good.requests == ["/second.gz"]


def test_files_before_a_failure_are_delivered(serve: Callable[[], Mirror]) -> None:
    mirrors = [serve(), serve()]
    for mirror in mirrors:
        mirror.answers["/second.gz"] = NOT_FOUND
    delivery = fetch_from_mirrors(FILES, Progress(), urls=[mirror.url for mirror in mirrors])
    assert next(delivery) == ("first", CONTENTS["first"])
    with pytest.raises(SourceError) as caught:
        next(delivery)
    faults = [f"{mirror.host}: second.gz gives HTTP status 404" for mirror in mirrors]
    assert str(caught.value) == "; ".join(faults)


def test_torchvision_that_cannot_be_imported_is_a_failed_source(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    with pytest.raises(SourceError, match="torchvision's mirrors: cannot import torchvision"):
        next(fetch_from_mirrors(FIRST, Progress()))
