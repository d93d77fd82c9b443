import io
import os
import resource
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from analysis.storage.appending import FileAppender


@contextmanager
def file_size_limit(n_bytes: int) -> Iterator[None]:
    """A disk that takes no file beyond `n_bytes`: what does not fit is cut, then refused."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_writer_begins_a_file_and_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "lines.jsonl"
    with closing(FileAppender(path)) as writer:
        writer.write_line(b"one\n")
        writer.write_line(b"two\n")
    assert path.read_bytes() == b"one\ntwo\n"


def test_writer_goes_on_where_the_last_whole_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b"one\ntw")
    with closing(FileAppender(path, torn=2)) as writer:
        assert path.read_bytes() == b"one\n"
        writer.write_line(b"two\n")
    assert path.read_bytes() == b"one\ntwo\n"


def test_line_is_whole_in_the_file_when_it_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lines.jsonl"
    synced: list[bytes] = []
    with closing(FileAppender(path)) as writer:
        monkeypatch.setattr(os, "fsync", lambda handle: synced.append(path.read_bytes()))
        writer.write_line(b"one\n")
        writer.write_line(b"two\n")
    assert synced == [b"one\n", b"one\ntwo\n"]


def test_full_disk_leaves_what_was_there_and_later_lines_fit(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    with closing(FileAppender(path)) as writer:
        writer.write_line(b"one\n")
        with file_size_limit(7), pytest.raises(OSError, match="3 of 4 bytes") as raised:
            writer.write_line(b"two\n")
        assert raised.value.filename == str(path)
        assert path.read_bytes() == b"one\n"
        writer.write_line(b"three\n")
    assert path.read_bytes() == b"one\nthree\n"


def test_part_of_a_line_that_could_not_be_taken_back_goes_before_the_next(
    tmp_path: Path,
) -> None:
    path = tmp_path / "lines.jsonl"

    class Stubborn(io.FileIO):
        broken = True

        def truncate(self, size: int | None = None) -> int:
            if self.broken:
                raise OSError("no")
            return super().truncate(size)

    with closing(FileAppender(path)) as writer:
        writer.write_line(b"one\n")
        writer._file.close()
        writer._file = stubborn = Stubborn(path, "ab")
        with file_size_limit(7), pytest.raises(OSError, match="3 of 4 bytes"):
            writer.write_line(b"two\n")
        assert path.read_bytes() == b"one\ntwo"
        with pytest.raises(OSError, match="no"):
            writer.write_line(b"three\n")
        stubborn.broken = False
        writer.write_line(b"four\n")
    assert path.read_bytes() == b"one\nfour\n"
