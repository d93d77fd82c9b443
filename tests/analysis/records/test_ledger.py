import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.errors import LedgerError
from analysis.records.files import LEDGER_FILE
from analysis.records.ledger import (
    EpochRecord,
    Ledger,
    LedgerWriter,
    Notice,
    Record,
    SessionEnded,
    SessionStarted,
    SweepCreated,
    TrialEnded,
    TrialStarted,
    has_begun,
    read_ledger,
)
from analysis.results.selection import rank_trials
from analysis.storage.folder import Folder, LocalFolder
from analysis.storage.journal import encode_record

ACTIONS = ["session", "start", "epoch", "end", "notice"]
CREATED = SweepCreated(0.0, 1, "s", {"epochs": 3})


def epoch_record(trial_id: int, epoch: int) -> EpochRecord:
    return EpochRecord(10.0 + epoch, trial_id, epoch, 0.5, 0.8, 0.1, 0.97, 4.0, 1e4)


def started(trial_id: int) -> TrialStarted:
    return TrialStarted(10.0, trial_id, 7, {"dropout": 0.1})


def complaint_about(folder: Folder) -> str | None:
    try:
        read_ledger(folder)
    except (LedgerError, FileNotFoundError) as error:
        return str(error)
    return None


@st.composite
def histories(draw: st.DrawFn) -> list[Record]:
    """The records of some sweep, cut anywhere: trials begin, go on and end at random."""
    history: list[Record] = [CREATED]
    running: dict[int, int] = {}
    n_started = 0
    for action in draw(st.lists(st.sampled_from(ACTIONS))):
        if action == "session":
            history.append(SessionStarted(1.0, draw(st.text()), 1, 2))
        elif action == "notice":
            history.append(Notice(2.0, None, draw(st.text())))
        elif action == "start":
            n_started += 1
            running[n_started] = 0
            history.append(started(n_started))
        elif running:
            trial_id = draw(st.sampled_from(sorted(running)))
            if action == "epoch":
                running[trial_id] += 1
                history.append(epoch_record(trial_id, running[trial_id]))
            else:
                del running[trial_id]
                history.append(TrialEnded(9.0, trial_id, "STOPPED", None))
    return history


def sum_of(records: list[Record]) -> Ledger:
    created, *rest = records
    assert isinstance(created, SweepCreated)
    ledger = Ledger(created)
    for record in rest:
        ledger.apply(record)
    return ledger


@settings(max_examples=200, deadline=None)
@given(history=histories(), part=st.floats(0, 1))
def test_prefix_of_a_ledger_is_read_up_to_its_last_whole_record(
    tmp_path_factory: pytest.TempPathFactory, history: list[Record], part: float
) -> None:
    folder = LocalFolder(tmp_path_factory.mktemp("prefix"))
    lines = [encode_record(record) for record in history]
    whole = b"".join(lines)
    kept = whole[: round(part * len(whole))]
    folder.write(LEDGER_FILE, kept)
    n_whole = kept.count(b"\n")
    if n_whole == 0:
        with pytest.raises(FileNotFoundError):
            read_ledger(folder)
        return
    expected = sum_of(history[:n_whole])
    expected.truncated_bytes = len(kept) - len(b"".join(lines[:n_whole]))
    assert read_ledger(folder) == expected

    with LedgerWriter.reopen(folder) as writer:
        for record in history[n_whole:]:
            writer.append(record)
    assert folder.read(LEDGER_FILE) == whole


def test_every_byte_of_a_ledger_is_a_place_to_be_cut_at(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    history = [CREATED, started(1), epoch_record(1, 1), TrialEnded(20.0, 1, "FAILED", "héé")]
    whole = b"".join(encode_record(record) for record in history)
    for n_bytes in range(len(whole) + 1):
        folder.local_path(LEDGER_FILE).write_bytes(whole[:n_bytes])
        n_whole = whole[:n_bytes].count(b"\n")
        if n_whole:
            read = read_ledger(folder)
            assert len(whole[: n_bytes - read.truncated_bytes].splitlines()) == n_whole
            read.truncated_bytes = 0
            assert read == sum_of(history[:n_whole])
        else:
            with pytest.raises(FileNotFoundError):
                read_ledger(folder)


@settings(max_examples=200, deadline=None)
@given(history=histories(), position=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
def test_damaged_ledger_is_read_or_refused_with_its_line(
    tmp_path_factory: pytest.TempPathFactory, history: list[Record], position: float, byte: int
) -> None:
    folder = LocalFolder(tmp_path_factory.mktemp("damaged"))
    data = bytearray(b"".join(encode_record(record) for record in history))
    data[int(position * len(data))] = byte
    folder.write(LEDGER_FILE, bytes(data))
    complaint = complaint_about(folder)
    if b"\n" not in data:
        assert complaint == f"no sweep in {folder}"
    elif complaint is not None:
        assert complaint.startswith(f"{folder.local_path(LEDGER_FILE)}:")


@pytest.mark.parametrize("n_before", [0, 1, 300])
def test_damage_is_told_with_file_and_line(tmp_path: Path, n_before: int) -> None:
    folder = LocalFolder(tmp_path)
    notices = [encode_record(Notice(1.0, None, "fine"))] * n_before
    lines = [encode_record(CREATED), *notices, b"damage\n", *notices]
    folder.write(LEDGER_FILE, b"".join(lines))
    with pytest.raises(LedgerError) as caught:
        read_ledger(folder)
    place = f"{tmp_path / LEDGER_FILE}:{n_before + 2}"
    assert str(caught.value) == f"{place} is not a record ('damage')"


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([started(1), started(1)], "starts trial 1 a second time"),
        ([epoch_record(1, 1)], "is about trial 1, which was never started"),
        ([TrialEnded(1.0, 1, "COMPLETE", None)], "is about trial 1, which was never started"),
        ([started(1), epoch_record(1, 2)], "is epoch 2 of trial 1, but epoch 1 comes next"),
        (
            [started(1), epoch_record(1, 1), epoch_record(1, 1)],
            "is epoch 1 of trial 1, but epoch 2 comes next",
        ),
        (
            [started(1), TrialEnded(1.0, 1, "FAILED", "so"), epoch_record(1, 1)],
            "is about trial 1, which has ended (FAILED)",
        ),
        (
            [started(1), TrialEnded(1.0, 1, "COMPLETE", None), TrialEnded(1.0, 1, "FAILED", "")],
            "is about trial 1, which has ended (COMPLETE)",
        ),
        ([CREATED], "begins the sweep a second time"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_contradiction_is_refused_by_reader_and_writer(
    tmp_path: Path, records: list[Record], message: str
) -> None:
    read, written = LocalFolder(tmp_path / "read"), LocalFolder(tmp_path / "written")
    read.write(LEDGER_FILE, b"".join(map(encode_record, [CREATED, *records])))
    with pytest.raises(LedgerError) as caught:
        read_ledger(read)
    assert str(caught.value) == f"{read.local_path(LEDGER_FILE)}:{len(records) + 1} {message}"

    with LedgerWriter.create(written, CREATED) as writer:
        for record in records[:-1]:
            writer.append(record)
        before = written.read(LEDGER_FILE)
        with pytest.raises(LedgerError) as caught:
            writer.append(records[-1])
        assert str(caught.value) == message
        assert written.read(LEDGER_FILE) == before
        assert writer.ledger == read_ledger(written)


def test_record_before_the_first_is_refused(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    folder.write(LEDGER_FILE, encode_record(started(1)))
    with pytest.raises(LedgerError, match="1 comes before the record that begins the sweep"):
        read_ledger(folder)


def test_ledger_tells_what_its_records_say(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    session, notice = SessionStarted(5.0, "host", 3, 2), Notice(6.0, 1, "so it is")
    with LedgerWriter.create(folder, CREATED) as writer:
        for record in (
            session,
            started(1),
            started(2),
            epoch_record(1, 1),
            notice,
            epoch_record(1, 2),
            TrialEnded(30.0, 1, "FAILED", "loss became nan"),
            SessionEnded(31.0, "interrupted"),
        ):
            writer.append(record)
    ledger = read_ledger(folder)
    assert ledger == writer.ledger
    assert (ledger.name, ledger.config) == ("s", {"epochs": 3})
    assert ledger.sessions == [session]
    assert ledger.notices == [notice]
    assert ledger.ended == SessionEnded(31.0, "interrupted")
    first, second = ledger.trials.values()
    assert (first.trial_id, first.seed, first.hyperparameters) == (1, 7, {"dropout": 0.1})
    assert (first.state, first.started, first.ended) == ("FAILED", 10.0, 30.0)
    assert first.reason == "loss became nan"
    assert (first.seconds, first.val_accuracy, len(first.epochs)) == (8.0, 0.97, 2)
    assert (second.state, second.ended, second.seconds, second.val_accuracy) == (
        "RUNNING",
        None,
        0,
        None,
    )
    assert ledger.in_state("RUNNING") == [second]
    assert ledger.in_state("COMPLETE") == []


def test_new_session_makes_the_end_of_the_last_one_the_past(tmp_path: Path) -> None:
    records = [SessionStarted(1.0, "a", 1, 1), SessionEnded(2.0, "interrupted")]
    ledger = sum_of([CREATED, *records, SessionStarted(3.0, "b", 2, 1)])
    assert ledger.ended is None
    assert [session.host for session in ledger.sessions] == ["a", "b"]


def test_create_never_replaces_a_sweep(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    LedgerWriter.create(folder, CREATED).close()
    with pytest.raises(FileExistsError, match="already"):
        LedgerWriter.create(folder, CREATED)
    assert read_ledger(folder).created == CREATED


@pytest.mark.parametrize("leftover", [b"", b'{"kind": "swe'])
def test_create_takes_over_a_ledger_without_a_whole_record(
    tmp_path: Path, leftover: bytes
) -> None:
    folder = LocalFolder(tmp_path)
    folder.write(LEDGER_FILE, leftover)
    LedgerWriter.create(folder, CREATED).close()
    assert folder.read(LEDGER_FILE) == encode_record(CREATED)


def test_not_finite_number_is_never_written(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    with LedgerWriter.create(folder, CREATED) as writer:
        before = folder.read(LEDGER_FILE)
        with pytest.raises(ValueError, match="JSON"):
            writer.append(TrialStarted(1.0, 1, 1, {"dropout": float("nan")}))
        assert folder.read(LEDGER_FILE) == before
        assert writer.ledger.trials == {}


@pytest.mark.parametrize(
    ("content", "begun"), [(None, False), (b"", False), (b'{"kind"', False), (b"{}\n", True)]
)
def test_sweep_has_begun_with_its_first_whole_record(
    content: bytes | None, begun: bool, tmp_path: Path
) -> None:
    folder = LocalFolder(tmp_path)
    if content is not None:
        folder.write(LEDGER_FILE, content)
    assert has_begun(folder) == begun


def test_record_that_the_disk_refuses_is_in_neither_ledger(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    with LedgerWriter.create(folder, CREATED) as writer:
        writer.append(started(1))
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        size = len(folder.read(LEDGER_FILE))
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, limits[1]))
        try:
            with pytest.raises(OSError, match="is it full"):
                writer.append(epoch_record(1, 1))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert writer.ledger.trials[1].epochs == []
        writer.append(epoch_record(1, 1))
    assert read_ledger(folder) == writer.ledger


def test_killed_writer_loses_nothing_that_it_has_confirmed(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from analysis.storage.folder import Folder, LocalFolder
from analysis.records.ledger import LedgerWriter
from analysis.records.ledger import Notice, SweepCreated
writer = LedgerWriter.create(LocalFolder(Path(sys.argv[1])), SweepCreated(0.0, 1, "s", {}))
for number in range(10**9):
    writer.append(Notice(1.0, None, str(number)))
    print(number, flush=True)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for _ in range(50):
            confirmed = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        for line in process.stdout:
            if line.endswith("\n"):
                confirmed = int(line)
    folder = LocalFolder(tmp_path)
    texts = [notice.text for notice in read_ledger(folder).notices]
    assert texts == [str(number) for number in range(len(texts))]
    assert len(texts) > confirmed
    with LedgerWriter.reopen(folder) as writer:
        writer.append(Notice(2.0, None, "on"))
    assert [notice.text for notice in read_ledger(folder).notices] == [*texts, "on"]


def test_ledger_of_a_large_sweep_is_read_fast(search_folder: Callable[..., Any]) -> None:
    folder = search_folder(n_trials=1_000, scheduler="none", failure_rate=0.0)
    begin = time.process_time()
    ledger = read_ledger(folder)
    best = rank_trials(ledger)[0]
    took = time.process_time() - begin
    assert sum(len(trial.epochs) for trial in ledger.trials.values()) == 15_000
    assert best.score > 0.99
    # A tenth of 10,000 trials, which took 1.4 to 2.1 s; 4 times that is somebody's mistake.
    assert took < 0.8, f"took {took:.2f} s"
