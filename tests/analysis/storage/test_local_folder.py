import errno
import fcntl
import os
import threading
import time
from contextlib import closing
from pathlib import Path
from unittest.mock import Mock

import pytest

from analysis.errors import InUseError, StorageError
from analysis.storage.folder import LOCK_FILE
from analysis.storage.local_folder import LocalFolder
from full_disk import file_size_limit


def test_write_that_fails_keeps_the_old_file(folder):
    folder.write("config.yaml", b"old")
    with file_size_limit(3), pytest.raises(StorageError) as caught:
        folder.write("config.yaml", b"new and longer")
    assert caught.value.errno == errno.EFBIG
    assert caught.value.filename == folder.display_path("config.yaml")
    assert (folder.read("config.yaml"), folder.files()) == (b"old", ["config.yaml"])


def test_written_file_has_the_permissions_of_new_files(folder):
    previous = os.umask(0o027)
    try:
        folder.write("a" * 250, b"")  # as long as a name can be
    finally:
        os.umask(previous)
    assert (folder.path / ("a" * 250)).stat().st_mode & 0o777 == 0o640


def test_whatever_the_disk_does_not_do_is_a_storage_error(folder):
    folder.write("file", b"")
    below, nowhere = folder.child("file"), LocalFolder(Path("/proc/nowhere/sweep"))
    for attempt in (
        lambda: nowhere.write("a", b""),
        lambda: nowhere.lock().__enter__(),
        lambda: below.read("a"),
        lambda: below.write("a", b""),
        lambda: below.delete("a"),
        lambda: below.append_to("a"),
        lambda: below.lock().__enter__(),
        lambda: folder.child("x" * 300).read("a"),
    ):
        with pytest.raises(StorageError) as caught:
            attempt()
        numbers = (errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ENOENT)
        assert caught.value.errno in numbers
        assert caught.value.filename is not None


def test_lock_deletes_the_files_of_a_killed_writer(folder):
    ours = "0123456789abcdef.part"
    stale = [f".config.yaml-{ours}", f"checkpoints/.trial-0001.pt-{ours}"]
    fresh, foreign = f".new-{ours}", [".download.part", "mine.part"]
    for name in (*stale, fresh, *foreign, "checkpoints/trial-0001.pt"):
        folder.write(name, b"")
        if name != fresh:
            os.utime(folder.path / name, (0, 0))
    with folder.lock():
        assert folder.files() == sorted([LOCK_FILE, fresh, *foreign])
        assert folder.child("checkpoints").files() == ["trial-0001.pt"]


def test_lock_waits_while_its_state_is_read(folder):
    folder.write(LOCK_FILE, b"")
    with (folder.path / LOCK_FILE).open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        threading.Timer(0.2, file.close).start()
        began = time.monotonic()
        with folder.lock():
            assert time.monotonic() - began > 0.1


def test_folder_can_be_locked_on_a_full_disk(folder, monkeypatch):
    monkeypatch.setattr(os, "write", Mock(side_effect=OSError(errno.ENOSPC, "full")))
    with folder.lock(), pytest.raises(InUseError), folder.lock():
        pass


def test_file_has_one_appender_even_if_the_lock_is_deleted(folder):
    with folder.lock(), closing(folder.append_to("ledger")) as appender:
        folder.delete(LOCK_FILE)
        with (
            folder.lock(),
            pytest.raises(InUseError, match="another process is writing to .*/ledger; wait"),
        ):
            folder.append_to("ledger")
        appender.write_line(b"one\n")
    with closing(folder.append_to("ledger")) as appender:
        assert appender.contents == b"one\n"


@pytest.mark.parametrize("is_deleted", [True, False])
def test_nothing_is_appended_to_a_file_that_was_moved_or_deleted(tmp_path, is_deleted):
    folder = LocalFolder(tmp_path / "made")
    with closing(folder.append_to("ledger")) as appender:
        folder.path.rename(tmp_path / "moved")
        if not is_deleted:
            folder.write("ledger", b"another\n")
        with pytest.raises(StorageError, match="moved or deleted while the sweep was running"):
            appender.write_line(b"one\n")
    assert (tmp_path / "moved" / "ledger").read_bytes() == b""


def test_nothing_is_appended_after_a_failed_sync(folder, monkeypatch):
    def fail(handle: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with closing(folder.append_to("ledger")) as appender:
        appender.write_line(b"one\n")
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fail)
            with pytest.raises(StorageError) as caught:
                appender.write_line(b"two\n")
        assert (caught.value.errno, folder.read("ledger")) == (errno.EIO, b"one\n")
        with pytest.raises(StorageError):
            appender.write_line(b"three\n")
    with closing(folder.append_to("ledger")) as appender:
        appender.write_line(b"four\n")
    assert folder.read("ledger") == b"one\nfour\n"
