"""Sources of a data set's files: what a source is, and the check of what it delivers."""

import gzip
import hashlib
import io
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

MAX_BYTES = 50_000_000
"""More than any file has, compressed or not."""


class SourceError(Exception):
    """A source failed; the text says which, and why, in a few words."""


@dataclass(frozen=True)
class Progress:
    """Callbacks for the progress of a fetch.

    Attributes:
        message: Called with one line of text.
        transferred: Called with the bytes received so far and the bytes expected of the current
            file; 0 expected means unknown.
    """

    message: Callable[[str], None] = lambda line: None
    transferred: Callable[[int, int], None] = lambda done, total: None


Source = Callable[[Mapping[str, str], Progress], Iterator[tuple[str, bytes]]]
"""Takes names → SHA-256, yields names and contents, uncompressed and checked.

Raises SourceError when it cannot continue.
"""


def check(data: bytes, sha256: str, *, gzipped: bool = False) -> bytes:
    """Check that `data` has this SHA-256, uncompressed, and return it uncompressed.

    Raises:
        ValueError: It has not; the text continues a sentence that begins with the file's name.
    """
    if gzipped:
        try:
            with gzip.open(io.BytesIO(data)) as stream:
                data = stream.read(MAX_BYTES)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"is not a complete gzip file ({error})") from None
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise ValueError(
            f"has the wrong SHA-256: expected {sha256[:16]}…, "
            f"found {found[:16]}… ({len(data):,} bytes)"
        )
    return data
