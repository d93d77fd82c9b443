import errno
import gzip
import hashlib
import os
import threading
from pathlib import Path

import pytest

from data_utils import store
from data_utils.errors import DataError
from data_utils.idx import IdxFile

DATA = bytes.fromhex("00000801 00000003 070809")
FILE = IdxFile("digits", (3,), hashlib.sha256(DATA).hexdigest())
PLACES = ["digits", "digits.gz", "MNIST/raw/digits", "MNIST/raw/digits.gz"]


def put(path: Path, data: bytes = DATA) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("place", PLACES)
def test_read_finds_every_place_and_form(tmp_path: Path, place: str) -> None:
    put(tmp_path / place)
    assert store.read(tmp_path, FILE) == DATA


def test_read_of_a_missing_file_or_folder_is_none(tmp_path: Path) -> None:
    put(tmp_path / "other")
    assert store.read(tmp_path, FILE) is None
    assert store.read(tmp_path / "nowhere", FILE) is None


@pytest.mark.parametrize("place", PLACES)
def test_read_names_the_bad_file(tmp_path: Path, place: str) -> None:
    path = put(tmp_path / place, DATA[:-1])
    with pytest.raises(store.BadFileError, match="expected 11 bytes, found 10") as caught:
        store.read(tmp_path, FILE)
    assert str(caught.value).startswith(f"{path} has the wrong length")
    assert caught.value.path == path


def test_read_of_a_folder_in_the_files_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "digits").mkdir()
    with pytest.raises(DataError, match=r"digits cannot be read \(Is a directory\)"):
        store.read(tmp_path, FILE)


def test_save_writes_under_the_name_and_leaves_nothing_else(tmp_path: Path) -> None:
    store.save(tmp_path, FILE, b"old")
    store.save(tmp_path, FILE, DATA)
    assert [path.name for path in tmp_path.iterdir()] == ["digits"]
    assert (tmp_path / "digits").read_bytes() == DATA


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.ENOSPC, "the disk is full. MNIST needs 55 MB there: make room"),
        (errno.EROFS, "cannot be written to .* Make it writable or give another folder"),
    ],
)
def test_save_that_fails_keeps_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, message: str
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    put(tmp_path / "digits", b"old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DataError, match=message):
        store.save(tmp_path, FILE, DATA)
    assert [path.name for path in tmp_path.iterdir()] == ["digits"]
    assert (tmp_path / "digits").read_bytes() == b"old"


def test_save_never_shows_half_a_file(tmp_path: Path) -> None:
    contents = [bytes([n]) * 300_000 for n in range(2)]
    store.save(tmp_path, FILE, contents[0])

    def write(data: bytes) -> None:
        for _ in range(10):
            store.save(tmp_path, FILE, data)

    writers = [threading.Thread(target=write, args=(data,)) for data in contents]
    for writer in writers:
        writer.start()
    seen = []
    while any(writer.is_alive() for writer in writers):
        seen.append((tmp_path / "digits").read_bytes())
    assert all(data in contents for data in seen)
    assert [path.name for path in tmp_path.iterdir()] == ["digits"]


def test_prepare_makes_the_folder(tmp_path: Path) -> None:
    store.prepare(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_prepare_refuses_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(DataError, match=r"cannot be written to \(Permission denied\)"):
        store.prepare(tmp_path)


def test_prepare_refuses_a_folder_below_a_file(tmp_path: Path) -> None:
    put(tmp_path / "file")
    with pytest.raises(DataError, match=r"cannot be written to \(Not a directory\)"):
        store.prepare(tmp_path / "file" / "folder")


@pytest.mark.parametrize("place", ["digits", "digits.gz"])
def test_set_aside_renames_a_bad_file(tmp_path: Path, place: str) -> None:
    path = put(tmp_path / place, b"bad")
    assert store.set_aside(store.BadFileError(path, "is bad")) == tmp_path / f"{place}.bad"
    assert [path.name for path in tmp_path.iterdir()] == [f"{place}.bad"]


@pytest.mark.parametrize("place", ["MNIST/raw/digits", "FashionMNIST/raw/digits", "raw/digits"])
def test_set_aside_leaves_torchvisions_folders_alone(tmp_path: Path, place: str) -> None:
    bad = store.BadFileError(put(tmp_path / place, b"bad"), "is bad")
    with pytest.raises(store.BadFileError) as caught:
        store.set_aside(bad)
    assert caught.value is bad
    assert bad.path.read_bytes() == b"bad"


def test_set_aside_sees_through_a_link_to_torchvisions_folder(tmp_path: Path) -> None:
    put(tmp_path / "MNIST/raw/digits", b"bad")
    (tmp_path / "data").symlink_to(tmp_path / "MNIST" / "raw")
    assert not store.is_replaceable(tmp_path / "data" / "digits")


def test_set_aside_leaves_a_read_only_folder_alone(tmp_path: Path) -> None:
    bad = store.BadFileError(put(tmp_path / "digits", b"bad"), "is bad")
    tmp_path.chmod(0o555)
    with pytest.raises(store.BadFileError):
        store.set_aside(bad)
    assert bad.path.exists()


def test_locked_lets_one_in_at_a_time(tmp_path: Path) -> None:
    waits = threading.Event()
    order = []

    def second() -> None:
        with store.locked(tmp_path, waits.set):
            order.append("second")

    thread = threading.Thread(target=second)
    with store.locked(tmp_path, lambda: order.append("nobody else is there")):
        thread.start()
        assert waits.wait(timeout=30)
        order.append("first")
    thread.join(timeout=30)
    assert order == ["first", "second"]
    assert list(tmp_path.iterdir()) == []


def test_locked_goes_on_where_there_are_no_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl")

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with store.locked(tmp_path, lambda: None):
        pass
