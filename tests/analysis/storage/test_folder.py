import errno
import os
from pathlib import Path

import pytest

from analysis.storage.folder import LocalFolder


def test_write_is_read_back(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path).child("sweep")
    folder.write("predictions/a.npz", b"\x00\xff")
    assert folder.read("predictions/a.npz") == b"\x00\xff"
    assert folder.exists("predictions/a.npz")
    assert folder.local_path("predictions/a.npz") == tmp_path / "sweep" / "predictions" / "a.npz"
    assert str(folder) == str(tmp_path / "sweep")


def test_write_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    folder.write("config.yaml", b"old and longer")
    folder.write("config.yaml", b"new")
    assert folder.read("config.yaml") == b"new"
    assert folder.files() == ["config.yaml"]


def test_write_that_fails_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = LocalFolder(tmp_path)
    folder.write("config.yaml", b"old")

    def refuse(handle: int) -> None:
        raise OSError(errno.EIO, "disk gone")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="disk gone") as raised:
        folder.write("config.yaml", b"new")
    assert raised.value.filename == str(tmp_path / "config.yaml")
    assert folder.read("config.yaml") == b"old"
    assert folder.files() == ["config.yaml"]


def test_write_takes_the_place_of_a_file_only_when_all_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = LocalFolder(tmp_path)
    folder.write("a", b"old")
    seen: list[bytes] = []
    monkeypatch.setattr(os, "fsync", lambda handle: seen.append(folder.read("a")))
    folder.write("a", b"new")
    assert seen == [b"old"]
    assert folder.read("a") == b"new"


def test_written_file_may_be_read_by_those_who_may_read_new_files(tmp_path: Path) -> None:
    previous = os.umask(0o027)
    try:
        LocalFolder(tmp_path).write("a", b"")
    finally:
        os.umask(previous)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_long_names_can_be_written(tmp_path: Path) -> None:
    name = "a" * 250
    LocalFolder(tmp_path).write(name, b"x")
    assert LocalFolder(tmp_path).files() == [name]


def test_listings_are_sorted_and_apart(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    for name in ("b", "a"):
        folder.write(name, b"")
        folder.write(f"folder-{name}/x", b"")
    assert folder.files() == ["a", "b"]
    assert folder.folders() == ["folder-a", "folder-b"]
    assert not folder.exists("folder-a")


def test_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path / "nowhere")
    assert folder.files() == []
    assert folder.folders() == []
    assert not folder.exists("a")
    with pytest.raises(FileNotFoundError):
        folder.read("a")
    with pytest.raises(FileNotFoundError):
        next(folder.lines("a"))


def test_delete_of_what_is_not_there_is_fine(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    folder.write("a", b"")
    folder.delete("a")
    folder.delete("a")
    assert folder.files() == []


def test_lines_keep_their_ends(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    folder.write("a", b"one\n\r\x0b two\n\nthree")
    assert list(folder.lines("a")) == [b"one\n", b"\r\x0b two\n", b"\n", b"three"]
