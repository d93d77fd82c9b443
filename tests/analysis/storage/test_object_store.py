import contextlib
import errno
import json
import pickle
import time
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any
from unittest.mock import Mock

import pytest
from obstore.exceptions import GenericError, PreconditionError

from analysis.errors import InUseError, StorageError
from analysis.storage import object_store
from analysis.storage.connection import connect, mask_credentials
from analysis.storage.folder import LOCK_FILE, ChangedError
from analysis.storage.lease import Version
from analysis.storage.object_store import ObjectAppender, StoreFolder, open_store, repeat
from waiting import wait_until

UNREACHABLE = "s3://sweeper:a-secret@sweeps?endpoint_override=http://127.0.0.1:9"
OTHER = json.dumps({"host": "elsewhere", "pid": 7, "token": "theirs"}).encode()


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("s3://", "it must be s3://BUCKET/PREFIX"),
        ("s3:///prefix", "it must be s3://BUCKET/PREFIX"),
        ("ftp://host/folder", "it must be s3://BUCKET/PREFIX"),
        (
            "s3://bucket/prefix?endpoint=http://host",
            "s3:// URI allows only endpoint_override, region, scheme, but got endpoint",
        ),
        ("s3://sweeper:a/secret@bucket", "must be percent-encoded, `/` as %2F"),
        ("s3://sweeper:1/secret@bucket", "must be percent-encoded, `/` as %2F"),
        ("s3://sweeper:a?secret@bucket", "must be percent-encoded, `/` as %2F"),
        ("gs://bucket:8080/a", "must be percent-encoded"),
        ("gs://bucket/a?x=1", "a gs:// URI has no query, but got x"),
        (
            "s3://me:secret@b?endpoint_override=http://",
            "must be http://HOST:PORT, but got http://",
        ),
        ("s3://me:secret@b?endpoint_override=http://host:99999", "Port out of range"),
        ("s3://me:secret@b/a?endpoint_override=", "must be http://HOST:PORT, but got "),
        ("s3://me:secret@b/run#1?endpoint_override=http://host", "`#` must be written as %23"),
        ("s3://me:secret@b/a/../b", "must not contain `..`"),
        ("s3://me:secret@b/a%00b", "must not contain `..` or control characters"),
    ],
)
def test_invalid_uri_is_refused(uri, message):
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
def test_credentials_are_masked(text, masked):
    assert mask_credentials(text) == masked


def test_folder_never_shows_its_credentials(store):
    for text in (str(store), repr(store), store.storage, store.display_path("a")):
        assert "secret" not in text
    assert store.display_path("a") == f"s3://{store.path}/a"


def test_store_that_does_not_answer_is_a_storage_error():
    with pytest.raises(StorageError, match="the object store does not answer") as caught:
        open_store(UNREACHABLE).read("a")
    assert caught.value.filename == "s3://sweeps/a"
    assert "secret" not in str(caught.value)


def test_error_of_the_store_names_the_object_and_no_credentials(s3):
    missing = open_store(s3.replace("@sweeps", "@elsewhere").replace("a-secret", "a%2Fsecret"))
    for attempt in (lambda: missing.write("a", b"x"), missing.files):
        with pytest.raises(StorageError, match=r"NoSuchBucket: .*s3://elsewhere") as caught:
            attempt()
        assert "secret" not in str(caught.value)


def test_error_of_azure_is_one_line(monkeypatch):
    said = r"Generic: <Code>ContainerNotFound</Code><Message>It is gone.\nRequestId:1</Message>"
    client = Mock(get=Mock(side_effect=GenericError(said)))
    monkeypatch.setattr(object_store, "connect", lambda uri: client)
    with pytest.raises(StorageError, match=r"says ContainerNotFound: It is gone\.: 'az://c/a'$"):
        StoreFolder(PurePosixPath("c"), "az://c").read("a")


@pytest.mark.parametrize("source", ["environment", "file"])
def test_credentials_come_from_the_environment_or_the_user_s_configuration(
    store, source, tmp_path, monkeypatch
):
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    uri = store.uri.replace("sweeper:a-secret@", "") + f"&region=eu-{source}"
    with pytest.raises(StorageError, match="there are no credentials for s3://sweeps: set AWS_"):
        open_store(uri)
    if source == "file":
        file.write_text("[default]\naws_access_key_id = me\naws_secret_access_key = my-own\n")
    else:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "me")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "my-own")
    open_store(uri).write("a", b"1")
    client: Any = connect(uri)
    assert client.credential_provider()["access_key_id"] == "me"


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"AWS_PROFILE": "nobody"}, r"profile \(nobody\) could not be found"),
        ({"AWS_ACCESS_KEY_ID": "me"}, "missing: AWS_SECRET_ACCESS_KEY"),
        ({"AWS_CONFIG_FILE": __file__}, "Unable to parse config file"),
    ],
)
def test_configuration_that_cannot_be_used_is_refused(variables, message, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=message):
        open_store("s3://bucket/of-a-test?endpoint_override=http://127.0.0.1:9")


def test_lines_reach_the_store_after_a_while_or_at_once_or_at_the_end(store, monkeypatch):
    store.write("lines", b"")
    store.write("obsolete", b"")
    with closing(store.append_to("lines")) as appender:
        appender.write_line(b"one\n")
        assert b"one" not in store.read("lines")
        appender.write_line(b"two\n", at_once=True)
        wait_until(lambda: store.read("lines") == b"one\ntwo\n", 10)
        appender.write_line(b"three\n")
        appender.delete_when_safe(["obsolete"])
        assert store.exists("obsolete")  # until the line before is in the store
    assert not store.exists("obsolete")
    monkeypatch.setattr(object_store, "_REPLACE_EVERY_S", 0.05)
    with closing(store.append_to("lines")) as appender:
        appender.write_line(b"four\n")
        wait_until(lambda: store.read("lines") == b"one\ntwo\nthree\nfour\n", 10)


def test_appender_cannot_write_over_a_later_one(store):
    earlier = ObjectAppender(store, "lines")
    earlier.write_line(b"one\n")
    earlier.flush()
    with closing(store.append_to("lines")) as later:
        earlier.write_line(b"lost\n")
        for _ in range(2):  # before and after the later one writes
            with pytest.raises(InUseError, match="another process has written to s3://"):
                earlier.close()
            later.write_line(b"two\n")
    assert store.read("lines") == b"one\ntwo\ntwo\n"


@dataclass
class Unreliable:
    """A client of a store that loses requests or answers, or does not know conditions.

    A lost `request` is the next of any kind, all others are the next put. A `repeated` put is one
    whose answer was lost, so that the client sent it again; with a `conflict` the store refuses it
    for no reason.
    """

    client: Any
    lost: list[str] = field(default_factory=list)
    knows_conditions: bool = True

    def put(self, path: str, data: bytes, **given: Any) -> Any:
        if not self.knows_conditions:
            given.clear()
        lost = self.lost.pop(0) if self.lost else ""
        if lost == "conflict":
            raise PreconditionError(path)
        if lost == "repeated":
            self.client.put(path, data, **given)
        if lost != "request":
            answer = self.client.put(path, data, **given)
        if lost in ("request", "answer"):
            raise TimeoutError("no answer")
        return answer

    def __getattr__(self, name: str) -> Any:
        if self.lost[:1] == ["request"]:
            del self.lost[0]
            raise TimeoutError("no answer")
        return getattr(self.client, name)


@dataclass(frozen=True)
class UnreliableFolder(StoreFolder):
    unreliable: Unreliable | None = None

    @property
    def client(self) -> Any:
        return self.unreliable


@pytest.fixture
def client(store: StoreFolder) -> Unreliable:
    return Unreliable(store.client)


@pytest.fixture
def unreliable(store: StoreFolder, client: Unreliable) -> UnreliableFolder:
    return UnreliableFolder(store.path, store.uri, unreliable=client)


def test_refused_lines_are_an_error_of_the_next_line_and_are_written_at_the_end(
    unreliable, client, monkeypatch
):
    monkeypatch.setattr(object_store, "_REPLACE_EVERY_S", 0.05)
    appender = unreliable.append_to("lines")
    wait_until(lambda: not appender._is_behind, 10)
    client.lost = ["request"]
    appender.write_line(b"one\n", at_once=True)
    wait_until(lambda: appender._error is not None, 10)
    with pytest.raises(StorageError, match="no answer"):
        appender.write_line(b"not written\n")
    appender.close()
    assert unreliable.read("lines") == b"one\n"
    appender = unreliable.append_to("lines")
    client.lost = ["request", "request"]
    with pytest.raises(StorageError, match="no answer"):
        appender.close()


@pytest.mark.usefixtures("hurried")
def test_lost_answers_are_no_other_process(unreliable, client):
    with unreliable.lock() as locked:
        client.lost = ["answer"]
        with pytest.raises(StorageError):
            locked.lease.beat()
        locked.lease.beat()
        appender = ObjectAppender(locked, "lines")
        appender.write_line(b"one\n")
        client.lost = ["answer"]
        with pytest.raises(StorageError):
            appender.flush()
        appender.write_line(b"two\n")
        appender.close()
    assert unreliable.read("lines") == b"one\ntwo\n"


@pytest.mark.parametrize("kind", ["repeated", "conflict"])
@pytest.mark.usefixtures("hurried")
def test_put_that_is_refused_without_need_is_no_other_process(unreliable, client, kind):
    client.lost = ["repeated"]  # the check whether the store knows conditions
    with unreliable.lock() as locked:
        appender = ObjectAppender(locked, "lines")
        appender.write_line(b"one\n")
        client.lost = [kind]
        appender.close()
    assert unreliable.read("lines") == b"one\n"


def test_driver_notices_that_its_object_was_deleted(unreliable):
    with unreliable.lock() as locked:
        appender = locked.append_to("lines")
        appender.write_line(b"one\n")
        appender.flush()
        unreliable.delete("lines")
        appender.write_line(b"two\n")
        for act in (appender.flush, appender.close):
            with pytest.raises(StorageError, match="moved or deleted while the sweep was running"):
                act()


def test_driver_whose_sweep_was_deleted_says_so(unreliable):
    said = "was moved or deleted while the sweep was running"
    lock = unreliable.lock()
    locked = lock.__enter__()
    for name in locked.files():
        locked.delete(name)
    with pytest.raises(InUseError, match=said):
        locked.lease.beat()
    with pytest.raises(InUseError, match=said):
        lock.__exit__(None, None, None)


def test_driver_waits_for_a_store_that_does_not_answer(store, unreliable, client, monkeypatch):
    monkeypatch.setattr(object_store, "_RETRY_EVERY_S", 0.05)
    with unreliable.lock() as locked, closing(locked.append_to("lines")) as appender:
        client.lost = ["request", "answer"]
        appender.write_line(b"one\n", at_once=True)
        wait_until(lambda: store.read("lines") == b"one\n" and not client.lost, 10)
        appender.write_line(b"two\n")
        worker = pickle.loads(pickle.dumps(replace(locked, unreliable=None)))
        for request in (
            lambda: locked.write("a", b"1"),
            lambda: replace(worker, unreliable=client).replace("b", b"1", None),
            lambda: locked.exists("a"),
            locked.files,
            lambda: locked.delete("a"),
            lambda: locked.append_to("other lines").close(),
        ):
            client.lost = ["request"]
            request()
            assert not client.lost
        client.lost = ["request"]
    assert store.read("lines") == b"one\ntwo\n"


def test_request_in_which_the_process_was_suspended_is_made_again():
    error = StorageError(errno.ETIMEDOUT, "the store does not answer", "x")
    unanswered = [error, error]

    def request() -> str:
        if unanswered:
            time.sleep(0.02)  # longer than the patience
            raise unanswered.pop()
        return "answer"

    with pytest.raises(StorageError):
        repeat(request, 0.0)
    assert repeat(request, 0.01) == "answer"


def test_store_without_conditions_is_refused(unreliable, client):
    client.knows_conditions = False
    with pytest.raises(StorageError, match="ignores conditions"), unreliable.lock():
        pass
    assert unreliable.files() == []


@pytest.mark.usefixtures("hurried")
def test_driver_that_has_lost_the_lock_changes_nothing(store):
    message = "^process 7 on elsewhere has taken over s3://.*; nothing that is recorded"
    store.write("obsolete", b"")
    with contextlib.ExitStack() as stack:
        stack.enter_context(pytest.raises(InUseError, match=message))  # at the end, again
        locked = stack.enter_context(store.lock())
        appender = locked.append_to("lines")
        appender.write_line(b"one\n", at_once=True)
        wait_until(lambda: store.read("lines") == b"one\n", 10)
        store.write(LOCK_FILE, OTHER)
        appender.write_line(b"lost\n")
        appender.delete_when_safe(["obsolete"])
        for attempt in (
            appender.close,
            lambda: locked.write("a", b""),
            lambda: locked.child("a").write("b", b""),
            lambda: locked.delete("lines"),
            locked.check_lock,
        ):
            time.sleep(0.5)
            with pytest.raises(InUseError, match=message):
                attempt()
    assert (store.read("lines"), store.read(LOCK_FILE)) == (b"one\n", OTHER)
    assert store.files() == [LOCK_FILE, "lines", "obsolete"]


def test_prefix_may_be_percent_encoded(s3):
    store = open_store(s3.replace("@sweeps", "@sweeps/my%20runs"))
    store.write("a", b"1")
    assert str(store) == "s3://sweeps/my runs"
    assert store.files() == ["a"]
    assert open_store(s3).child("my runs").read("a") == b"1"


def test_file_is_replaced_only_in_the_version_that_was_read(store):
    first = store.replace("a", b"1", None)
    second = store.replace("a", b"2", first)
    for version in (None, first, Version({"e_tag": "other"})):
        with pytest.raises(ChangedError):
            store.replace("a", b"3", version)
    data, version = store.read_version("a")
    assert (data, version.tags) == (b"2", second.tags)
    store.delete("a")
    with pytest.raises(ChangedError):
        store.replace("a", b"3", second)


def test_lock_does_not_travel_to_other_processes(store):
    with store.lock() as locked:
        assert pickle.loads(pickle.dumps(locked)).lease is None
        assert replace(locked, path=locked.path / "a").lease is locked.lease
    released = json.loads(store.read(LOCK_FILE))
    assert released["released"]
    assert not store.is_locked()
