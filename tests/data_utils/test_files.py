import errno
import gzip
import hashlib
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_utils.errors import DataError
from data_utils.files import BadFileError, check, locked, prepare, read, save, set_aside

DATA = bytes.fromhex("00000801 00000003 070809")
SHA256 = hashlib.sha256(DATA).hexdigest()
PATHS = ["digits", "digits.gz", "MNIST/raw/digits", "MNIST/raw/digits.gz"]


def write(path: Path, data: bytes = DATA) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_check_finds_any_changed_byte(position: int, difference: int) -> None:
    changed = bytearray(DATA)
    changed[position] ^= difference
    with pytest.raises(ValueError, match="has the wrong SHA-256"):
        check(bytes(changed), SHA256)


@pytest.mark.parametrize("packed", [DATA, gzip.compress(DATA)[:-1], gzip.compress(DATA)[:-12]])
def test_check_refuses_incomplete_gzip(packed: bytes) -> None:
    with pytest.raises(ValueError, match="is not a complete gzip file"):
        check(packed, SHA256, gzipped=True)


@pytest.mark.parametrize("path", PATHS)
def test_read_finds_every_path_and_form(tmp_path: Path, path: str) -> None:
    write(tmp_path / path)
    assert read(tmp_path, "digits", SHA256) == DATA


def test_read_of_a_missing_file_or_folder_is_none(tmp_path: Path) -> None:
    write(tmp_path / "other")
    assert read(tmp_path, "digits", SHA256) is None
    assert read(tmp_path / "nowhere", "digits", SHA256) is None


@pytest.mark.parametrize("path", PATHS)
def test_read_names_the_bad_file(tmp_path: Path, path: str) -> None:
    bad = write(tmp_path / path, DATA[:-1])
    with pytest.raises(BadFileError) as caught:
        read(tmp_path, "digits", SHA256)
    assert str(caught.value).startswith(
        f"{bad} has the wrong SHA-256: expected {SHA256[:16]}…, found "
    )
    assert "(10 bytes). Delete it, put a good copy in its place, or" in str(caught.value)


def test_read_of_a_directory_with_the_files_name_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "digits").mkdir()
    with pytest.raises(DataError, match=r"digits cannot be read \(Is a directory\)"):
        read(tmp_path, "digits", SHA256)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.ENOSPC, "the disk is full. MNIST needs 55 MB: free some space or give another"),
        (errno.EROFS, "cannot be written to .* Make it writable or give another folder"),
    ],
)
def test_save_that_fails_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, message: str
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    write(tmp_path / "digits", b"old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DataError, match=message):
        save(tmp_path, "digits", DATA)
    assert [path.name for path in tmp_path.iterdir()] == ["digits"]
    assert (tmp_path / "digits").read_bytes() == b"old"


def test_save_never_shows_half_a_file(tmp_path: Path) -> None:
    contents = [bytes([n]) * 300_000 for n in range(2)]
    save(tmp_path, "digits", contents[0])

    def save_repeatedly(data: bytes) -> None:
        for _ in range(10):
            save(tmp_path, "digits", data)

    writers = [threading.Thread(target=save_repeatedly, args=(data,)) for data in contents]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert (tmp_path / "digits").read_bytes() in contents
    assert [path.name for path in tmp_path.iterdir()] == ["digits"]


def test_prepare_creates_the_folder_or_says_why_not(tmp_path: Path) -> None:
    prepare(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    write(tmp_path / "file")
    with pytest.raises(DataError, match=r"cannot be written to \(Not a directory\)"):
        prepare(tmp_path / "file" / "folder")
    tmp_path.chmod(0o555)
    with pytest.raises(DataError, match=r"cannot be written to \(Permission denied\)"):
        prepare(tmp_path)


@pytest.mark.parametrize("name", ["digits", "digits.gz"])
def test_set_aside_renames_a_bad_file(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, b"bad")
    assert set_aside(BadFileError(path, "is bad")) == tmp_path / f"{name}.bad"
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.bad"]


@pytest.mark.parametrize("path", ["MNIST/raw/digits", "FashionMNIST/raw/digits", "link/digits"])
def test_set_aside_leaves_torchvisions_folders_alone(tmp_path: Path, path: str) -> None:
    write(tmp_path / "MNIST/raw/digits", b"bad")
    (tmp_path / "link").symlink_to(tmp_path / "MNIST/raw")
    bad = BadFileError(write(tmp_path / path, b"bad"), "is bad")
    with pytest.raises(BadFileError):
        set_aside(bad)
    assert bad.path.read_bytes() == b"bad"


def test_set_aside_leaves_a_read_only_folder_alone(tmp_path: Path) -> None:
    bad = BadFileError(write(tmp_path / "digits", b"bad"), "is bad")
    tmp_path.chmod(0o555)
    with pytest.raises(BadFileError):
        set_aside(bad)
    assert bad.path.exists()


def test_locked_admits_one_at_a_time(tmp_path: Path) -> None:
    waits = threading.Event()
    order = []

    def second() -> None:
        with locked(tmp_path, waits.set):
            order.append("second")

    thread = threading.Thread(target=second)
    with locked(tmp_path, lambda: order.append("waiting without reason")):
        thread.start()
        assert waits.wait(timeout=30)
        order.append("first")
    thread.join(timeout=30)
    assert order == ["first", "second"]
    assert list(tmp_path.iterdir()) == []


def test_locked_continues_on_a_file_system_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl")

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locked(tmp_path, lambda: None):
        pass
