"""Read the files of a data set from a folder, and fetch the missing ones into it."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from data_utils.errors import DataError
from data_utils.files import BadFileError, locked, prepare, read, save, set_aside
from data_utils.sources import Progress, Source, SourceError


def read_or_fetch(
    folder: Path, files: Mapping[str, str], sources: Sequence[Source], progress: Progress
) -> dict[str, bytes]:
    """Read checked files from `folder`, which is not changed if all are there and good.

    Otherwise bad files are set aside, and missing files are fetched and saved in `folder`. If
    several processes need the same file, one fetches it and the others wait.

    Args:
        folder: Holds the files; created if necessary.
        files: Name → SHA-256.
        sources: Tried in order, each for the files still missing. If empty, nothing is fetched
            and nothing is written.
        progress: Receives the progress of the fetch.

    Returns:
        Name → uncompressed contents.

    Raises:
        DataError: A bad file may not be replaced, a file cannot be read or fetched, or `folder`
            cannot be written to.
    """
    contents = {}
    try:
        for name, sha256 in files.items():
            if (data := read(folder, name, sha256)) is not None:
                contents[name] = data
    except BadFileError as bad:
        if not sources or not bad.is_replaceable:
            raise
    if len(contents) < len(files):
        if not sources:
            by_hand = _by_hand(folder, [name for name in files if name not in contents])
            raise DataError(f"MNIST is not complete in {folder}.\n{by_hand}")
        prepare(folder)
        waiting = f"waiting for another process that is fetching into {folder}"
        with locked(folder, lambda: progress.message(waiting)):
            contents = _complete(folder, files, sources, progress)
    return contents


def _complete(
    folder: Path, files: Mapping[str, str], sources: Sequence[Source], progress: Progress
) -> dict[str, bytes]:
    """Read good files, set bad ones aside, fetch and save the rest."""
    contents = {}
    for name, sha256 in files.items():
        if (data := _read_or_set_aside(folder, name, sha256, progress)) is not None:
            contents[name] = data
    faults = []
    for fetch in sources:
        missing = {name: sha256 for name, sha256 in files.items() if name not in contents}
        if not missing:
            break
        try:
            for name, data in fetch(missing, progress):
                save(folder, name, data)
                contents[name] = data
        except SourceError as error:
            progress.message(str(error))
            faults.append(str(error))
    if len(contents) < len(files):
        by_hand = _by_hand(folder, [name for name in files if name not in contents])
        raise DataError(f"MNIST could not be fetched ({'; '.join(faults)}).\n{by_hand}")
    return contents


def _read_or_set_aside(folder: Path, name: str, sha256: str, progress: Progress) -> bytes | None:
    while True:  # a good copy may be behind a bad one
        try:
            return read(folder, name, sha256)
        except BadFileError as bad:
            aside = set_aside(bad)
            progress.message(f"{bad.path} {bad.fault}; renamed to {aside.name}")


def _by_hand(folder: Path, missing: Iterable[str]) -> str:
    return f"Put these files, with or without .gz, into {folder}: {', '.join(missing)}."
