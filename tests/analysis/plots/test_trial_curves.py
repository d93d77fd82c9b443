import pytest

from analysis.plots.trial_curves import draw_trial_curves, trial_curves
from analysis.records.ledger import ConfigChanged
from in_memory import apply, make_ledger, trial_records
from shown import show


def test_trial_curves_are_those_of_the_trials_with_an_epoch(some_ledger):
    data = trial_curves(some_ledger)
    ids = {state: [t.trial_id for t in trials] for state, trials in data.by_state.items()}
    assert ids == {"STOPPED": [2], "RUNNING": [5], "COMPLETE": [1, 3], "FAILED": []}
    assert data.all[:2] == [[0.8], [0.91, 0.94]]
    assert (data.best, data.epochs, data.rungs) == (some_ledger.trials[3], 4, (1, 2))


def test_trial_curves_without_early_stopping_have_no_rungs():
    ledger = make_ledger(("COMPLETE", {}, [0.9]), scheduler={"name": "none"})
    assert trial_curves(ledger).rungs == ()


def test_trial_curves_use_the_config_that_each_trial_started_with():
    ledger = make_ledger(("COMPLETE", {}, [0.9] * 9), epochs=9)
    changed = ConfigChanged(200.0, ledger.config | {"epochs": 2})
    apply(ledger, changed, *trial_records(2, [0.9, 0.9], time=201.0))
    data = trial_curves(ledger)
    assert (data.epochs, data.rungs) == (9, (1, 2, 4, 8))
    shown = show(draw_trial_curves, ledger)
    assert "2 trials of 2 or 9 epochs" in shown.text
    assert shown.figure.axes[0].get_xlim()[1] > 9


def test_trial_curves_show_how_the_trials_ended(some_ledger):
    shown = show(draw_trial_curves, some_ledger)
    # The failed trial has no epoch, hence no curve; the note says so.
    endings = ["stopped early (1)", "not finished (1)", "ran all epochs (2)"]
    assert shown.legend == [*endings, "best: trial 3", "rung"]
    assert "Not drawn: 1 trial that ended before the first epoch." in shown.text
    labels = [text.get_text() for text in shown.figure.axes[0].texts]
    assert labels == ["1 stopped"]
    assert "The best, trial 3, ends at 99.00 %." in shown.alt


@pytest.mark.parametrize(
    ("n_previews", "label", "rungs"),
    [
        (0, "stopped early (3)", ["3 stopped"]),
        (2, "previews or stopped early (3)", ["1 stopped"]),
        (3, "previews (3)", []),
    ],
)
def test_trial_curves_tell_previews_from_stopped_trials(n_previews, label, rungs):
    ledger = make_ledger(*[("STOPPED", {}, [0.9])] * 3)
    for trial_id in range(1, n_previews + 1):
        ledger.trials[trial_id].preview_epochs = 1
    shown = show(draw_trial_curves, ledger)
    assert shown.legend == [label, "rung"]
    assert [text.get_text() for text in shown.figure.axes[0].texts] == rungs


def test_trial_curves_say_what_is_cut_off(ledger_with_a_wreck):
    shown = show(draw_trial_curves, ledger_with_a_wreck)
    assert "The axis starts near 90.0 %." in shown.text
    assert 0.8 < shown.figure.axes[0].get_ylim()[0] < 0.9
    good = ("COMPLETE", {}, [0.95, 0.96, 0.97, 0.98])
    ledger = make_ledger(*[good] * 3, ("FAILED", {}, [0.1]), ("STOPPED", {}, [0.2]))
    shown = show(draw_trial_curves, ledger)
    assert "The axis starts near 95.0 %, which hides 2 trials." in shown.text
