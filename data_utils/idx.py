"""The IDX format that MNIST comes in, and the check that a file is the one expected.

Format: http://yann.lecun.com/exdb/mnist (a big-endian magic number 0x000008nn with nn
dimensions, each dimension as 32 bits, then the bytes).
"""

import gzip
import hashlib
import io
import math
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_UNSIGNED_BYTES = 0x0800


@dataclass(frozen=True)
class IdxFile:
    """One IDX file of unsigned bytes, as it must be.

    Attributes:
        name: File name, without `.gz`.
        shape: Of the array in it.
        sha256: Of the file, uncompressed, in hexadecimal.
    """

    name: str
    shape: tuple[int, ...]
    sha256: str

    @property
    def header(self) -> bytes:
        """The bytes before the values."""
        return _header(self.shape)

    @property
    def n_bytes(self) -> int:
        """Size of the file, uncompressed."""
        return len(self.header) + math.prod(self.shape)


MNIST_FILES = (
    IdxFile(
        "train-images-idx3-ubyte",
        (60_000, 28, 28),
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    IdxFile(
        "train-labels-idx1-ubyte",
        (60_000,),
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    IdxFile(
        "t10k-images-idx3-ubyte",
        (10_000, 28, 28),
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    IdxFile(
        "t10k-labels-idx1-ubyte",
        (10_000,),
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)
"""Training images, training labels, test images, test labels."""


class IdxError(Exception):
    """A file is not the one expected; the text completes a sentence that begins with its name."""


def decompress(file: IdxFile, data: bytes) -> bytes:
    """Undo gzip, reading no more than one byte over the size that `file` must have.

    Raises:
        IdxError: If `data` is not gzip, or only its beginning.
    """
    try:
        with gzip.open(io.BytesIO(data)) as unpacked:
            return unpacked.read(file.n_bytes + 1)
    except EOFError:
        raise IdxError("is a gzip file that was cut off") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise IdxError(f"is not a sound gzip file ({error})") from None


def check(file: IdxFile, data: bytes) -> None:
    """Make sure that `data` is `file`, bit for bit.

    Raises:
        IdxError: With the first difference: magic number, counts, length, SHA-256.
    """
    expected = file.header
    if data[:4] != expected[:4]:
        raise IdxError(
            f"has the wrong magic number: expected 0x{expected[:4].hex()}, "
            f"found {'0x' + data[:4].hex() if data else 'an empty file'}"
        )
    if len(data) >= len(expected) and data[: len(expected)] != expected:
        n_dimensions = len(file.shape)
        found = struct.unpack_from(f">{n_dimensions}I", data, 4)
        raise IdxError(
            f"has the wrong counts: expected {_by(file.shape)}, found {_by(found)} in its header"
        )
    if len(data) != file.n_bytes:
        found_bytes = f"{len(data):,}" if len(data) < file.n_bytes else "more"
        raise IdxError(
            f"has the wrong length: expected {file.n_bytes:,} bytes, found {found_bytes}"
        )
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != file.sha256:
        raise IdxError(
            f"has the wrong SHA-256: expected {file.sha256[:16]}…, found {sha256[:16]}…"
        )


def to_array(file: IdxFile, data: bytes) -> NDArray[np.uint8]:
    """View checked bytes as a read-only array of the file's shape."""
    return np.frombuffer(data, dtype=np.uint8, offset=len(file.header)).reshape(file.shape)


def from_array(array: NDArray[np.uint8]) -> bytes:
    """Write an array of any shape as an IDX file."""
    return _header(array.shape) + array.tobytes()


def _header(shape: tuple[int, ...]) -> bytes:
    return struct.pack(f">{len(shape) + 1}I", _UNSIGNED_BYTES | len(shape), *shape)


def _by(shape: tuple[int, ...]) -> str:
    return " × ".join(f"{n:,}" for n in shape)
