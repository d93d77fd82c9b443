"""The files of a data set: their checksums, and the folder that holds them.

A folder named `raw` is torchvision's (`MNIST/raw` under its root) and belongs to the user. If it
is the folder given, missing files are added to it, but nothing in it is ever replaced.
"""

import errno
import gzip
import hashlib
import io
import os
import secrets
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from data_utils.errors import DataError

_TORCHVISION = Path("MNIST", "raw")

MAX_BYTES = 50_000_000
"""More than any file has, compressed or not."""


class BadFileError(DataError):
    """A file in the folder has the wrong contents."""

    def __init__(self, path: Path, fault: str) -> None:
        super().__init__(
            f"{path} {fault}. Delete it, put a good copy in its place, or give another folder."
        )
        self.path = path
        self.fault = fault

    @property
    def is_replaceable(self) -> bool:
        """Whether the file can be renamed: not torchvision's, not in a read-only folder."""
        folder = self.path.parent.resolve()
        return folder.name != _TORCHVISION.name and not _is_read_only(folder)


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


def read(folder: Path, name: str, sha256: str) -> bytes | None:
    """Read and check a file, plain or `.gz`, in `folder` or in `MNIST/raw` under it.

    Returns:
        The uncompressed contents, or None if the file is in neither.

    Raises:
        BadFileError: The first file found has the wrong contents.
        DataError: The file cannot be read.
    """
    for directory in (folder, folder / _TORCHVISION):
        for path in (directory / name, directory / f"{name}.gz"):
            try:
                return check(path.read_bytes(), sha256, gzipped=path.suffix == ".gz")
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise DataError(
                    f"{path} cannot be read ({error.strerror}). "
                    "Make it readable or give another folder."
                ) from None
            except ValueError as error:
                raise BadFileError(path, str(error)) from None
    return None


def prepare(folder: Path) -> None:
    """Create `folder` if necessary, and check that it is not read-only.

    Raises:
        DataError: The folder cannot be created or is read-only.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if _is_read_only(folder):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise _unwritable(folder, error) from None


def save(folder: Path, name: str, data: bytes) -> None:
    """Write checked contents atomically: a reader sees the complete file or none.

    Raises:
        DataError: The disk is full, or the folder cannot be written to.
    """
    unfinished = folder / f".{name}.{secrets.token_hex(4)}.tmp"
    try:
        try:
            with unfinished.open("xb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            unfinished.replace(folder / name)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from None


def set_aside(bad: BadFileError) -> Path:
    """Rename a bad file to `NAME.bad` and return that path.

    Raises:
        BadFileError: The same, if the file must not or cannot be renamed.
    """
    aside = bad.path.with_name(f"{bad.path.name}.bad")
    try:
        if bad.is_replaceable:
            return bad.path.replace(aside)
    except OSError:
        pass
    raise bad


@contextmanager
def locked(folder: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Let one process at a time fetch into `folder`. Call `on_wait` before waiting for another.

    The lock ends with its process. On systems and file systems without such locks every process
    fetches for itself, which is safe because files are written atomically.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)  # locking the folder itself leaves no file behind
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            pass  # NFS, for example, does not lock folders
        yield
    finally:
        os.close(descriptor)


def _is_read_only(folder: Path) -> bool:
    # The mode too, because root can write everywhere but should not here.
    return not os.access(folder, os.W_OK) or not folder.stat().st_mode & 0o222


def _unwritable(folder: Path, error: OSError) -> DataError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DataError(
            f"{folder}: the disk is full. MNIST needs 55 MB: free some space or give another "
            "folder."
        )
    return DataError(
        f"{folder} cannot be written to ({error.strerror}). Make it writable or give another "
        "folder."
    )
