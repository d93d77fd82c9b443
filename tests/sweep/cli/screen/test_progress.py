from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from sweep.cli.screen.progress import ProgressMeter

MakeStory = Callable[..., Any]


def test_meter_of_an_empty_ledger_knows_nothing_yet(make_story: MakeStory) -> None:
    story = make_story(n_trials=4)
    progress = ProgressMeter(story.ledger).measure(story.now + 5)
    assert (progress.n_ended, progress.n_trials, progress.n_epochs) == (0, 4, 0)
    assert (progress.running, progress.failures, progress.best) == ([], [], None)
    assert progress.left_s is None
    assert progress.elapsed_s == 5


def test_meter_counts_as_the_ledger_grows(make_story: MakeStory) -> None:
    story = make_story(n_trials=5, epochs=3)
    meter = ProgressMeter(story.ledger)
    story.session()
    story.start(1, 2)
    story.epoch(1, 0.9, 0.91, 0.92)
    story.epoch(2, 0.8)
    progress = meter.measure(story.now)
    assert [trial.trial_id for trial in progress.running] == [1, 2]
    assert (progress.n_ended, progress.n_epochs, progress.best) == (0, 4, None)

    story.end(1)
    story.end(2, "STOPPED")
    story.start(3, 4)
    story.epoch(3, 0.99)
    story.end(4, "FAILED", "training loss became nan in epoch 1")
    progress = meter.measure(story.now)
    assert [trial.trial_id for trial in progress.running] == [3]
    assert [trial.trial_id for trial in progress.failures] == [4]
    assert (progress.n_complete, progress.n_stopped, progress.n_ended) == (1, 1, 3)
    assert progress.n_epochs == 5
    assert progress.best is not None
    assert progress.best.trial.trial_id == 1
    assert progress.best.score == pytest.approx(0.91)


def test_meter_prefers_the_earlier_of_equal_trials(make_story: MakeStory) -> None:
    story = make_story(epochs=1)
    meter = ProgressMeter(story.ledger)
    story.start(1, 2, 3, 4)
    for trial_id, accuracy in ((1, 0.9), (3, 0.95), (2, 0.95), (4, 0.94)):
        story.epoch(trial_id, accuracy)
        story.end(trial_id)
        meter.measure(story.now)
    best = meter.measure(story.now).best
    assert best is not None
    assert (best.trial.trial_id, best.score) == (2, 0.95)


def test_meter_measures_time_from_the_driver_at_work(make_story: MakeStory) -> None:
    story = make_story()
    story.session()
    story.now += 1000
    story.session()
    assert ProgressMeter(story.ledger).measure(story.now + 7).elapsed_s == 7


def test_meter_estimates_from_whole_trials_before_one_has_ended(make_story: MakeStory) -> None:
    story = make_story(n_trials=6, epochs=10, slots=2, seconds=4.0)
    story.session()
    story.start(1, 2)
    story.epoch(1, 0.9, 0.91)
    story.epoch(2, 0.9)
    # Four trials of 10 epochs wait, 8 and 9 epochs remain of those running: 57 of 4 s by two.
    assert ProgressMeter(story.ledger).measure(story.now).left_s == pytest.approx(57 * 4 / 2)


def test_meter_estimates_from_the_trials_that_have_ended(make_story: MakeStory) -> None:
    story = make_story(n_trials=6, epochs=10, slots=2, seconds=4.0)
    story.session()
    story.start(1, 2, 3)
    story.epoch(1, 0.9, 0.91)
    story.end(1, "STOPPED")
    story.epoch(2, 0.9, 0.91, 0.92, 0.93)
    story.end(2, "STOPPED")
    story.epoch(3, 0.9)
    # They took 3 epochs on average. Four wait or begin; trial 3 has either the usual 2 to go
    # or, should it outlast the others, half of its remaining 9.
    assert ProgressMeter(story.ledger).measure(story.now).left_s == pytest.approx(
        (3 * 3 + 4.5) * 4 / 2
    )


def test_meter_still_estimates_while_the_next_trial_begins(make_story: MakeStory) -> None:
    story = make_story(n_trials=3, epochs=2, slots=1, seconds=4.0)
    story.session()
    story.start(1)
    story.epoch(1, 0.9, 0.91)
    story.end(1)
    meter = ProgressMeter(story.ledger)
    assert meter.measure(story.now).left_s == pytest.approx(2 * 2 * 4)
    story.start(2)
    assert meter.measure(story.now).left_s == pytest.approx(2 * 2 * 4)


def test_meter_has_no_time_left_at_the_end(make_story: MakeStory) -> None:
    story = make_story(n_trials=1, epochs=1)
    story.session()
    story.start(1)
    story.epoch(1, 0.9)
    story.end(1)
    progress = ProgressMeter(story.ledger).measure(story.now)
    assert (progress.n_ended, progress.left_s) == (1, None)


def test_meter_agrees_with_a_whole_ledger(
    make_sweep: Callable[..., Any], synthetic: ModuleType
) -> None:
    _, ledger = make_sweep(n_trials=60, failure_rate=0.1, n_running=2)
    progress = ProgressMeter(ledger).measure(synthetic.BEGIN + 9999)
    assert progress.n_complete == len(ledger.in_state("COMPLETE"))
    assert progress.n_stopped == len(ledger.in_state("STOPPED"))
    assert progress.failures == ledger.in_state("FAILED")
    assert progress.running == ledger.in_state("RUNNING")
    assert progress.n_epochs == sum(len(trial.epochs) for trial in ledger.trials.values())
    assert progress.best is not None
    scores = {
        trial.trial_id: sum(epoch.val_accuracy for epoch in trial.epochs[-3:]) / 3
        for trial in ledger.in_state("COMPLETE")
    }
    assert progress.best.score == pytest.approx(max(scores.values()))
    assert scores[progress.best.trial.trial_id] == pytest.approx(max(scores.values()))
