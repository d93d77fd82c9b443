"""The folder that holds the files: finding, reading, replacing, never half-written.

A folder called `raw` is torchvision's (`MNIST/raw` under its root) and belongs to the user:
missing files may be added where it is the folder given, but nothing in it is ever replaced.
"""

import errno
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from data_utils.errors import DataError
from data_utils.idx import IdxError, IdxFile, check, decompress

_TORCHVISION = Path("MNIST", "raw")


class BadFileError(DataError):
    """A file that is there is not the one expected."""

    def __init__(self, path: Path, fault: str) -> None:
        super().__init__(
            f"{path} {fault}. Delete it, put a good copy in its place, or give another folder."
        )
        self.path = path
        self.fault = fault


def read(folder: Path, file: IdxFile) -> bytes | None:
    """Read and check one file, plain or `.gz`, in `folder` or in torchvision's layout under it.

    Returns:
        The file's bytes, uncompressed, or None if it is in neither place.

    Raises:
        BadFileError: If the first that is found is not the file expected.
        DataError: If it cannot be read.
    """
    for directory in (folder, folder / _TORCHVISION):
        for name in (file.name, f"{file.name}.gz"):
            path = directory / name
            data = _contents(path)
            if data is None:
                continue
            try:
                if path.suffix == ".gz":
                    data = decompress(file, data)
                check(file, data)
            except IdxError as error:
                raise BadFileError(path, str(error)) from None
            return data
    return None


def prepare(folder: Path) -> None:
    """Make `folder` ready to be written to.

    Raises:
        DataError: If it cannot be made or is read-only.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from None
    if _is_read_only(folder):
        raise _unwritable(folder, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def save(folder: Path, file: IdxFile, data: bytes) -> None:
    """Write checked bytes under the file's name, so that a reader sees all of them or none.

    Raises:
        DataError: If the disk is full or the folder cannot be written to.
    """
    unfinished = folder / f".{file.name}.{secrets.token_hex(4)}.tmp"
    try:
        try:
            with unfinished.open("xb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            unfinished.replace(folder / file.name)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from None


def is_replaceable(path: Path) -> bool:
    """Whether a bad file may be renamed: it is neither torchvision's nor in a read-only folder."""
    directory = path.parent.resolve()
    return directory.name != _TORCHVISION.name and not _is_read_only(directory)


def set_aside(bad: BadFileError) -> Path:
    """Rename a bad file to `NAME.bad` and return that path.

    Raises:
        BadFileError: The same, if the file is not replaceable or cannot be renamed.
    """
    if not is_replaceable(bad.path):
        raise bad
    aside = bad.path.with_name(f"{bad.path.name}.bad")
    try:
        bad.path.replace(aside)
    except OSError:
        raise bad from None
    return aside


@contextmanager
def locked(folder: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Let one process at a time fetch into `folder`; `on_wait` is called if it is not the first.

    Where the system or the file system has no such locks every process fetches for itself,
    which `save` keeps harmless. The lock ends with its process, however that ends.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl

    # The lock is on the folder itself: it leaves no file behind.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            # NFS, for one, refuses a lock on a folder.
            pass
        yield
    finally:
        os.close(descriptor)


def _contents(path: Path) -> bytes | None:
    """All bytes of a file, or None where there is none."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}). Mend it or give another folder."
        ) from None


def _is_read_only(folder: Path) -> bool:
    # The mode as well, because root may write everywhere and should not here.
    return not os.access(folder, os.W_OK) or not folder.stat().st_mode & 0o222


def _unwritable(folder: Path, error: OSError) -> DataError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DataError(
            f"{folder}: the disk is full. MNIST needs 55 MB there: make room or give another "
            f"folder."
        )
    return DataError(
        f"{folder} cannot be written to ({error.strerror}). Make it writable or give another "
        f"folder."
    )
