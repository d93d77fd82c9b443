"""A mirror of files on this machine, and the answers that it gives."""

import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[BaseHTTPRequestHandler], None]


class _Handler(BaseHTTPRequestHandler):
    server: "Mirror"

    def do_GET(self) -> None:
        files = self.server.files
        self.server.requests.append(self.path)
        default = send(files[self.path]) if self.path in files else NOT_FOUND
        self.server.answers.get(self.path, default)(self)

    def log_message(self, *_: object) -> None:
        pass


class Mirror(ThreadingHTTPServer):
    """Serves files by path within a `with` block; `answers` replaces its answer to a path."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.host = f"127.0.0.1:{self.server_port}"
        self.files = files
        self.answers: dict[str, Answer] = {}
        self.requests: list[str] = []
        self.released = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def hang(self, handler: BaseHTTPRequestHandler, *, midway: bool = False) -> None:
        if midway:
            send(b"half", n_announced=8)(handler)
        self.released.wait(timeout=60)

    def __exit__(self, *exception: object) -> None:
        self.released.set()
        self.shutdown()
        self.server_close()


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
