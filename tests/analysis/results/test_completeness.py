import pytest
from msgspec.structs import replace

from analysis.records.confirmation import LookTaken, Plan
from analysis.results.completeness import is_cut_off, missing_step
from in_memory import apply, by_seed, make_confirmation, make_ledger, run_epoch, run_records

BASE = by_seed(0.992, 0.992, 0.992, 0.992)


@pytest.mark.parametrize(
    ("finalist", "hand_tuned", "planned", "step"),
    [
        (BASE, BASE, 4, None),
        (by_seed(0.99, None, 0.99, 0.99), BASE, 4, None),  # a run that fails fails again
        (by_seed(0.99, 0.99), BASE, 4, "confirm"),
        (BASE, by_seed(0.99), 5, "confirm"),
        (by_seed(0.99), BASE, 3, "confirm --seeds 4"),
        (by_seed(0.99, 0.98), by_seed(0.99, 0.98), 2, "confirm --seeds 4"),
        (by_seed(0.99), BASE, None, "confirm --seeds 4"),
    ],
)
def test_missing_step_is_what_the_verdict_lacks(finalist, hand_tuned, planned, step):
    confirm = None if planned is None else {"top_k": 1, "seeds": planned}
    arms = {"finalist-1": finalist, "hand-tuned": hand_tuned, "mlp": by_seed(0.9)}
    ledger = make_ledger(("COMPLETE", {}, [0.9]), confirm=confirm)
    assert missing_step(ledger, make_confirmation(arms)) == step


def test_missing_step_confirms_the_best_trial():
    ledger = make_ledger(("COMPLETE", {}, [0.9]))
    begun = make_confirmation({"finalist-1": {}, "mlp": {}})
    others = make_confirmation({"finalist-1": BASE, "hand-tuned": BASE}, first_trial=2)
    for confirmation in (None, begun, others):
        assert missing_step(ledger, confirmation) == "confirm"
        assert missing_step(make_ledger(("FAILED", {}, [0.9])), confirmation) is None


def test_confirmation_is_cut_off_until_its_plan_is_done():
    ledger = make_ledger(("COMPLETE", {}, [0.9]))
    confirmation = make_confirmation({"finalist-1": BASE, "hand-tuned": BASE})
    for n_seeds, max_seeds, expected in ((4, None, False), (5, None, True), (4, 20, True)):
        confirmation.apply(Plan(1.0, 1, n_seeds, max_seeds))
        assert is_cut_off(ledger, confirmation)  # without a look
        confirmation.apply(LookTaken(1.0, 4, 4))
        assert is_cut_off(ledger, confirmation) == expected
        confirmation.taken_looks.clear()
    apply(confirmation, Plan(1.0, 1, 4, None), LookTaken(1.0, 4, 4))
    assert not is_cut_off(make_ledger(*[("COMPLETE", {}, [0.9])] * 2), confirmation)


def test_confirmation_is_cut_off_until_all_planned_arms_are_trained():
    ledger = make_ledger(("COMPLETE", {}, [0.9]))
    confirmation = make_confirmation({"finalist-1": BASE, "hand-tuned": BASE})
    one, two = ("finalist-1", "hand-tuned"), ("finalist-1", "finalist-2", "hand-tuned")
    apply(confirmation, LookTaken(1.0, 4, 4), Plan(1.0, 1, 4, None, one))
    assert not is_cut_off(ledger, confirmation)
    second = replace(confirmation.arms["finalist-1"], arm="finalist-2", trial_id=2)
    apply(confirmation, Plan(1.0, 2, 4, None, two), second)
    for seed in BASE:
        assert is_cut_off(ledger, confirmation)
        assert missing_step(ledger, confirmation) == "resume"
        apply(confirmation, *run_records("finalist-2", seed, [0.9, 0.9]))
    assert is_cut_off(ledger, confirmation)  # without a look at the new runs
    confirmation.apply(LookTaken(4.0, 4, 4))
    assert not is_cut_off(ledger, confirmation)
    apply(confirmation, Plan(5.0, 1, 4, None, one), run_epoch("finalist-2", 99, 1))
    assert not is_cut_off(ledger, confirmation)  # this arm is not planned any more


def test_confirmation_is_complete_if_all_runs_of_a_seed_have_failed():
    ledger = make_ledger(("COMPLETE", {}, [0.9]))
    confirmation = make_confirmation({"finalist-1": BASE, "hand-tuned": BASE})
    apply(confirmation, LookTaken(1.0, 4, 5), Plan(1.0, 1, 5, None, tuple(confirmation.arms)))
    for arm in ("finalist-1", "hand-tuned"):
        assert is_cut_off(ledger, confirmation)
        apply(confirmation, *run_records(arm, 99, [], "FAILED"))
    assert not is_cut_off(ledger, confirmation)


def test_search_is_finished_before_its_best_trial_is_confirmed():
    ledger = make_ledger(("COMPLETE", {}, [0.9]), trials=2)
    for confirmation in (None, make_confirmation({"finalist-1": BASE, "hand-tuned": BASE})):
        assert missing_step(ledger, confirmation) == "resume"


def test_more_seeds_are_no_step_to_a_verdict_where_the_best_is_the_reference():
    ledger = make_ledger(("COMPLETE", {}, [0.9]))
    confirmation = make_confirmation({"finalist-1": by_seed(0.99, 0.98)})
    confirmation.arms["finalist-1"] = replace(confirmation.arms["finalist-1"], reference=True)
    assert missing_step(ledger, confirmation) is None


def test_confirmation_without_a_plan_has_the_seeds_of_the_config():
    """As version 0.1.0 wrote none; its driver may have been killed before the first run."""
    ledger = make_ledger(("COMPLETE", {}, [0.9]), confirm={"top_k": 1, "seeds": 4})
    for known, is_open in (({}, True), (dict([*BASE.items()][:2]), True), (BASE, False)):
        confirmation = make_confirmation({"finalist-1": BASE, "hand-tuned": known})
        assert is_cut_off(ledger, confirmation) == is_open


def test_plan_that_names_no_arms_is_done_with_those_of_the_best_trial():
    """As the plans before arms were named: other arms may have been given up."""
    ledger = make_ledger(("COMPLETE", {}, [0.9]))
    confirmation = make_confirmation({"finalist-1": BASE, "hand-tuned": BASE})
    gone = replace(confirmation.arms["finalist-1"], arm="finalist-2", trial_id=2)
    apply(confirmation, gone, LookTaken(1.0, 4, 4), Plan(1.0, 1, 4, None))
    assert not is_cut_off(ledger, confirmation)
    assert not is_cut_off(make_ledger(("FAILED", {}, [])), confirmation)


def test_arms_of_a_plan_that_did_not_begin_are_forgotten():
    confirmation = make_confirmation({"finalist-1": {}, "hand-tuned": {}, "mlp": by_seed(None)})
    confirmation.apply(Plan(1.0, 1, 4, None, tuple(confirmation.arms)))
    arm = confirmation.arms["finalist-1"]
    confirmation.apply(run_epoch("finalist-1", 7, 1))
    confirmation.apply(Plan(2.0, 1, 4, None, ("finalist-2",)))
    assert list(confirmation.arms) == ["mlp"]  # whose run has ended
    assert {name for name, _ in confirmation.runs} == {"mlp"}
    confirmation.apply(arm)  # it may be planned again
