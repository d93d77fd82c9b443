"""Where the files can be fetched from: the interface, and mirrors on the web."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from threading import Thread
from typing import Protocol
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from data_utils.idx import IdxError, IdxFile, check, decompress
from data_utils.progress import Progress

_CHUNK_BYTES = 1 << 16


class SourceError(Exception):
    """A source has not delivered; the text says which, and why, in a few words."""


class Source(Protocol):
    """Something that may have the files."""

    def fetch(
        self, files: Sequence[IdxFile], progress: Progress
    ) -> Iterator[tuple[IdxFile, bytes]]:
        """Deliver files one by one, each uncompressed and checked.

        Raises:
            SourceError: When it cannot go on; what it has delivered before is good.
        """
        ...


@dataclass(frozen=True)
class Mirrors:
    """Web folders of `.gz` files, tried in order; each goes on where the last one gave up.

    Attributes:
        urls: Addresses, each ending in a slash; None is torchvision's own list.
        connect_timeout_s: Until the answer begins, name look-up and all addresses of the host
            included. It is short because some firewalls drop packets instead of refusing them.
        read_timeout_s: Longest silence in the middle of a file.
    """

    urls: Sequence[str] | None = None
    connect_timeout_s: float = 3.0
    read_timeout_s: float = 15.0

    def addresses(self) -> Sequence[str]:
        """Returns the folders' addresses."""
        return _torchvision_urls() if self.urls is None else self.urls

    def fetch(
        self, files: Sequence[IdxFile], progress: Progress
    ) -> Iterator[tuple[IdxFile, bytes]]:
        """Deliver files as `Source.fetch` does."""
        missing = list(files)
        faults = []
        for url in self.addresses():
            host = urlsplit(url).netloc
            try:
                while missing:
                    progress.message(f"fetching {missing[0].name} from {host}")
                    yield missing[0], self._get(url, missing[0], progress)
                    del missing[0]
            except SourceError as error:
                faults.append(f"{host}: {error}")
            else:
                return
        raise SourceError("; ".join(faults) or "no mirrors are known")

    def _get(self, url: str, file: IdxFile, progress: Progress) -> bytes:
        """One file, uncompressed and checked."""
        name = f"{file.name}.gz"
        try:
            with self._open(url + name) as response:
                packed = _receive(response, file, progress)
            data = decompress(file, packed)
            check(file, data)
        except HTTPError as error:
            error.close()
            raise SourceError(f"{name}: HTTP status {error.code}") from None
        except TimeoutError:
            raise SourceError(f"{name}: nothing received for {self.read_timeout_s:g} s") from None
        except (OSError, HTTPException, ValueError) as error:
            raise SourceError(_in_words(error)) from None
        except IdxError as error:
            raise SourceError(f"{name} {error}") from None
        return data

    def _open(self, url: str) -> HTTPResponse:
        # In a thread, because urlopen's time-out holds for each address of a host anew and not
        # at all for looking up its name.
        answer: Future[HTTPResponse] = Future()

        def ask() -> None:
            try:
                answer.set_result(urlopen(url, timeout=self.read_timeout_s))
            except Exception as error:
                answer.set_exception(error)

        Thread(target=ask, daemon=True).start()
        try:
            answer.exception(timeout=self.connect_timeout_s)
        except TimeoutError:
            answer.add_done_callback(_discard)
            raise SourceError(f"no answer within {self.connect_timeout_s:g} s") from None
        return answer.result()


def _torchvision_urls() -> list[str]:
    try:
        # Here, because the import takes seconds and is rarely needed.
        from torchvision.datasets import MNIST
    except (ImportError, OSError, RuntimeError) as error:
        raise SourceError(f"torchvision's mirrors: cannot import torchvision ({error})") from None
    return list(MNIST.mirrors)


def _receive(response: HTTPResponse, file: IdxFile, progress: Progress) -> bytes:
    """The body, if it is as long as announced and no longer than gzip can make it."""
    n_expected = int(response.headers.get("Content-Length", 0))
    received = bytearray()
    while chunk := response.read(_CHUNK_BYTES):
        received += chunk
        progress.transferred(len(received), n_expected)
        if len(received) > file.n_bytes + _CHUNK_BYTES:
            raise SourceError(f"{file.name}.gz is larger than it may be")
    if len(received) < n_expected:
        raise SourceError(
            f"{file.name}.gz was cut off after {len(received):,} of {n_expected:,} bytes"
        )
    return bytes(received)


def _discard(answer: Future[HTTPResponse]) -> None:
    """Close what arrives after nobody waits for it."""
    error = answer.exception()
    if error is None:
        answer.result().close()
    elif isinstance(error, HTTPError):
        error.close()


def _in_words(error: BaseException | str) -> str:
    if isinstance(error, URLError):
        return _in_words(error.reason)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
