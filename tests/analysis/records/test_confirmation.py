import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from msgspec.structs import replace

from analysis.errors import LedgerError
from analysis.records.confirmation import (
    Arm,
    Confirmation,
    ConfirmationBegun,
    ConfirmationNotice,
    ConfirmationRecord,
    ConfirmationWriter,
    RunEnded,
    RunEpoch,
    read_confirmation,
)
from analysis.records.files import CONFIRMATION_FILE
from analysis.storage.folder import Folder, LocalFolder
from analysis.storage.journal import encode_record

BEGUN = ConfirmationBegun(0.0, 1, "s", 2)
ARM = Arm(
    time=1.0,
    arm="hand-tuned",
    title="hand-tuned LeNet-5",
    role="baseline",
    model="lenet5",
    trial_id=None,
    hyperparameters={"dropout": 0.25, "nesterov": False},
    epochs=2,
    reference=True,
)
FINALIST = replace(ARM, arm="finalist-1", role="finalist", trial_id=17, reference=False)


def run_epoch(epoch: int, accuracy: float = 0.99, arm: str = "hand-tuned") -> RunEpoch:
    return RunEpoch(2.0, arm, 1001, epoch, 0.1, 0.97, 0.03, accuracy, 5.0, 1e4)


def ended(state: str = "COMPLETE", reason: str | None = None) -> RunEnded:
    return RunEnded(3.0, "hand-tuned", 1001, state, reason)  # type: ignore[arg-type]


def sum_of(*records: ConfirmationRecord) -> Confirmation:
    confirmation = Confirmation(BEGUN)
    for record in records:
        confirmation.apply(record)
    return confirmation


def test_confirmation_that_was_never_begun_is_none(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    assert read_confirmation(folder) is None
    folder.write(CONFIRMATION_FILE, b'{"kind": "conf')
    assert read_confirmation(folder) is None


def test_writer_and_reader_agree(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    notice = ConfirmationNotice(2.5, "so it is")
    with ConfirmationWriter.open(folder, BEGUN) as writer:
        for record in (FINALIST, ARM, run_epoch(1), notice, run_epoch(2, 0.98), ended()):
            writer.append(record)
    confirmation = read_confirmation(folder)
    assert confirmation == writer.confirmation
    assert confirmation is not None
    assert list(confirmation.arms) == ["finalist-1", "hand-tuned"]
    assert confirmation.in_role("finalist") == [FINALIST]
    assert confirmation.in_role("baseline") == [ARM]
    assert confirmation.reference_of(FINALIST) == ARM
    assert confirmation.finalist(17) == FINALIST
    assert confirmation.finalist(18) is None
    assert confirmation.notices == [notice]
    run = confirmation.runs["hand-tuned", 1001]
    assert (run.state, run.reason, [e.epoch for e in run.epochs]) == ("COMPLETE", None, [1, 2])


def test_run_epoch_has_the_fields_that_were_promised() -> None:
    assert set(json.loads(encode_record(run_epoch(1)))) == {
        "kind",
        "time",
        "arm",
        "seed",
        "epoch",
        "train_loss",
        "train_accuracy",
        "test_loss",
        "test_accuracy",
        "seconds",
        "images_per_s",
    }


def test_writer_goes_on_after_a_half_written_line(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    with ConfirmationWriter.open(folder, BEGUN) as writer:
        writer.append(ARM)
    whole = folder.read(CONFIRMATION_FILE)
    folder.write(CONFIRMATION_FILE, whole + encode_record(run_epoch(1))[:-1])
    other = replace(BEGUN, name="not asked for")
    with ConfirmationWriter.open(folder, other) as writer:
        assert writer.confirmation.runs == {}
        writer.append(run_epoch(1))
    assert folder.read(CONFIRMATION_FILE) == whole + encode_record(run_epoch(1))
    assert writer.confirmation.begun == BEGUN


def test_writer_takes_over_a_file_without_a_whole_record(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    folder.write(CONFIRMATION_FILE, b'{"kind": "conf')
    ConfirmationWriter.open(folder, BEGUN).close()
    assert folder.read(CONFIRMATION_FILE) == encode_record(BEGUN)


def test_every_prefix_can_be_read(
    tmp_path: Path, confirmed_folder: Callable[..., Folder], synthetic: ModuleType
) -> None:
    search = {"n_trials": 3, "epochs": 3, "scheduler": "none", "failure_rate": 0.0}
    whole = confirmed_folder(search, n_seeds=2, predictions=False).read(CONFIRMATION_FILE)
    folder = LocalFolder(tmp_path / "prefix")
    for n_bytes in range(0, len(whole), 83):
        folder.write(CONFIRMATION_FILE, whole[:n_bytes])
        confirmation = read_confirmation(folder)
        n_lines = whole[:n_bytes].count(b"\n")
        if confirmation is None:
            assert n_lines == 0
        else:
            n_epochs = sum(len(run.epochs) for run in confirmation.runs.values())
            n_ended = sum(run.state != "RUNNING" for run in confirmation.runs.values())
            assert 1 + len(confirmation.arms) + n_epochs + n_ended == n_lines
            assert confirmation.truncated_bytes == len(whole[:n_bytes].split(b"\n")[-1])


def test_number_of_a_run_is_the_last_epochs_and_never_the_highest() -> None:
    confirmation = sum_of(ARM, run_epoch(1, 0.999), run_epoch(2, 0.98), ended())
    assert confirmation.test_accuracies("hand-tuned") == {1001: 0.98}


@pytest.mark.parametrize(
    "records",
    [
        [],
        [run_epoch(1), run_epoch(2)],
        [run_epoch(1), ended("FAILED", "loss became nan")],
        [run_epoch(1), run_epoch(2), ended("FAILED", "its process died")],
        [run_epoch(1), ended()],
        [ended()],
    ],
    ids=["not begun", "running", "failed", "failed at the end", "too short", "empty"],
)
def test_run_that_is_not_whole_has_no_number(records: list[ConfirmationRecord]) -> None:
    assert sum_of(ARM, *records).test_accuracies("hand-tuned") == {}


def test_failed_run_may_be_taken_up_again() -> None:
    confirmation = sum_of(ARM, run_epoch(1), ended("FAILED", "its process died"), run_epoch(2))
    assert confirmation.runs["hand-tuned", 1001].state == "RUNNING"
    assert confirmation.runs["hand-tuned", 1001].reason is None
    confirmation.apply(ended())
    assert confirmation.test_accuracies("hand-tuned") == {1001: 0.99}


def test_runs_of_an_arm_are_by_seed() -> None:
    runs = [RunEnded(1.0, "hand-tuned", seed, "FAILED", "so") for seed in (9, 3, 11)]
    confirmation = sum_of(ARM, *runs)
    assert [run.seed for run in confirmation.runs_of("hand-tuned")] == [3, 9, 11]
    assert confirmation.runs_of("elsewhere") == []


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([BEGUN], "begins the confirmation a second time"),
        ([ARM, ARM], "names the arm 'hand-tuned' a second time"),
        ([replace(ARM, arm="../../x")], "names an arm '../../x', which cannot be a file's name"),
        ([replace(ARM, arm="")], "names an arm '', which cannot be a file's name"),
        ([run_epoch(1)], "is about the arm 'hand-tuned', which was never named"),
        ([ended()], "is about the arm 'hand-tuned', which was never named"),
        (
            [ARM, run_epoch(2)],
            "is epoch 2 of 'hand-tuned', seed 1001, but epoch 1 comes next",
        ),
        (
            [ARM, run_epoch(1), run_epoch(1)],
            "is epoch 1 of 'hand-tuned', seed 1001, but epoch 2 comes next",
        ),
        (
            [ARM, run_epoch(1), run_epoch(2), run_epoch(3)],
            "is epoch 3 of 'hand-tuned', seed 1001, but there are only 2",
        ),
        ([ARM, ended(), ended()], "is about 'hand-tuned', seed 1001, which is complete"),
        ([ARM, ended(), run_epoch(1)], "is about 'hand-tuned', seed 1001, which is complete"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_contradiction_is_refused(
    tmp_path: Path, records: list[ConfirmationRecord], message: str
) -> None:
    folder = LocalFolder(tmp_path)
    with ConfirmationWriter.open(folder, BEGUN) as writer:
        for record in records[:-1]:
            writer.append(record)
        with pytest.raises(LedgerError) as caught:
            writer.append(records[-1])
    assert str(caught.value) == message
    assert read_confirmation(folder) == sum_of(*records[:-1])
    lines = map(encode_record, [BEGUN, *records])
    folder.write(CONFIRMATION_FILE, b"".join(lines))
    with pytest.raises(LedgerError) as caught:
        read_confirmation(folder)
    place = folder.local_path(CONFIRMATION_FILE)
    assert str(caught.value) == f"{place}:{len(records) + 1} {message}"


@pytest.mark.parametrize(
    ("first", "message"),
    [
        (b"damage\n", "is not a record"),
        (encode_record(ARM), "comes before the record that begins the confirmation"),
        (
            encode_record(BEGUN).replace(b'"format": 1', b'"format": 2'),
            "is of confirmation format 2, but this program reads format 1",
        ),
        (encode_record(BEGUN).replace(b"2}", b"null}"), "is not a record"),
    ],
)
def test_damaged_first_line_is_told(tmp_path: Path, first: bytes, message: str) -> None:
    folder = LocalFolder(tmp_path)
    folder.write(CONFIRMATION_FILE, first)
    with pytest.raises(LedgerError, match=rf"confirm\.jsonl:1 {message}"):
        read_confirmation(folder)
