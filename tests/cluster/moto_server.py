"""An S3 server at the address given, which fails as standard input says.

It refuses connections between `stop` and `start`, and requests between `forbid` and `allow`. It
keeps what it holds meanwhile. One bucket is there from the start.
"""

import sys
import urllib.request
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler
from moto.server import ThreadedMotoServer

ip, port, bucket = sys.argv[1], int(sys.argv[2]), sys.argv[3]
MotoRequestHandler.protocol_version = "HTTP/1.0"  # no connection survives its request
answer_usually = DomainDispatcherApplication.__call__
is_forbidden = False


def answer(
    app: DomainDispatcherApplication, request: Any, start: Callable[..., Any]
) -> Iterable[bytes]:
    if not is_forbidden:
        return answer_usually(app, request, start)
    request["wsgi.input"].read(int(request.get("CONTENT_LENGTH") or 0))
    start("403 Forbidden", [("Content-Type", "application/xml")])
    return [b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"]


DomainDispatcherApplication.__call__ = answer
server = ThreadedMotoServer(ip, port, verbose=False)
server.start()
urllib.request.urlopen(
    urllib.request.Request(f"http://{ip}:{port}/{bucket}", method="PUT")
).close()
print("up", flush=True)

for command in sys.stdin:
    match command:
        case "stop\n":
            server.stop()
        case "start\n":
            server.start()
        case _:
            is_forbidden = command == "forbid\n"
    print("done", flush=True)
