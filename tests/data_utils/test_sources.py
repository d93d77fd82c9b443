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

from data_utils.idx import IdxFile, from_array, to_array
from data_utils.progress import SILENT, Progress
from data_utils.sources import Mirrors, SourceError


def idx_file(name: str, *values: int) -> tuple[IdxFile, bytes]:
    data = bytes.fromhex("00000801") + len(values).to_bytes(4, "big") + bytes(values)
    return IdxFile(name, (len(values),), hashlib.sha256(data).hexdigest()), data


FIRST, FIRST_DATA = idx_file("first", 1, 2, 3)
SECOND, SECOND_DATA = idx_file("second", 4, 5)
CONTENTS = {"/first.gz": gzip.compress(FIRST_DATA), "/second.gz": gzip.compress(SECOND_DATA)}


@dataclass
class Mirror:
    """A mirror on this machine; `answers` overrides what a path is answered with."""

    host: str
    released: threading.Event
    answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{self.host}/"

    def hang(self, handler: BaseHTTPRequestHandler) -> None:
        self.released.wait(timeout=60)

    def hang_midway(self, handler: BaseHTTPRequestHandler) -> None:
        send(b"half", n_announced=8)(handler)
        self.released.wait(timeout=60)


def send(
    body: bytes, n_announced: int | None = None, status: int = 200
) -> Callable[[BaseHTTPRequestHandler], None]:
    """Answer with `body`; announce its length, another length, or (-1) none."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        n_bytes = len(body) if n_announced is None else n_announced
        if n_bytes >= 0:
            handler.send_header("Content-Length", str(n_bytes))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


@pytest.fixture
def serve() -> Iterator[Callable[[], Mirror]]:
    servers = []
    released = threading.Event()

    def start() -> Mirror:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.requests.append(self.path)
                if self.path in mirror.answers:
                    mirror.answers[self.path](self)
                elif self.path in CONTENTS:
                    send(CONTENTS[self.path])(self)
                else:
                    send(b"", status=404)(self)

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


def fetch(source: Mirrors, *files: IdxFile) -> dict[str, bytes]:
    return {file.name: data for file, data in source.fetch(files, SILENT)}


def test_mirrors_deliver_the_files_asked_for(serve: Callable[[], Mirror]) -> None:
    mirror = serve()
    assert fetch(Mirrors([mirror.url]), SECOND) == {"second": SECOND_DATA}
    assert mirror.requests == ["/second.gz"]
    assert fetch(Mirrors([mirror.url]), FIRST, SECOND) == {
        "first": FIRST_DATA,
        "second": SECOND_DATA,
    }


def test_mirrors_report_files_and_bytes(serve: Callable[[], Mirror]) -> None:
    mirror = serve()
    mirror.answers["/second.gz"] = send(CONTENTS["/second.gz"], n_announced=-1)
    lines: list[str] = []
    n_bytes: list[tuple[int, int]] = []
    progress = Progress(lines.append, lambda done, total: n_bytes.append((done, total)))
    assert len(list(Mirrors([mirror.url]).fetch([FIRST, SECOND], progress))) == 2
    assert lines == [f"fetching first from {mirror.host}", f"fetching second from {mirror.host}"]
    n_first, n_second = (len(packed) for packed in CONTENTS.values())
    assert n_bytes == [(n_first, n_first), (n_second, 0)]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (send(b"", status=404), "first.gz: HTTP status 404"),
        (send(b"", status=503), "first.gz: HTTP status 503"),
        (send(b"half", n_announced=8), "first.gz was cut off after 4 of 8 bytes"),
        (send(CONTENTS["/first.gz"][:-4]), "first.gz is a gzip file that was cut off"),
        (send(b"<html>"), "first.gz is not a sound gzip file (Not a gzipped file (b'<h'))"),
        (send(CONTENTS["/second.gz"]), "first.gz has the wrong counts: expected 3, found 2"),
        (
            send(gzip.compress(from_array(to_array(FIRST, FIRST_DATA)[::-1]))),
            f"first.gz has the wrong SHA-256: expected {FIRST.sha256[:16]}…",
        ),
        (send(bytes(200_000)), "first.gz is larger than it may be"),
    ],
)
def test_mirrors_say_what_is_wrong_with_a_file(
    serve: Callable[[], Mirror], answer: Callable[[BaseHTTPRequestHandler], None], reason: str
) -> None:
    mirror = serve()
    mirror.answers["/first.gz"] = answer
    with pytest.raises(SourceError) as caught:
        fetch(Mirrors([mirror.url]), FIRST)
    assert str(caught.value).startswith(f"{mirror.host}: {reason}")


def test_mirrors_do_not_wait_for_an_answer(serve: Callable[[], Mirror]) -> None:
    mirror = serve()
    mirror.answers["/first.gz"] = mirror.hang
    with pytest.raises(SourceError, match=r"no answer within 0.1 s"):
        fetch(Mirrors([mirror.url], connect_timeout_s=0.1), FIRST, SECOND)
    assert mirror.requests == ["/first.gz"]


def test_mirrors_do_not_wait_for_the_rest_of_a_file(serve: Callable[[], Mirror]) -> None:
    mirror = serve()
    mirror.answers["/first.gz"] = mirror.hang_midway
    with pytest.raises(SourceError, match=r"first.gz: nothing received for 0.1 s"):
        fetch(Mirrors([mirror.url], connect_timeout_s=30, read_timeout_s=0.1), FIRST)


def test_mirrors_name_a_refused_connection() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(SourceError) as caught:
            fetch(Mirrors([f"http://{host}/"]), FIRST)
    assert str(caught.value) == f"{host}: {os.strerror(errno.ECONNREFUSED)}"


def test_mirrors_go_on_where_the_last_one_gave_up(serve: Callable[[], Mirror]) -> None:
    broken, sound = serve(), serve()
    broken.answers["/second.gz"] = send(b"", status=404)
    contents = fetch(Mirrors([broken.url, sound.url]), FIRST, SECOND)
    assert contents == {"first": FIRST_DATA, "second": SECOND_DATA}
    assert broken.requests == ["/first.gz", "/second.gz"]
    assert sound.requests == ["/second.gz"]


def test_mirrors_keep_what_came_before_a_failure(serve: Callable[[], Mirror]) -> None:
    mirrors = [serve(), serve()]
    for mirror in mirrors:
        mirror.answers["/second.gz"] = send(b"", status=404)
    delivery = Mirrors([mirror.url for mirror in mirrors]).fetch([FIRST, SECOND], SILENT)
    assert next(delivery) == (FIRST, FIRST_DATA)
    with pytest.raises(SourceError) as caught:
        next(delivery)
    faults = [f"{mirror.host}: second.gz: HTTP status 404" for mirror in mirrors]
    assert str(caught.value) == "; ".join(faults)


def test_mirrors_are_torchvisions_by_default(
    serve: Callable[[], Mirror], monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import MNIST

    mirror = serve()
    monkeypatch.setattr(MNIST, "mirrors", [mirror.url])
    assert fetch(Mirrors(), FIRST) == {"first": FIRST_DATA}


def test_mirrors_survive_a_torchvision_that_cannot_be_imported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    with pytest.raises(SourceError, match="torchvision's mirrors: cannot import torchvision"):
        fetch(Mirrors(), FIRST)
