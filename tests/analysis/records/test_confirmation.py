import json

import pytest
from msgspec.structs import replace

from analysis.errors import LedgerError
from analysis.records.confirmation import (
    Confirmation,
    ConfirmationNotice,
    ConfirmationRecord,
    ConfirmationWriter,
    Plan,
    RunEnded,
    RunEpoch,
    read_confirmation,
)
from analysis.records.epochs import Epoch
from analysis.records.files import CONFIRMATION_FILE
from analysis.records.seeds import confirmation_seeds
from analysis.storage.journal import encode_record
from appending import write_journal
from in_memory import (
    CONFIG,
    apply,
    begin_confirmation,
    make_arm,
    make_ledger,
    run_ended,
    run_epoch,
)

BEGUN = begin_confirmation().begun
ARM = make_arm("hand-tuned", hyperparameters={"dropout": 0.25, "nesterov": False}, reference=True)
FINALIST = replace(ARM, arm="finalist-1", role="finalist", trial_id=17, reference=False)


def epoch(number: int, accuracy: float = 0.99) -> RunEpoch:
    return run_epoch("hand-tuned", 1001, number, accuracy)


def ended(state: str = "COMPLETE", reason: str | None = None, seed: int = 1001) -> RunEnded:
    return run_ended("hand-tuned", seed, state, reason)


def sum_of(*records: ConfirmationRecord) -> Confirmation:
    return apply(Confirmation(BEGUN), *records)


def test_writer_and_reader_agree(folder):
    assert Confirmation.read(folder) is None
    notice = ConfirmationNotice(2.5, "so it is")
    records = (FINALIST, ARM, epoch(1), notice, epoch(2, 0.98), ended())
    written = write_journal(folder, Confirmation(BEGUN), *records)
    confirmation = Confirmation.read(folder)
    assert confirmation == written
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


def test_epoch_is_evaluated_on_the_test_images():
    measured = Epoch(1, 0.5, 0.9, 0.1, 0.97, 4.0, 11000.0)
    record = RunEpoch.of(5.0, "mlp", 3, measured)
    assert record.to_epoch() == measured
    assert json.loads(encode_record(record)) == {
        "kind": "run_epoch",
        "time": 5.0,
        "arm": "mlp",
        "seed": 3,
        "epoch": 1,
        "train_loss": 0.5,
        "train_accuracy": 0.9,
        "test_loss": 0.1,
        "test_accuracy": 0.97,
        "seconds": 4.0,
        "images_per_s": 11000.0,
    }


@pytest.mark.parametrize(
    ("records", "accuracies"),
    [
        ([epoch(1, 0.999), epoch(2, 0.98), ended()], {1001: 0.98}),  # the last, not the highest
        ([], {}),
        ([epoch(1), epoch(2)], {}),
        ([epoch(1), ended("FAILED", "loss became nan")], {}),
        ([epoch(1), epoch(2), ended("FAILED", "its process died")], {}),
        ([epoch(1), ended()], {}),
        ([epoch(1), ended("FAILED", "its process died"), epoch(2), ended()], {1001: 0.99}),
    ],
    ids=["complete", "not begun", "running", "failed", "failed at the end", "short", "continued"],
)
def test_test_accuracy_is_that_of_the_last_epoch_of_a_complete_run(records, accuracies):
    assert sum_of(ARM, *records).test_accuracies("hand-tuned") == accuracies


def test_continued_run_has_no_reason_to_have_failed():
    confirmation = sum_of(ARM, epoch(1), ended("FAILED", "its process died"), epoch(2))
    run = confirmation.runs["hand-tuned", 1001]
    assert (run.state, run.reason) == ("RUNNING", None)


def test_runs_are_sorted_by_seed_and_seeds_by_derivation():
    derived = confirmation_seeds(5, 3)
    assert derived != sorted(derived)
    confirmation = sum_of(ARM, *(ended(seed=seed) for seed in (9, *derived[::-1], 3)))
    runs = confirmation.runs_of("hand-tuned")
    assert [run.seed for run in runs] == sorted([3, 9, *derived])
    assert confirmation.runs_of("mlp") == []
    assert confirmation.ordered_seeds(5) == [*derived, 3, 9]
    assert sum_of(ARM, ended(seed=derived[1])).ordered_seeds(5) == [derived[1]]


def test_hyperparameter_that_an_arm_lacks_has_its_default():
    assert ARM.differences(replace(ARM, hyperparameters={"dropout": 0.25})) == 0
    other = replace(ARM, model="mlp", epochs=3, hyperparameters={"momentum": 0.5})
    assert ARM.differences(other) == other.differences(ARM) == 4


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([BEGUN], "begins the confirmation a second time"),
        ([ARM, ARM], "names the arm 'hand-tuned' a second time"),
        ([replace(ARM, arm="../../x")], "names an arm '../../x', which cannot be a file's name"),
        ([replace(ARM, arm="")], "names an arm '', which cannot be a file's name"),
        ([epoch(1)], "is about the arm 'hand-tuned', which no record defines"),
        ([ended()], "is about the arm 'hand-tuned', which no record defines"),
        ([ARM, epoch(2)], "is epoch 2 of 'hand-tuned', seed 1001, but epoch 1 comes next"),
        (
            [ARM, epoch(1), epoch(2), epoch(3)],
            "is epoch 3 of 'hand-tuned', seed 1001, but there are only 2",
        ),
        ([ARM, ended(), ended()], "is about 'hand-tuned', seed 1001, which is complete"),
        ([ARM, ended(), epoch(1)], "is about 'hand-tuned', seed 1001, which is complete"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_contradiction_is_refused_by_reader_and_writer(folder, records, message):
    with ConfirmationWriter(folder, BEGUN) as writer:
        for record in records[:-1]:
            writer.append(record)
        with pytest.raises(LedgerError) as caught:
            writer.append(records[-1])
    assert str(caught.value) == message
    assert Confirmation.read(folder) == sum_of(*records[:-1])
    folder.write(CONFIRMATION_FILE, b"".join(map(encode_record, [BEGUN, *records])))
    with pytest.raises(LedgerError) as caught:
        Confirmation.read(folder)
    path = folder.display_path(CONFIRMATION_FILE)
    assert str(caught.value) == f"{path}:{len(records) + 1} {message}"


def test_confirmation_of_another_sweep_is_refused(folder):
    ledger = make_ledger(("COMPLETE", {}, [0.9]))
    created = ledger.created.time
    assert read_confirmation(folder, ledger) is None
    for recorded, is_own in ((0.0, True), (created, True), (created + 1, False)):
        begun = begin_confirmation(name="renamed since", created=recorded).begun
        folder.write("confirm.jsonl", encode_record(begun))
        if is_own:
            found = read_confirmation(folder, ledger)
            assert found is not None
            assert found.begun == begun
        else:
            with pytest.raises(
                LedgerError, match="confirm.jsonl is of another sweep: restore the two files"
            ):
                read_confirmation(folder, ledger)


def test_confirmation_of_trials_that_an_older_ledger_has_lost_is_refused(folder):
    drawn, recipe = {"dropout": 0.25}, CONFIG["recipe"]
    values = {**recipe, **drawn, "learning_rate": 0.01}
    finalist = make_arm("finalist-1", "finalist", trial_id=1, hyperparameters=values)
    records = (begin_confirmation(created=0.0).begun, finalist)
    folder.write("confirm.jsonl", b"".join(map(encode_record, records)))
    assert read_confirmation(folder, make_ledger(("COMPLETE", drawn, [0.9]))) is not None
    assert read_confirmation(folder, make_ledger()) is not None
    for other, config in (
        ({"dropout": 0.3}, {}),
        (drawn, {"model": "mlp"}),
        (drawn, {"recipe": recipe | {"learning_rate": 0.5}}),
    ):
        ledger = make_ledger(("COMPLETE", other, [0.9]), **config)
        with pytest.raises(LedgerError, match="confirm.jsonl is of other trials than ledger.j"):
            read_confirmation(folder, ledger)


def test_plan_that_is_cut_after_a_result_still_spends_the_error_as_it_was_planned():
    twenty, five = Plan(1.0, 1, 20, None), Plan(1.0, 1, 5, None)
    assert sum_of(twenty, five).n_planned == 5
    assert sum_of(twenty, ARM, epoch(1), epoch(2), ended(), five).n_planned == 20
