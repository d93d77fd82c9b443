import json
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.errors import LedgerError
from analysis.records.events import (
    CODEC,
    FORMAT,
    EpochRecord,
    Notice,
    Record,
    SessionEnded,
    SessionStarted,
    SweepCreated,
    TrialEnded,
    TrialStarted,
    dump_record,
    parse_record,
)

numbers = st.floats(allow_nan=False, allow_infinity=False)
counts = st.integers(1, 10**9)
values = st.dictionaries(st.text(), st.one_of(numbers, st.booleans(), st.text(), st.none()))
records = st.one_of(
    st.builds(SweepCreated, numbers, st.just(FORMAT), st.text(), values),
    st.builds(SessionStarted, numbers, st.text(), counts, counts),
    st.builds(TrialStarted, numbers, counts, counts, values),
    st.builds(EpochRecord, numbers, counts, counts, *[numbers] * 6),
    st.builds(
        TrialEnded,
        numbers,
        counts,
        st.sampled_from(["COMPLETE", "STOPPED", "FAILED"]),
        st.none() | st.text(),
    ),
    st.builds(Notice, numbers, st.none() | counts, st.text()),
    st.builds(SessionEnded, numbers, st.text()),
)

EPOCH = {
    "kind": "epoch",
    "time": 5.0,
    "trial_id": 3,
    "epoch": 1,
    "train_loss": 0.5,
    "train_accuracy": 0.9,
    "val_loss": 0.1,
    "val_accuracy": 0.97,
    "seconds": 4.5,
    "images_per_s": 11000.0,
}


def line(**changes: object) -> bytes:
    return json.dumps(EPOCH | changes).encode() + b"\n"


@given(records)
def test_record_survives_writing_and_reading(record: Record) -> None:
    written = dump_record(record)
    assert written.endswith(b"\n")
    assert written.count(b"\n") == 1
    assert parse_record(written) == record
    assert json.loads(written)["kind"] == record.kind


@given(st.lists(records, max_size=5))
def test_lines_together_are_the_lines_one_by_one(some: list[Record]) -> None:
    assert list(CODEC.parse_lines([dump_record(record) for record in some])) == some


def test_epoch_has_the_fields_that_the_ledger_promises() -> None:
    assert json.loads(dump_record(parse_record(line()))) == EPOCH
    assert {f.name for f in fields(EpochRecord)} == set(EPOCH) - {"kind"}


def test_whole_number_is_taken_for_a_number() -> None:
    record = parse_record(line(seconds=4))
    assert isinstance(record, EpochRecord)
    assert record.seconds == 4


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_dump_refuses_what_json_has_no_word_for(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        dump_record(SessionStarted(value, "host", 1, 1))


@pytest.mark.parametrize(
    "damaged",
    [
        b"\n",
        b"{}\n",
        b"null\n",
        b"[]\n",
        b"7\n",
        b'"epoch"\n',
        b'{"kind": ["epoch"]}\n',
        b'{"kind": "unheard of", "time": 1.0}\n',
        b'{"kind": "session_ended", "reason": "finished"}\n',
        b'{"kind": "session_ended", "time": 1.0, "reason": "finished", "more": 1}\n',
        b"\x00\x00\x00\n",
        b"\xff\xfe{}\n",
        b"[" * 100_000 + b"\n",
        b'{"time": ' + b"9" * 5_000 + b"}\n",
        line() + line(),
        line()[:-2] + b"\n",
        line(val_accuracy=float("nan")),
        line(val_accuracy=float("inf")),
        line().replace(b"0.97", b"1e999"),
        line(val_accuracy="0.97"),
        line(val_accuracy=None),
        line(val_accuracy=True),
        line(epoch=1.0),
        line(epoch="1"),
        line(epoch=True),
        line(trial_id=[3]),
        b'{"kind": "trial_ended", "time": 1, "trial_id": 1, "state": "RUNNING", "reason": null}\n',
        b'{"kind": "trial_ended", "time": 1, "trial_id": 1, "state": ["FAILED"], "reason": ""}\n',
        b'{"kind": "sweep", "time": 1, "format": 1, "name": "s", "config": []}\n',
        b'{"kind": "notice", "time": 1, "trial_id": 1.5, "text": "so"}\n',
    ],
    ids=lambda damaged: repr(damaged[:30]),
)
def test_parse_refuses_what_is_no_record(damaged: bytes) -> None:
    with pytest.raises(LedgerError, match="is not a record"):
        parse_record(damaged)
    good = dump_record(SessionEnded(1.0, "finished"))
    parsed = CODEC.parse_lines([good, damaged, good])
    assert next(parsed) == SessionEnded(1.0, "finished")
    with pytest.raises(LedgerError, match="is not a record"):
        next(parsed)


@given(st.binary())
def test_parse_of_anything_ends_well_or_in_a_ledger_error(data: bytes) -> None:
    with pytest.raises(LedgerError):
        parse_record(data)


def test_parse_shows_only_the_beginning_of_a_huge_line() -> None:
    with pytest.raises(LedgerError) as caught:
        parse_record(b"x" * 10_000_000 + b"\n")
    assert str(caught.value) == f"is not a record ('{'x' * 57}...')"


def test_newer_format_is_told_from_damage() -> None:
    newer = b'{"kind": "sweep", "time": 1.0, "format": 2, "name": "s", "config": {}}\n'
    with pytest.raises(
        LedgerError, match="is of ledger format 2, but this program reads format 1"
    ):
        parse_record(newer)
