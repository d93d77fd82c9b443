from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from sweep.cli.screen.progress import measure

MakeStory = Callable[..., Any]


def test_empty_ledger_has_no_progress(make_story: MakeStory) -> None:
    story = make_story(n_trials=4)
    progress = measure(story.ledger, story.now + 5)
    assert (progress.n_ended, progress.n_trials, progress.n_epochs) == (0, 4, 0)
    assert (progress.running, progress.best, progress.left_s) == ([], None, None)
    assert progress.elapsed_s == 5


def test_time_is_measured_from_the_newest_session(make_story: MakeStory) -> None:
    story = make_story()
    story.session()
    story.now += 1000
    story.session()
    assert measure(story.ledger, story.now + 7).elapsed_s == 7


def test_estimate_is_from_full_trials_before_one_has_ended(make_story: MakeStory) -> None:
    story = make_story(n_trials=6, epochs=10, slots=2, seconds=4.0)
    story.session()
    story.start(1, 2)
    story.epoch(1, 0.9, 0.91)
    story.epoch(2, 0.9)
    # Four trials of 10 epochs wait, 8 and 9 epochs remain of those running: 57 of 4 s by two.
    assert measure(story.ledger, story.now).left_s == pytest.approx(57 * 4 / 2)


def test_estimate_is_from_the_trials_that_have_ended(make_story: MakeStory) -> None:
    story = make_story(n_trials=6, epochs=10, slots=2, seconds=4.0)
    story.session()
    story.start(1, 2, 3)
    story.epoch(1, 0.9, 0.91)
    story.end(1, "STOPPED")
    story.epoch(2, 0.9, 0.91, 0.92, 0.93)
    story.end(2, "STOPPED")
    story.epoch(3, 0.9)
    # They took 3 epochs on average. Three wait; trial 3 has either the usual 2 epochs left or,
    # should it outlast the others, half of its remaining 9.
    expected = (3 * 3 + 4.5) * 4 / 2
    assert measure(story.ledger, story.now).left_s == pytest.approx(expected)


def test_estimate_continues_while_the_next_trial_begins(make_story: MakeStory) -> None:
    story = make_story(n_trials=3, epochs=2, slots=1, seconds=4.0)
    story.session()
    story.start(1)
    story.epoch(1, 0.9, 0.91)
    story.end(1)
    assert measure(story.ledger, story.now).left_s == pytest.approx(2 * 2 * 4)
    story.start(2)
    assert measure(story.ledger, story.now).left_s == pytest.approx(2 * 2 * 4)


def test_progress_is_that_of_the_ledger(
    make_sweep: Callable[..., Any], synthetic: ModuleType
) -> None:
    _, ledger = make_sweep(n_trials=60, failure_rate=0.1, n_running=2)
    progress = measure(ledger, synthetic.BEGIN + 9999)
    states = [trial.state for trial in ledger.trials.values()]
    assert progress.n_complete == states.count("COMPLETE")
    assert progress.n_stopped == states.count("STOPPED")
    assert progress.n_failed == states.count("FAILED")
    assert [trial.trial_id for trial in progress.running] == [59, 60]
    assert progress.n_ended == 58
    assert progress.n_epochs == sum(len(trial.epochs) for trial in ledger.trials.values())
    scores = {
        trial.trial_id: sum(epoch.val_accuracy for epoch in trial.epochs[-3:]) / 3
        for trial in ledger.in_state("COMPLETE")
    }
    assert progress.best is not None
    assert progress.best.score == pytest.approx(max(scores.values()))
    assert scores[progress.best.trial.trial_id] == pytest.approx(max(scores.values()))
