"""Reads a dataset's files from a folder, and downloads missing ones into it.

A folder named `raw` is torchvision's (such as `MNIST/raw` under its root) and belongs to the user.
Missing files are added to it if it is the given folder, but no file in it is replaced.
"""

import errno
import fcntl
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from data_utils.errors import DataError
from data_utils.sources import Progress, Source, SourceError, check

_RAW = "raw"


class _BadFileError(DataError):
    """A file in the folder has the wrong contents."""

    def __init__(self, path: Path, fault: str) -> None:
        super().__init__(
            f"{path} {fault}. Delete it, replace it with a good copy, or choose another folder "
            "with --data."
        )
        self.path = path
        self.fault = fault
        folder = path.parent.resolve()
        self.is_replaceable = folder.name != _RAW and not _is_read_only(folder)


def read_or_fetch(
    folder: Path,
    files: Mapping[str, str],
    sources: Sequence[Source],
    progress: Progress,
    *,
    title: str = "MNIST",
) -> dict[str, bytes]:
    """Read checked files from `folder`, which is not changed if all are there and good.

    Otherwise bad files are set aside, and missing files are fetched and saved in `folder`. If
    several processes need the same file, one fetches it and the others wait.

    Args:
        folder: Created if necessary.
        files: Name → SHA-256 of the uncompressed file, or MD5 of a file that stays as it is.
        sources: Tried in order, each for the files still missing. If empty, nothing is fetched
            and nothing is written.
        progress: Receives the steps.
        title: Name of the dataset, and of its folder in torchvision's layout.

    Returns:
        Name → contents, uncompressed if the file has a SHA-256.

    Raises:
        DataError: A bad file cannot be replaced, a file cannot be read or fetched, or `folder`
            cannot be written to.
    """
    contents, reason = dict[str, bytes](), f"{title} is not complete in {folder}"
    folders = (folder, folder / title / _RAW)
    try:
        contents = _read_all(folders, files)
    except _BadFileError as bad:
        if not sources or not bad.is_replaceable:
            raise
    if sources and len(contents) < len(files):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if _is_read_only(folder):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            with _locked(folder, progress):
                contents, faults = _complete(folders, files, sources, progress)
            reason = f"{title} could not be downloaded ({'; '.join(faults)})"
        except OSError as error:
            text = f"cannot be written to ({error.strerror}). Make it writable or"
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                text = "is on a full disk. Free some space or"
            raise DataError(f"{folder} {text} choose another folder with --data.") from None
    missing = ", ".join(name for name in files if name not in contents)
    if missing:
        form = "" if ".gz" in missing else ", with or without .gz,"
        advice = f"Put these files{form} into {folder}: {missing}."
        raise DataError(f"{reason}.\n{advice}")
    return contents


def _complete(
    folders: tuple[Path, Path],
    files: Mapping[str, str],
    sources: Sequence[Source],
    progress: Progress,
) -> tuple[dict[str, bytes], list[str]]:
    """Read good files, set bad ones aside, fetch and save the rest; return why sources failed."""
    contents, faults = _read_good(folders, files, progress), []
    for fetch in sources:
        missing = {name: digest for name, digest in files.items() if name not in contents}
        if not missing:
            break
        try:
            for name, data in fetch(missing, progress):
                _save(folders[0], name, data)
                contents[name] = data
        except SourceError as error:
            progress.message(str(error))
            faults.append(str(error))
    return contents, faults


def _read_good(
    folders: tuple[Path, Path], files: Mapping[str, str], progress: Progress
) -> dict[str, bytes]:
    """Read the files that are there; rename bad ones to `NAME.bad` and look for other copies."""
    while True:
        try:
            return _read_all(folders, files)
        except _BadFileError as bad:
            if not bad.is_replaceable:
                raise
            aside = bad.path.with_name(f"{bad.path.name}.bad")
            try:
                bad.path.replace(aside)
            except OSError:
                raise bad from None
            progress.message(f"{bad.path} {bad.fault}; renamed to {aside.name}")


def _read_all(folders: tuple[Path, Path], files: Mapping[str, str]) -> dict[str, bytes]:
    """Read and check the files that are there, plain or `.gz`, in one of two folders."""
    found = {name: _read(folders, name, digest) for name, digest in files.items()}
    return {name: data for name, data in found.items() if data is not None}


def _read(folders: tuple[Path, Path], name: str, digest: str) -> bytes | None:
    for directory in folders:
        for path in (directory / name, directory / f"{name}.gz"):
            try:
                return check(path.read_bytes(), digest, gzipped=path.name != name)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise DataError(
                    f"{path} cannot be read ({error.strerror}). "
                    "Make it readable or choose another folder with --data."
                ) from None
            except ValueError as error:
                raise _BadFileError(path, str(error)) from None
    return None


def _save(folder: Path, name: str, data: bytes) -> None:
    """Write checked contents atomically: a reader sees the complete file or none."""
    unfinished = folder / f".{name}.{secrets.token_hex(4)}.tmp"
    try:
        with unfinished.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(folder / name)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path, progress: Progress) -> Iterator[None]:
    """Let one process at a time fetch into `folder`.

    The lock ends with its process. On a file system without locks every process fetches for
    itself, which is safe because files are written atomically.
    """
    descriptor = os.open(folder, os.O_RDONLY)  # locking the folder itself leaves no file behind
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.message(f"waiting for another process that is downloading into {folder}")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            pass  # NFS, for example, does not lock folders
        yield
    finally:
        os.close(descriptor)


def _is_read_only(folder: Path) -> bool:
    # The mode too, because root can write everywhere but should not here.
    return not os.access(folder, os.W_OK) or not folder.stat().st_mode & 0o222
