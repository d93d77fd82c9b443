import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.errors import LedgerError, StorageError
from analysis.records.epochs import Epoch
from analysis.records.files import LEDGER_FILE
from analysis.records.ledger import (
    ConfigChanged,
    EpochRecord,
    Ledger,
    LedgerWriter,
    Notice,
    Record,
    SessionEnded,
    SessionStarted,
    TrialEnded,
    TrialStarted,
    read_first_record,
    read_ledger,
)
from analysis.storage.folder import Folder
from analysis.storage.journal import encode_record
from analysis.storage.local_folder import LocalFolder
from appending import append, write_journal
from full_disk import file_size_limit
from in_memory import apply, begin_ledger, session_started, trial_ended, trial_epoch, trial_started

CREATED = begin_ledger({"epochs": 3}, name="s").created
STARTED, FIRST, SECOND = trial_started(1), trial_epoch(1, 1), trial_epoch(1, 2)
# As version 0.1.0 wrote it, with a whole number where a number is expected.
EPOCH = (
    '{"kind": "epoch", "time": 5.0, "trial_id": 1, "epoch": 1, "train_loss": 0.5, '
    '"train_accuracy": 0.9, "val_loss": 0.1, "val_accuracy": 0.97, "seconds": 4, '
    '"images_per_s": 11000.0}\n'
)

numbers = st.floats(allow_nan=False, allow_infinity=False)
times, fractions = st.floats(0, 1e11), st.floats(0, 1)
values = st.dictionaries(st.text(), st.one_of(numbers, st.booleans(), st.text(), st.none()))


def write(folder: Folder, *records: Record | bytes) -> None:
    lines = [CREATED, *records]
    data = b"".join(r if isinstance(r, bytes) else encode_record(r) for r in lines)
    folder.write(LEDGER_FILE, data)


others = st.one_of(
    st.builds(SessionStarted, times, st.text(), st.just(1), st.just(2)),
    st.builds(ConfigChanged, times, values),
    st.builds(Notice, times, st.none() | st.just(1), st.text()),
    st.builds(SessionEnded, times, st.text()),
)


@st.composite
def histories(draw: st.DrawFn) -> list[Record]:
    """The records of a sweep that was interrupted anywhere."""
    history: list[Record] = [CREATED]
    running: dict[int, int] = {}
    n_started = 0
    for action in draw(st.lists(st.sampled_from(["start", "epoch", "end", "other"]))):
        at = draw(times)
        if action == "other":
            history.append(draw(others))
        elif action == "start":
            n_started += 1
            running[n_started] = 0
            history.append(TrialStarted(at, n_started, draw(st.integers(0, 2**32)), draw(values)))
        elif running:
            trial_id = draw(st.sampled_from(sorted(running)))
            if action == "epoch":
                running[trial_id] += 1
                kinds = (numbers, fractions, numbers, fractions, numbers, numbers)
                measured = [draw(kind) for kind in kinds]
                history.append(EpochRecord(at, trial_id, running[trial_id], *measured))
            else:
                del running[trial_id]
                state = draw(st.sampled_from(["COMPLETE", "STOPPED", "FAILED"]))
                history.append(TrialEnded(at, trial_id, state, draw(st.none() | st.text())))
    return history


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=histories(), part=st.floats(0, 1))
def test_prefix_of_a_ledger_is_read_up_to_its_last_complete_record(
    tmp_path_factory, history, part
):
    folder = LocalFolder(tmp_path_factory.mktemp("prefix"))
    data = b"".join(map(encode_record, history))
    kept = data[: round(part * len(data))]
    folder.write(LEDGER_FILE, kept)
    n_complete = kept.count(b"\n")
    if n_complete == 0:
        with pytest.raises(FileNotFoundError):
            read_ledger(folder)
        return
    ledger = Ledger.read(folder)
    assert ledger == apply(Ledger(CREATED), *history[1:n_complete])
    assert ledger.truncated_bytes == len(kept) - kept.rindex(b"\n") - 1

    append(folder, *history[n_complete:])
    assert folder.read(LEDGER_FILE) == data


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=histories(), position=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
def test_damaged_ledger_is_read_or_refused_with_its_line(
    tmp_path_factory, history, position, byte
):
    folder = LocalFolder(tmp_path_factory.mktemp("damaged"))
    data = bytearray(b"".join(map(encode_record, history)))
    data[int(position * len(data))] = byte
    folder.write(LEDGER_FILE, bytes(data))
    complaint = ""
    try:
        read_ledger(folder)
    except (FileNotFoundError, LedgerError) as error:
        complaint = str(error)
    wheres = (f"{folder.display_path(LEDGER_FILE)}:", f"no sweep in {folder}")
    assert complaint == "" or complaint.startswith(wheres)


INTACT = encode_record(CREATED) + encode_record(STARTED)


@pytest.mark.parametrize("contents", [INTACT, encode_record(CREATED)])
@pytest.mark.parametrize(
    "end",
    [
        b"\0" * 40,
        b"\0" * 40 + b"\n",
        b"\n",
        b'{"kind": "epo',
        b'{"kind": "epo\n',
        b"\xff\n\x00\xfe",
    ],
)
def test_damaged_end_is_ignored_and_removed(folder, contents, end):
    folder.write(LEDGER_FILE, contents + end)
    ledger = read_ledger(folder)
    assert (ledger.truncated_bytes, read_first_record(folder)) == (len(end), CREATED)
    write_journal(folder, Ledger(CREATED), Notice(1.0, None, "on"))
    assert folder.read(LEDGER_FILE) == contents + encode_record(Notice(1.0, None, "on"))


def test_records_are_written_as_version_0_1_0_wrote_them(folder):
    write(folder, STARTED, EPOCH.encode())
    ledger = read_ledger(folder)
    assert ledger.trials[1].epochs == [Epoch(1, 0.5, 0.9, 0.1, 0.97, 4.0, 11000.0)]
    record = EpochRecord.of(5.0, 1, ledger.trials[1].epochs[0])
    assert encode_record(record).decode() == EPOCH.replace("4,", "4.0,")


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        "{}",
        "null",
        "[]",
        '{"kind": ["epoch"]}',
        '{"kind": "unheard of", "time": 1.0}',
        '{"kind": "session_ended", "reason": "finished"}',
        '{"kind": "session_ended", "time": 1.0, "reason": "finished", "more": 1}',
        "\0\0\0",
        "[" * 100_000,
        '{"kind": "config", "time": 1, "config": ' + '{"a":' * 100_000,
        '{"time": ' + "9" * 5_000 + "}",
        EPOCH.strip() * 2,
        EPOCH.strip()[:-1],
        EPOCH.replace("0.97", "NaN").strip(),
        EPOCH.replace("0.97", "Infinity").strip(),
        EPOCH.replace("0.97", "1e999").strip(),
        EPOCH.replace("0.97", '"0.97"').strip(),
        EPOCH.replace("0.97", "null").strip(),
        EPOCH.replace("0.97", "true").strip(),
        EPOCH.replace('"epoch": 1', '"epoch": 1.0').strip(),
        EPOCH.replace('"trial_id": 1', '"trial_id": true').strip(),
        EPOCH.replace('"time": 5.0', '"time": 1e300').strip(),
        EPOCH.replace('"val_accuracy": 0.97', '"val_accuracy": 7.5').strip(),
        '{"kind": "trial_ended", "time": 1, "trial_id": 1, "state": "RUNNING", "reason": null}',
        '{"kind": "config", "time": 1, "config": []}',
    ],
    ids=lambda damaged: repr(damaged[:30]),
)
def test_damaged_line_is_refused_with_its_number(folder, damaged):
    write(folder, STARTED, damaged.encode() + b"\n", Notice(1.0, None, "fine"))
    with pytest.raises(LedgerError) as caught:
        read_ledger(folder)
    shown = damaged if len(damaged) <= 60 else damaged[:57] + "..."
    where = folder.display_path(LEDGER_FILE)
    assert str(caught.value).startswith(f"{where}:3 is not a record ({shown!r})")


def test_damage_has_a_remedy_but_not_a_record_of_another_version(folder):
    write(folder, STARTED, b'{"kind": \n', Notice(1.0, None, "fine"))
    remedy = (
        "copy the sweep, delete confirm.jsonl and all lines from 3 on in the copy, "
        "and resume the copy"
    )
    with pytest.raises(LedgerError, match=f"; to continue without that line, {remedy}$"):
        read_ledger(folder)
    folder.write(LEDGER_FILE, b"")
    write(folder, STARTED, b'{"kind": "promotion", "time": 1.0}\n')
    with pytest.raises(LedgerError, match=r"is not a record \('.*'\): Invalid value 'promotion'"):
        read_ledger(folder)


def test_line_that_is_not_utf_8_is_refused(folder):
    write(folder, b'{"kind": "notice", "time": 1, "trial_id": null, "text": "\xff"}\n', STARTED)
    with pytest.raises(LedgerError, match=":2 is not a record"):
        read_ledger(folder)


@pytest.mark.parametrize(
    ("first", "message"),
    [
        (encode_record(STARTED), "comes before the record that begins the file"),
        (
            encode_record(CREATED).replace(b'"format": 1', b'"format": 2'),
            "is of format 2, but this program reads format 1; use the version of",
        ),
    ],
)
def test_first_record_must_begin_a_ledger_of_this_format(folder, first, message):
    folder.write(LEDGER_FILE, first)
    with pytest.raises(LedgerError, match=f":1 {message}"):
        read_ledger(folder)


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([STARTED, STARTED], "starts trial 1 a second time"),
        ([FIRST], "is about trial 1, which was never started"),
        ([trial_ended(1)], "is about trial 1, which was never started"),
        ([STARTED, SECOND], "is epoch 2 of trial 1, but epoch 1 comes next"),
        ([STARTED, FIRST, FIRST], "is epoch 1 of trial 1, but epoch 2 comes next"),
        ([STARTED, trial_ended(1, "FAILED"), FIRST], "is about trial 1, which has ended (FAILED)"),
        ([CREATED], "begins the sweep a second time"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_contradiction_is_refused_by_reader_and_writer(tmp_path, records, message):
    read, written = LocalFolder(tmp_path / "read"), LocalFolder(tmp_path / "written")
    write(read, *records)
    with pytest.raises(LedgerError) as caught:
        read_ledger(read)
    assert str(caught.value) == f"{read.display_path(LEDGER_FILE)}:{len(records) + 1} {message}"

    with LedgerWriter(written, CREATED) as writer:
        for record in records[:-1]:
            writer.append(record)
        before = written.read(LEDGER_FILE)
        with pytest.raises(LedgerError) as caught:
            writer.append(records[-1])
        assert str(caught.value) == message
        assert written.read(LEDGER_FILE) == before
        assert writer.journal == Ledger.read(written)


def test_ledger_is_the_sum_of_its_records(folder):
    session, notice = SessionStarted(5.0, "host", 3, 2), Notice(6.0, 1, "so it is")
    records: list[Record] = [
        session,
        trial_started(1, {"dropout": 0.1}, seed=7, time=10.0),
        trial_started(2),
        trial_epoch(1, 1, 0.96, seconds=4.0),
        notice,
        ConfigChanged(7.0, {"epochs": 4}),
        trial_epoch(1, 2, 0.97, seconds=4.0),
        trial_ended(1, "FAILED", time=30.0),
        SessionEnded(31.0, "interrupted"),
    ]
    written = write_journal(folder, Ledger(CREATED), *records)
    ledger = Ledger.read(folder)
    assert ledger == written
    assert (ledger.name, ledger.config["epochs"], ledger.records) == ("s", 4, records)
    assert (ledger.sessions, ledger.notices, ledger.ended) == ([session], [notice], records[-1])
    first, second = ledger.trials.values()
    assert (first.trial_id, first.seed, first.hyperparameters) == (1, 7, {"dropout": 0.1})
    assert (first.state, first.started, first.ended) == ("FAILED", 10.0, 30.0)
    assert (first.reason, first.config["epochs"]) == ("loss became nan", 3)
    assert (first.seconds, first.val_accuracy, len(first.epochs)) == (8.0, 0.97, 2)
    assert (second.state, second.ended, second.seconds, second.val_accuracy) == (
        "RUNNING",
        None,
        0,
        None,
    )
    assert (ledger.in_state("RUNNING"), ledger.in_state("COMPLETE")) == ([second], [])
    assert ledger.n_ended == 1
    ledger.apply(session_started(time=32.0))
    assert ledger.ended is None


@pytest.mark.parametrize("leftover", [None, b"", b'{"kind": "swe', b"\0" * 40 + b'"}}\n'])
def test_file_without_a_complete_record_is_replaced_but_never_a_sweep(folder, leftover):
    if leftover is not None:
        folder.write(LEDGER_FILE, leftover)
    assert read_first_record(folder) is None
    for begun in (Ledger(CREATED), begin_ledger({}, name="other")):
        write_journal(folder, begun)
        assert folder.read(LEDGER_FILE) == encode_record(CREATED)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_non_finite_number_is_never_written(folder, value):
    with LedgerWriter(folder, CREATED) as writer:
        nested = {"a": [{"dropout": value}]}
        for record in (session_started(time=value), trial_started(1, nested)):
            with pytest.raises(ValueError, match="JSON"):
                writer.append(record)
    assert folder.read(LEDGER_FILE) == encode_record(CREATED)
    assert writer.journal == Ledger(CREATED)


def test_text_that_is_not_unicode_is_written_with_question_marks(folder):
    write(folder, Notice(1.0, None, "cannot read /a/\udcff"))
    assert [notice.text for notice in read_ledger(folder).notices] == ["cannot read /a/?"]


def test_record_that_the_disk_refuses_is_not_in_the_ledger(folder):
    with LedgerWriter(folder, CREATED) as writer:
        writer.append(STARTED)
        before = folder.read(LEDGER_FILE)
        with (
            file_size_limit(len(before) + 3),
            pytest.raises(StorageError, match="the disk took 3 of .* bytes; is it full") as caught,
        ):
            writer.append(FIRST)
        assert caught.value.filename == folder.display_path(LEDGER_FILE)
        with pytest.raises(StorageError):  # what a disk holds after a failure is unknown
            writer.append(FIRST)
    assert (folder.read(LEDGER_FILE), writer.journal.trials[1].epochs) == (before, [])
