"""Mirrors of a data set's files on the web."""

from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPException, HTTPResponse
from queue import Empty, SimpleQueue
from threading import Thread
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from data_utils.sources import MAX_BYTES, Progress, SourceError, check

_CHUNK_BYTES = 1 << 16


def mirror_urls() -> list[str]:
    """Return the addresses of torchvision's MNIST mirrors.

    Raises:
        SourceError: torchvision cannot be imported.
    """
    try:
        from torchvision.datasets import MNIST  # takes seconds, and is rarely needed
    except (ImportError, OSError, RuntimeError) as error:
        raise SourceError(f"torchvision's mirrors: cannot import torchvision ({error})") from None
    return list(MNIST.mirrors)


def fetch_from_mirrors(
    files: Mapping[str, str],
    progress: Progress,
    *,
    urls: Sequence[str] | None = None,
    connect_timeout_s: float = 3.0,
    read_timeout_s: float = 15.0,
) -> Iterator[tuple[str, bytes]]:
    """Download `.gz` files from mirrors in order; each continues where the last one failed.

    torchvision's own `download_url` is not used: it has no time-outs and prints its progress.

    Args:
        files: Name → SHA-256, uncompressed.
        progress: Receives the progress.
        urls: Addresses, each ending in a slash; None: torchvision's mirrors.
        connect_timeout_s: Time until the answer begins, including name look-up and all addresses
            of the host. It is short because some firewalls drop packets.
        read_timeout_s: Longest pause within a file.

    Raises:
        SourceError: No mirror delivered the next file.
    """
    missing = dict(files)
    faults = []
    for url in mirror_urls() if urls is None else urls:
        host = urlsplit(url).netloc
        try:
            for name, sha256 in list(missing.items()):
                progress.message(f"fetching {name} from {host}")
                answer = _request(f"{url}{name}.gz", connect_timeout_s, read_timeout_s)
                yield name, check(_receive(answer, progress), sha256, gzipped=True)
                del missing[name]
        except (OSError, HTTPException, ValueError) as error:
            faults.append(f"{host}: {name}.gz {_in_words(error)}")
        else:
            return
    raise SourceError("; ".join(faults) or "no mirrors are known")


def _request(url: str, connect_timeout_s: float, read_timeout_s: float) -> HTTPResponse:
    # In a thread, because urlopen's time-out applies to each address of a host separately, and
    # not to name look-up.
    answers: SimpleQueue[HTTPResponse | Exception] = SimpleQueue()

    def ask() -> None:
        try:
            answers.put(urlopen(url, timeout=read_timeout_s))
        except Exception as error:
            answers.put(error)

    Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=connect_timeout_s)
    except Empty:
        raise TimeoutError(f"no answer within {connect_timeout_s:g} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _receive(answer: HTTPResponse, progress: Progress) -> bytes:
    """Return the body, if it is as long as announced and not longer than possible."""
    received = bytearray()
    with answer:
        n_expected = int(answer.headers.get("Content-Length", 0))
        while chunk := answer.read(_CHUNK_BYTES):
            received += chunk
            progress.transferred(len(received), n_expected)
            if len(received) > MAX_BYTES:
                raise ValueError("is too large")
    if len(received) < n_expected:
        raise ValueError(f"was cut off after {len(received):,} of {n_expected:,} bytes")
    return bytes(received)


def _in_words(error: Exception) -> str:
    """Return the reason, to follow the file's name."""
    if isinstance(error, ValueError):
        return str(error)
    if isinstance(error, HTTPError):
        error.close()
        return f"gives HTTP status {error.code}"
    reason = error.reason if isinstance(error, URLError) else error
    text = str(getattr(reason, "strerror", None) or reason)
    return f"cannot be fetched: {text or type(reason).__name__}"
