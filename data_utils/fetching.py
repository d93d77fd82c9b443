"""The files of a data set, from the folder they are in or the first source that has them."""

from collections.abc import Sequence
from pathlib import Path

from data_utils import store
from data_utils.errors import DataError
from data_utils.idx import IdxFile
from data_utils.progress import Progress
from data_utils.sources import Source, SourceError


def read_or_fetch(
    folder: Path, files: Sequence[IdxFile], sources: Sequence[Source], progress: Progress
) -> list[bytes]:
    """Read checked files from `folder`, which is left alone if they are all there and good.

    Otherwise bad files are set aside, and the missing ones are fetched and kept in `folder`.
    Of several processes that find something missing, one fetches and the others wait for it.

    Args:
        folder: Where the files are, or are to be.
        files: What is wanted.
        sources: Tried in order, each for what the earlier ones have not delivered. None at
            all: nothing is fetched and nothing is written.
        progress: Where the fetch reports to.

    Returns:
        The contents, uncompressed, in the order of `files`.

    Raises:
        DataError: If a file is bad and the user's, or can be neither found nor fetched, or
            `folder` cannot be written to.
    """
    try:
        found = [store.read(folder, file) for file in files]
    except store.BadFileError as bad:
        if not sources or not store.is_replaceable(bad.path):
            raise
    else:
        contents = [data for data in found if data is not None]
        if len(contents) == len(files):
            return contents
        if not sources:
            missing = [file for file, data in zip(files, found, strict=True) if data is None]
            raise DataError(f"MNIST is not complete in {folder}.\n{_by_hand(folder, missing)}")
    store.prepare(folder)

    def say_waiting() -> None:
        progress.message(f"waiting for another process that is fetching into {folder}")

    with store.locked(folder, say_waiting):
        return _complete(folder, files, sources, progress)


def _complete(
    folder: Path, files: Sequence[IdxFile], sources: Sequence[Source], progress: Progress
) -> list[bytes]:
    """Read what is good, set aside what is bad, fetch and keep the rest."""
    contents: dict[IdxFile, bytes] = {}
    for file in files:
        data = _read_or_set_aside(folder, file, progress)
        if data is not None:
            contents[file] = data
    faults = []
    for source in sources:
        missing = [file for file in files if file not in contents]
        if not missing:
            break
        try:
            for file, data in source.fetch(missing, progress):
                store.save(folder, file, data)
                contents[file] = data
        except SourceError as error:
            progress.message(str(error))
            faults.append(str(error))
    missing = [file for file in files if file not in contents]
    if missing:
        raise DataError(
            f"MNIST could not be fetched ({'; '.join(faults)}).\n{_by_hand(folder, missing)}"
        )
    return [contents[file] for file in files]


def _read_or_set_aside(folder: Path, file: IdxFile, progress: Progress) -> bytes | None:
    while True:
        try:
            return store.read(folder, file)
        except store.BadFileError as bad:
            aside = store.set_aside(bad)
            progress.message(f"{bad.path} {bad.fault}; it is now {aside.name}")


def _by_hand(folder: Path, missing: Sequence[IdxFile]) -> str:
    *most, last = [file.name for file in missing]
    names = f"{', '.join(most)} and {last}" if most else last
    return f"Get {names} (with or without .gz) by other means and put it all into {folder}."
