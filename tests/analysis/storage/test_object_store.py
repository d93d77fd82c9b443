import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from analysis.errors import InUseError, StorageError
from analysis.storage.folder import LOCK_FILE
from analysis.storage.object_store import ObjectAppender, StoreFolder, mask_credentials, open_store

UNREACHABLE = "s3://sweeper:a-secret@sweeps?endpoint_override=http://127.0.0.1:9"
OTHER = json.dumps({"host": "elsewhere", "pid": 7, "token": "theirs"}).encode()


def _eventually(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "it did not become true"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("s3://", "it must be s3://BUCKET/PREFIX"),
        ("s3:///prefix", "it must be s3://BUCKET/PREFIX"),
        ("ftp://host/folder", "it must be s3://BUCKET/PREFIX"),
        ("s3://bucket/prefix?endpoint=http://host", "Unexpected query parameter.* 'endpoint'"),
        ("s3://sweeper:a/secret@bucket", "must be percent-encoded, `/` as %2F"),
        ("s3://sweeper:1/secret@bucket", "must be percent-encoded, `/` as %2F"),
        ("s3://sweeper:a?secret@bucket", "must be percent-encoded, `/` as %2F"),
        ("s3://sweeper:a secret@bucket", "Cannot parse URI: "),
    ],
)
def test_invalid_uri_is_refused(uri: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        open_store(uri)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("s3://sweeper:a-secret@bucket/a?x=1", "s3://…@bucket/a?x=1"),
        ("s3://sweeper:a/secret/b@bucket/a", "s3://…@bucket/a"),
        ("s3://sweeper:a%2Fsecret@bucket", "s3://…@bucket"),
        ("s3://sweeper:a?secret@bucket", "s3://…@bucket"),
        ("s3://bucket/a?x=1@2", "s3://bucket/a?x=1@2"),
        ("cannot parse 's3://me:a/b@c' today", "cannot parse 's3://…@c' today"),
        ("/home/me@work", "/home/me@work"),
    ],
)
def test_credentials_are_masked(text: str, masked: str) -> None:
    assert mask_credentials(text) == masked


def test_folder_never_shows_its_credentials(store: StoreFolder) -> None:
    for text in (str(store), repr(store), store.storage, store.display_path("a")):
        assert "secret" not in text
    assert store.display_path("a") == f"s3://{store.path}/a"


def test_google_gives_up_earlier_than_after_a_quarter_of_an_hour() -> None:
    assert open_store("gs://bucket/prefix").uri == "gs://bucket/prefix?retry_limit_seconds=20"
    chosen = "gs://bucket/prefix?retry_limit_seconds=5"
    assert open_store(chosen).uri == chosen


def test_store_that_does_not_answer_is_a_storage_error() -> None:
    with pytest.raises(StorageError, match="the object store says NETWORK_CONNECTION") as caught:
        open_store(UNREACHABLE).read("a")
    assert caught.value.filename == "s3://sweeps/a"
    assert "secret" not in str(caught.value)


def test_error_of_the_store_names_the_object_and_no_credentials(s3: str) -> None:
    missing = open_store(s3.replace("@sweeps", "@elsewhere").replace("a-secret", "a%2Fsecret"))
    assert missing.folders() == []
    with pytest.raises(StorageError, match="s3://elsewhere/a") as caught:
        missing.write("a", b"x")
    assert "secret" not in str(caught.value)


def test_lines_reach_the_store_after_a_while_or_at_once_or_at_the_end(
    store: StoreFolder,
) -> None:
    with closing(store.append_to("lines")) as appender:
        appender.write_line(b"one\n")
        assert not store.exists("lines")
        appender.write_line(b"two\n", at_once=True)
        _eventually(lambda: store.exists("lines") and store.read("lines") == b"one\ntwo\n")
        appender.write_line(b"three\n")
    with closing(ObjectAppender(store, "lines", every_s=0.05)) as appender:
        appender.write_line(b"four\n")
        _eventually(lambda: store.read("lines") == b"one\ntwo\nthree\nfour\n")


class Flaky(StoreFolder):
    """A store that refuses to write while `refuses` is set."""

    refuses = False

    def write(self, name: str, data: bytes) -> None:
        if Flaky.refuses:
            raise StorageError("refused")
        super().write(name, data)


@pytest.fixture
def flaky(store: StoreFolder) -> Iterator[Flaky]:
    yield Flaky(store.path, store.uri)
    Flaky.refuses = False


def test_refused_lines_are_an_error_of_the_next_line_and_are_written_later(flaky: Flaky) -> None:
    appender = ObjectAppender(flaky, "lines", every_s=0.05)
    Flaky.refuses = True
    appender.write_line(b"one\n")
    _eventually(lambda: appender._error is not None)
    with pytest.raises(StorageError, match="refused"):
        appender.write_line(b"not written\n")
    Flaky.refuses = False
    _eventually(lambda: flaky.exists("lines") and appender._error is None)
    appender.write_line(b"two\n")
    appender.close()
    assert flaky.read("lines") == b"one\ntwo\n"


def test_refused_last_lines_are_an_error_of_close(flaky: Flaky) -> None:
    appender = flaky.append_to("lines")
    appender.write_line(b"one\n")
    Flaky.refuses = True
    with pytest.raises(StorageError, match="refused"):
        appender.close()


@pytest.mark.usefixtures("hurried")
def test_owner_learns_that_another_process_has_taken_the_lock_over(store: StoreFolder) -> None:
    with store.lock() as check:
        store.write(LOCK_FILE, OTHER)
        time.sleep(1)
        with pytest.raises(InUseError, match="process 7 on elsewhere"):
            check()
    assert store.read(LOCK_FILE) == OTHER


def test_of_two_processes_that_begin_together_the_last_to_write_has_the_lock(
    store: StoreFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: store.write(LOCK_FILE, OTHER))
    with pytest.raises(InUseError, match="process 7 on elsewhere"), store.lock():
        pass
    assert store.read(LOCK_FILE) == OTHER
