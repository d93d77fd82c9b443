import pickle
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from analysis.records.confirmation import read_confirmation
from analysis.records.events import FORMAT, SessionEnded, SweepCreated, TrialStarted
from analysis.records.ledger import LEDGER_FILE, LedgerWriter, read_ledger
from analysis.records.sweeps import list_sweeps, open_sweep
from analysis.storage import object_store
from analysis.storage.object_store import ObjectAppender, StoreFolder, open_store, without_secrets

NOBODY = "s3://sweeper:a-secret@sweeps?endpoint_override=http://127.0.0.1:9"


@pytest.fixture
def storage(s3: str, request: pytest.FixtureRequest) -> StoreFolder:
    """A folder of the test's own in a real S3 server."""
    return open_store(s3.replace("@sweeps", f"@sweeps/{request.node.name}"))


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects that are appended to are replaced after a moment."""
    monkeypatch.setattr(object_store, "_REPLACE_EVERY_S", 0.05)


def _eventually(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


def test_files_are_written_whole_listed_and_deleted(storage: StoreFolder) -> None:
    folder = storage.child("sweep")
    assert (folder.files(), folder.folders(), folder.exists("a")) == ([], [], False)
    folder.write("a", b"\x00old and longer")
    folder.write("a", b"new")
    folder.write("checkpoints/b.pt", b"")
    assert (folder.read("a"), folder.read("checkpoints/b.pt")) == (b"new", b"")
    assert (folder.files(), folder.folders()) == (["a"], ["checkpoints"])
    assert storage.folders() == ["sweep"]
    assert folder.exists("a")
    assert not folder.exists("checkpoints")
    assert abs(folder.modified("a") - time.time()) < 60
    folder.delete("a")
    folder.delete("a")
    assert folder.files() == []
    with pytest.raises(FileNotFoundError, match="there is no such object"):
        folder.read("a")
    with pytest.raises(FileNotFoundError):
        next(folder.lines("a"))
    with pytest.raises(FileNotFoundError):
        folder.modified("a")


def test_lines_keep_their_ends(storage: StoreFolder) -> None:
    storage.write("a", b"one\n\r\x0b two\n\nthree")
    assert list(storage.lines("a")) == [b"one\n", b"\r\x0b two\n", b"\n", b"three"]


def test_folder_travels_to_another_process_and_keeps_its_secret_from_readers(
    storage: StoreFolder,
) -> None:
    folder = storage.child("sweep")
    folder.write("a", b"here")
    assert pickle.loads(pickle.dumps(folder)).read("a") == b"here"
    assert folder.name == "sweep"
    for text in (str(folder), repr(folder), folder.place("a")):
        assert "a-secret" not in text
    assert folder.place("a") == f"s3://{folder.path}/a"


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("s3://", "it must be s3://BUCKET/PREFIX"),
        ("s3:///prefix", "it must be s3://BUCKET/PREFIX"),
        ("ftp://host/folder", "it must be s3://BUCKET/PREFIX"),
        ("s3://bucket/prefix?endpoint=http://host", "Unexpected query parameter.* 'endpoint'"),
    ],
)
def test_what_is_no_store_is_refused(uri: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        open_store(uri)


def test_secrets_are_left_out_of_a_uri() -> None:
    assert without_secrets(NOBODY) == NOBODY.replace("sweeper:a-secret", "…")
    assert without_secrets("s3://bucket/a@b?x=1@2") == "s3://bucket/a@b?x=1@2"


def test_google_is_not_asked_for_a_quarter_of_an_hour() -> None:
    assert open_store("gs://bucket/prefix").uri == "gs://bucket/prefix?retry_limit_seconds=20"
    chosen = "gs://bucket/prefix?retry_limit_seconds=5"
    assert open_store(chosen).uri == chosen


def test_store_that_does_not_answer_is_an_error_of_the_disk_s_kind() -> None:
    with pytest.raises(OSError, match="the object store says NETWORK_CONNECTION") as raised:
        open_store(NOBODY).read("a")
    assert raised.value.filename == "s3://sweeps/a"
    assert "a-secret" not in str(raised.value)


def test_bucket_that_is_not_there_is_told(s3: str) -> None:
    storage = open_store(s3.replace("@sweeps", "@elsewhere"))
    assert storage.folders() == []
    with pytest.raises(OSError, match="s3://elsewhere/a"):
        storage.write("a", b"x")


def test_lines_reach_the_store_in_a_while_at_once_and_at_the_end(
    storage: StoreFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(storage.append_to("lines")) as appender:
        appender.write_line(b"one\n")
        assert not storage.exists("lines")
        appender.flush()
        _eventually(lambda: storage.exists("lines") and storage.read("lines") == b"one\n")
        appender.write_line(b"two\n")
    assert storage.read("lines") == b"one\ntwo\n"
    monkeypatch.setattr(object_store, "_REPLACE_EVERY_S", 0.05)
    with closing(storage.append_to("lines")) as appender:
        appender.write_line(b"three\n")
        _eventually(lambda: storage.read("lines") == b"one\ntwo\nthree\n")


def test_half_written_line_is_taken_away(storage: StoreFolder) -> None:
    storage.write("lines", b"one\ntw")
    with closing(storage.append_to("lines", torn=2)) as appender:
        appender.write_line(b"22\n")
    assert storage.read("lines") == b"one\n22\n"
    storage.write("lines", b"one\ntw")
    storage.append_to("lines", torn=2).close()
    assert storage.read("lines") == b"one\n"


class Flaky(StoreFolder):
    """A store that can be told to refuse."""

    refuses = False

    def write(self, name: str, data: bytes) -> None:
        if Flaky.refuses:
            raise OSError("refused")
        super().write(name, data)


@pytest.fixture
def flaky(storage: StoreFolder) -> Iterator[Flaky]:
    yield Flaky(storage.uri, storage.path)
    Flaky.refuses = False


@pytest.mark.usefixtures("hurried")
def test_store_that_refuses_is_told_with_the_next_line_and_gets_all_when_it_is_back(
    flaky: Flaky,
) -> None:
    appender: ObjectAppender = flaky.append_to("lines")
    Flaky.refuses = True
    appender.write_line(b"one\n")
    _eventually(lambda: appender._error is not None)
    with pytest.raises(OSError, match="refused"):
        appender.write_line(b"lost, as its writer was told\n")
    Flaky.refuses = False
    _eventually(lambda: flaky.exists("lines") and appender._error is None)
    appender.write_line(b"two\n")
    appender.close()
    assert flaky.read("lines") == b"one\ntwo\n"


def test_store_that_refuses_the_last_lines_is_told(flaky: Flaky) -> None:
    appender = flaky.append_to("lines")
    appender.write_line(b"one\n")
    Flaky.refuses = True
    with pytest.raises(OSError, match="refused"):
        appender.close()


def test_sweep_is_kept_in_a_store_as_in_a_folder(storage: StoreFolder) -> None:
    folder = storage.child("mine")
    created = SweepCreated(1.0, FORMAT, "mine", {"epochs": 1})
    with LedgerWriter.create(folder, created) as writer:
        writer.append(TrialStarted(2.0, 1, 0, {}))
    with LedgerWriter.reopen(folder) as writer:
        writer.append(SessionEnded(3.0, "finished"))
    with pytest.raises(FileExistsError):
        LedgerWriter.create(folder, created)
    found, ledger = open_sweep(storage, None)
    assert found == folder
    assert (list(ledger.trials), ledger.ended) == ([1], SessionEnded(3.0, "finished"))
    assert list_sweeps(storage) == ([created], {})
    assert read_confirmation(folder) is None
    assert read_ledger(folder).trials == ledger.trials
    storage.child("cut").write(LEDGER_FILE, folder.read(LEDGER_FILE)[:-5])
    assert read_ledger(storage.child("cut")).torn > 0
