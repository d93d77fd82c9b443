"""An S3 server at the address given, which goes down and comes up as standard input says.

It keeps what it holds meanwhile. One bucket is there from the start.
"""

import sys
import urllib.request

from moto.moto_server.werkzeug_app import MotoRequestHandler
from moto.server import ThreadedMotoServer

ip, port, bucket = sys.argv[1], int(sys.argv[2]), sys.argv[3]
MotoRequestHandler.protocol_version = "HTTP/1.0"  # no connection survives its request
server = ThreadedMotoServer(ip, port, verbose=False)
server.start()
urllib.request.urlopen(
    urllib.request.Request(f"http://{ip}:{port}/{bucket}", method="PUT")
).close()
print("up", flush=True)

for command in sys.stdin:
    if command == "stop\n":
        server.stop()
    else:
        server.start()
    print("done", flush=True)
