import errno
import gzip
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from data_utils.errors import DataError
from data_utils.fetching import read_or_fetch
from data_utils.sources import Progress, SourceError

CONTENTS = {"a": b"1", "b": b"22", "c": b"333"}
FILES = {name: hashlib.sha256(data).hexdigest() for name, data in CONTENTS.items()}


@dataclass
class Supply:
    """A source that has some of the files and records which ones it was asked for."""

    names: str
    fault: str = "out of stock"
    asked: list[str] = field(default_factory=list)

    def __call__(
        self, files: Mapping[str, str], progress: Progress
    ) -> Iterator[tuple[str, bytes]]:
        self.asked.append("".join(files))
        for name in files:
            if name not in self.names:
                raise SourceError(self.fault)
            yield name, CONTENTS[name]


def load(folder: Path, *sources: Supply, lines: list[str] | None = None) -> dict[str, bytes]:
    return read_or_fetch(folder, FILES, sources, Progress(([] if lines is None else lines).append))


def fill(folder: Path, names: str = "abc", **changed: bytes) -> None:
    """Write files; `changed` gives some of them other contents."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes((CONTENTS | changed)[name])


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file under a folder: contents and time of change."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(p.relative_to(folder)): (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("path", ["", "MNIST/raw"])
def test_complete_folder_is_not_changed(tmp_path, path, ending):
    fill(tmp_path / path)
    if ending:
        (tmp_path / path / "b").unlink()
        (tmp_path / path / "b.gz").write_bytes(gzip.compress(CONTENTS["b"]))
    before = state(tmp_path)
    supply = Supply("abc")
    assert load(tmp_path, supply) == CONTENTS
    assert supply.asked == []
    assert state(tmp_path) == before
    if path:  # a good copy behind a bad one
        (tmp_path / "b").write_bytes(b"bad")
        assert load(tmp_path, supply) == CONTENTS
        assert supply.asked == []


def test_fetched_files_are_saved_in_a_new_folder(tmp_path):
    folder = tmp_path / "new" / "mnist"
    assert load(folder, Supply("abc")) == CONTENTS
    assert load(folder) == CONTENTS
    assert sorted(state(folder)) == list(FILES)


def test_each_source_is_asked_only_for_missing_files(tmp_path):
    fill(tmp_path / "MNIST/raw", "a")
    first, second = Supply("b"), Supply("abc")
    assert load(tmp_path, first, second) == CONTENTS
    assert (first.asked, second.asked) == (["bc"], ["c"])
    assert sorted(state(tmp_path)) == ["MNIST/raw/a", "b", "c"]


def test_error_names_the_failure_of_every_source_and_the_missing_files(tmp_path):
    lines: list[str] = []
    sources = [Supply("ab", "mirror: no answer"), Supply("", "index: not found")]
    with pytest.raises(DataError) as caught:
        load(tmp_path, *sources, lines=lines)
    assert str(caught.value) == (
        "MNIST could not be downloaded (mirror: no answer; index: not found).\n"
        f"Put these files, with or without .gz, into {tmp_path}: c."
    )
    assert lines == ["mirror: no answer", "index: not found"]
    assert sorted(state(tmp_path)) == ["a", "b"]  # kept for the next attempt


@pytest.mark.parametrize("data", [b"", b"2", b"222", b"23"])
def test_bad_file_is_set_aside(tmp_path, data):
    fill(tmp_path, b=data)
    lines: list[str] = []
    supply = Supply("abc")
    assert load(tmp_path, supply, lines=lines) == CONTENTS
    assert supply.asked == ["b"]
    assert sorted(state(tmp_path)) == ["a", "b", "b.bad", "c"]
    assert (tmp_path / "b.bad").read_bytes() == data
    assert lines == [
        f"{tmp_path / 'b'} has the wrong SHA-256: expected {FILES['b'][:16]}…, "
        f"found {hashlib.sha256(data).hexdigest()[:16]}… ({len(data)} bytes); renamed to b.bad"
    ]


@pytest.mark.parametrize("n_lost", [1, 8, 12])
def test_incomplete_gzip_file_is_bad(tmp_path, n_lost):
    fill(tmp_path, "ac")
    (tmp_path / "b.gz").write_bytes(gzip.compress(CONTENTS["b"])[:-n_lost])
    with pytest.raises(
        DataError, match="b.gz is not a complete gzip file .* Delete it, replace it"
    ):
        load(tmp_path)
    assert load(tmp_path, Supply("b")) == CONTENTS
    assert sorted(state(tmp_path)) == ["a", "b", "b.gz.bad", "c"]


@pytest.mark.parametrize("given", ["", "MNIST/raw", "link"])
def test_torchvisions_bad_file_is_never_changed(tmp_path, given):
    fill(tmp_path / "MNIST/raw", b=b"bad")
    (tmp_path / "link").symlink_to(tmp_path / "MNIST/raw")
    before = state(tmp_path)
    supply = Supply("abc")
    with pytest.raises(DataError, match="b has the wrong SHA-256"):
        load(tmp_path / given, supply)
    assert state(tmp_path) == before
    assert supply.asked == []


@pytest.mark.parametrize(
    ("names", "complaint"),
    [("abc", "b has the wrong SHA-256"), ("ac", r"cannot be written to \(Permission denied\)")],
)
def test_read_only_folder_is_never_changed(tmp_path, names, complaint):
    fill(tmp_path, names, b=b"bad")
    before = state(tmp_path)
    tmp_path.chmod(0o555)
    supply = Supply("abc")
    with pytest.raises(DataError, match=complaint):
        load(tmp_path, supply)
    assert state(tmp_path) == before
    assert supply.asked == []


def test_nothing_is_written_without_sources(tmp_path):
    folder = tmp_path / "mnist"
    with pytest.raises(DataError) as caught:
        load(folder)
    assert str(caught.value) == (
        f"MNIST is not complete in {folder}.\n"
        f"Put these files, with or without .gz, into {folder}: a, b, c."
    )
    assert not folder.exists()
    fill(folder, b=b"bad")
    with pytest.raises(DataError, match="wrong SHA-256"):
        load(folder)
    assert sorted(state(folder)) == ["a", "b", "c"]


def test_unusable_paths_are_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot be written to \(Not a directory\)"):
        load(tmp_path / "file" / "folder", Supply("abc"))
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match=r"a cannot be read \(Is a directory\)"):
        load(tmp_path, Supply("abc"))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.ENOSPC, "is on a full disk. Free some space or choose another"),
        (errno.EROFS, "cannot be written to .* Make it writable or choose another folder"),
    ],
)
def test_failed_write_leaves_nothing_behind(tmp_path, monkeypatch, code, message):
    def fail(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DataError, match=message):
        load(tmp_path, Supply("abc"))
    assert list(tmp_path.iterdir()) == []
