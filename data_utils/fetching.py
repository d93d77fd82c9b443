"""Reads a dataset's files from a folder, and downloads missing ones into it.

A folder named `raw` is torchvision's (such as `MNIST/raw` under its root) and belongs to the user.
Missing files are added to it if it is the given folder, but no file in it is replaced.
"""

import errno
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from data_utils.errors import DataError
from data_utils.sources import Progress, Source, SourceError, check

_RAW = "raw"


def read_or_fetch(
    folder: Path,
    files: Mapping[str, str],
    sources: Sequence[Source],
    progress: Progress,
    *,
    title: str = "MNIST",
) -> dict[str, bytes]:
    """Read checked files from `folder`; fetch missing and bad ones and save them there.

    Bad files are renamed to `NAME.bad`.

    Args:
        folder: Created if necessary. Files can also be in torchvision's layout below it.
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
    contents: dict[str, bytes] = {}
    faults: list[str] = []
    folders, replacing = (folder, folder / title / _RAW), progress if sources else None
    for name, digest in files.items():
        if (found := _read(folders, name, digest, replacing)) is not None:
            contents[name] = found
    for fetch in sources:
        missing = {name: digest for name, digest in files.items() if name not in contents}
        if not missing:
            break
        try:
            _make_writable(folder)
            for name, data in fetch(missing, progress):
                _save(folder, name, data)
                contents[name] = data
        except SourceError as error:
            progress.message(str(error))
            faults.append(str(error))
        except OSError as error:
            text = f"cannot be written to ({error.strerror}). Make it writable or"
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                text = "is on a full disk. Free some space or"
            raise DataError(f"{folder} {text} choose another folder with --data.") from None
    if absent := ", ".join(name for name in files if name not in contents):
        reason = f"{title} is not complete in {folder}"
        if faults:
            reason = f"{title} could not be downloaded ({'; '.join(faults)})"
        form = "" if ".gz" in absent else ", with or without .gz,"
        raise DataError(f"{reason}.\nPut these files{form} into {folder}: {absent}.")
    return contents


def _read(
    folders: Sequence[Path], name: str, digest: str, replacing: Progress | None
) -> bytes | None:
    """Read and check a file, plain or `.gz`, in one of some folders; set bad ones aside.

    Without `replacing`, or where a bad one must stay, it is a DataError.
    """
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
                if replacing is None or not _set_aside(path):
                    raise DataError(
                        f"{path} {error}. Delete it, replace it with a good copy, or choose "
                        "another folder with --data."
                    ) from None
                replacing.message(f"{path} {error}; renamed to {path.name}.bad")
    return None


def _set_aside(path: Path) -> bool:
    """Rename a bad file to `NAME.bad`; return whether that is allowed."""
    if path.parent.resolve().name == _RAW:
        return False
    try:
        _make_writable(path.parent)
        path.replace(path.with_name(f"{path.name}.bad"))
    except OSError:
        return False
    return True


def _make_writable(folder: Path) -> None:
    """Create a folder if necessary; OSError if it must not be written to."""
    folder.mkdir(parents=True, exist_ok=True)
    # The mode too, because root can write everywhere but should not here.
    if not os.access(folder, os.W_OK) or not folder.stat().st_mode & 0o222:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


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
