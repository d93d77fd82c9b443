from dataclasses import dataclass, field
from typing import Any

import pytest

from analysis.hyperparameters import format_value
from analysis.records.ledger import Ledger, Notice, SessionEnded
from in_memory import begin_ledger, session_started, trial_ended, trial_epoch, trial_started
from rendering import render
from sweep.screen.search_view import SearchView, seconds_left, sparklines

FIVE = {
    "dropout": 0.123456,
    "rotation": 12.3456,
    "shift": 0.0623456,
    "weight_decay": 0.000123456,
    "learning_rate": 0.00123456,
}
BEGIN = 1_800_000_000.0


@dataclass
class Story:
    """A ledger in memory whose session begins at once; an epoch takes some `seconds`."""

    n_trials: int = 4
    epochs: int = 2
    slots: int = 2
    now: float = BEGIN
    seconds: float = 10.0
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        recipe = {"schedule": "constant"}
        space = {"dropout": {"low": 0.0, "high": 0.5}}
        config = {"trials": self.n_trials, "epochs": self.epochs, "recipe": recipe, "space": space}
        self.ledger = begin_ledger(config, time=self.now)
        self.session()

    def session(self) -> None:
        self.ledger.apply(session_started(self.slots, self.now))

    def start(self, *trial_ids: int, **hyperparameters: Any) -> None:
        for trial_id in trial_ids:
            values = hyperparameters or {"dropout": 0.25}
            self.ledger.apply(trial_started(trial_id, values, time=self.now))

    def epoch(self, trial_id: int, *accuracies: float) -> None:
        for accuracy in accuracies:
            self.now += self.seconds
            number = len(self.ledger.trials[trial_id].epochs) + 1
            taken = {"time": self.now, "seconds": self.seconds}
            self.ledger.apply(trial_epoch(trial_id, number, accuracy, **taken))

    def end(self, trial_id: int, state: Any = "COMPLETE", reason: str | None = None) -> None:
        self.ledger.apply(trial_ended(trial_id, state, reason, self.now))


def see(story: Story) -> SearchView:
    """A view of a story, 65 s after its beginning."""
    return SearchView(story.ledger, lambda: BEGIN + 65)


def test_view_of_a_running_search():
    story = Story(n_trials=4, epochs=5)
    view = see(story)
    counts = "0 complete  0 stopped early  {}  0 failed  {} epochs"
    assert render(view.picture())[1] == counts.format("starting workers", 0)
    story.start(1, 2)
    story.epoch(1, 0.9, 0.95)
    # 5 s later than the session's own beginning, two trials wait with 3 and 5 epochs to go.
    assert view.line() == (
        "searching: 0/4 trials, 0 stopped early, 2 epochs, 1 min 05 s elapsed, about 90 s left"
    )
    picture = render(view.picture())
    assert picture[1] == counts.format("2 running", 2)
    assert picture[3:] == [
        "trial  epoch  validation  curve  dropout",
        "    1    2/5     95.00 %  ▁█···     0.25",
        "    2    0/5           –  ·····     0.25",
    ]


def test_trials_of_a_session_before_run_again_once_an_epoch_has_ended():
    story = Story(n_trials=4, epochs=5)
    view = see(story)
    story.start(1, 2)
    story.epoch(1, 0.9)
    story.session()
    assert "starting workers" in render(view.picture())[1]
    story.epoch(2, 0.9)
    assert "2 running" in render(view.picture())[1]
    story.end(1, "STOPPED")
    story.end(2, "STOPPED")
    assert "0 running" in render(view.picture())[1]


def test_view_of_a_finished_search():
    story = Story(n_trials=2, epochs=1)
    view = see(story)
    for trial_id, accuracy in ((1, 0.98), (2, 0.9925)):
        story.start(trial_id, dropout=0.1 * trial_id, rotation=12.0)
        story.epoch(trial_id, accuracy)
        story.end(trial_id)
    assert view.fraction() == 1
    assert view.line() == (
        "searched: 2/2 trials, 0 stopped early, 2 epochs, 1 min 05 s elapsed, "
        "best 99.25 % (trial 2)"
    )
    picture = render(view.picture())
    assert picture[0] == f"searching  {'━' * 24}  2 of 2 trials  1 min 05 s elapsed"
    assert picture[1] == "2 complete  0 stopped early  0 running  0 failed  2 epochs"
    assert picture[2] == "best 99.25 % (trial 2)  dropout 0.2  rotation 12°"


def test_best_preview_is_shown_until_a_trial_has_run_all_its_epochs():
    story = Story(n_trials=3, epochs=4)
    view = see(story)
    for trial_id, accuracy in ((1, 0.97), (2, 0.96)):
        preview = trial_started(trial_id, {"dropout": 0.1}, preview_epochs=1, time=story.now)
        story.ledger.apply(preview)
        story.epoch(trial_id, accuracy)
        story.end(trial_id, "STOPPED")
    assert render(view.picture())[2] == "best preview so far 97.00 % (trial 1)  dropout 0.1"
    assert view.line().endswith(", best preview 97.00 % (trial 1)")
    story.start(3)
    story.epoch(3, 0.9, 0.95, 0.95, 0.95)
    story.end(3)
    assert render(view.picture())[2].startswith("best 95.00 % (trial 3)")


def test_view_has_notices_and_counts_failures_and_stopped_trials():
    story = Story(n_trials=8)
    view = see(story)
    story.start(1, 2, 3, 4)
    story.epoch(1, 0.9)
    story.ledger.apply(Notice(story.now, 2, "its process died; another process continues"))
    story.ledger.apply(Notice(story.now, None, "the disk is nearly full"))
    story.end(1, "STOPPED")
    story.end(2, "FAILED", "training loss became nan in epoch 1")
    assert view.news() == [
        "trial 2: its process died; another process continues",
        "the disk is nearly full",
        "trial 2 failed: training loss became nan in epoch 1",
    ]
    assert view.fraction() == 0.25
    counts = render(view.picture())[1]
    assert counts == "0 complete  1 stopped early  2 running  1 failed  1 epoch"
    assert view.line().startswith("searching: 2/8 trials, 1 stopped early, 1 failed, 1 epoch, ")


@pytest.mark.parametrize("width", [40, 60, 80, 140])
def test_view_cuts_nothing_and_breaks_no_word(width):
    story = Story(n_trials=40, epochs=15)
    story.start(1, **FIVE)
    story.epoch(1, *[0.99] * 15)
    story.end(1)
    story.start(2, **FIVE)
    story.epoch(2, *[0.98] * 15)
    lines = render(see(story).picture(), width=width)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for piece in ("1 of 40 trials", "1 stopped early", "98.00 %", "99.00 % (trial 1)", "15/15"):
        assert piece in text.replace("0 stopped", "1 stopped"), lines
    *_, last = lines
    shown = text if width < 80 else last
    assert all(format_value(name, value) in shown for name, value in FIVE.items())


def test_nothing_is_running_without_a_driver():
    story = Story(n_trials=4, epochs=5)
    story.start(1)
    story.epoch(1, 0.9, 0.95)
    for is_running in (False, True):
        view = SearchView(story.ledger, lambda: BEGIN + 65, is_running=is_running)
        picture = render(view.picture())
        assert picture[0] == f"{'─' * 24}  0 of 4 trials  20 s elapsed"
        assert "  1 interrupted  " in picture[1]
        # A driver that works on the sweep now, confirms it.
        story.ledger.apply(SessionEnded(story.now, "interrupted by SIGINT"))


@pytest.mark.parametrize(
    ("curves", "bars"),
    [
        ([[], []], ["····", "····"]),
        ([[0.5]], ["▁···"]),
        # On a log scale of the error from 80 % to 20 %: 40 % is half-way.
        ([[0.2, 0.62, 0.8], [0.2, 0.2]], ["▁▅█·", "▁▁··"]),
        # From 10 % to 0.1 % or less; the first epoch of five is not shown.
        ([[0.0, 0.9, 0.9, 0.992, 1.0]], ["▁▁▅█"]),
    ],
)
def test_sparklines_show_the_last_accuracies(curves, bars):
    story = Story(epochs=9)
    for number, accuracies in enumerate(curves, start=1):
        story.start(number)
        story.epoch(number, *accuracies)
    assert sparklines([*story.ledger.trials.values()], width=4) == bars


def test_elapsed_time_excludes_the_pauses_between_sessions():
    story = Story()
    assert "1 min 05 s elapsed" in see(story).line()
    story.start(1)
    story.epoch(1, 0.9)
    story.now += 50
    story.session()
    assert " 15 s elapsed" in see(story).line()


def test_time_left_says_that_the_confirmation_follows():
    story = Story(n_trials=4, epochs=5)
    story.ledger.config["confirm"] = {"top_k": 1, "seeds": 5}
    story.start(1, 2)
    story.epoch(1, 0.9, 0.95)
    assert see(story).line().endswith("about 90 s left, then the confirmation")


def test_estimate_ends_with_the_time_budget():
    story = Story(n_trials=100, epochs=1, slots=1)
    story.start(1)
    story.epoch(1, 0.9)
    story.end(1)
    assert seconds_left(story.ledger) == pytest.approx(990)
    story.ledger.config["time_budget"] = "30s"
    assert seconds_left(story.ledger) == pytest.approx(20)


@pytest.mark.parametrize(
    ("story", "trials", "expected"),
    [
        (Story(6, 10, seconds=4.0), [], None),
        # Four trials of 10 epochs wait, 8 and 9 epochs remain of those running: 57 of 4 s by two.
        (Story(6, 10, seconds=4.0), [(2, None), (1, None)], 57 * 4 / 2),
        # They took 2 and 4 epochs, trial 3 may take 10. Three wait; trial 3 has either the rest of
        # these 16 / 3 epochs left or, should it outlast the others, half of its remaining 9.
        (
            Story(6, 10, seconds=4.0),
            [(2, "STOPPED"), (4, "STOPPED"), (1, None)],
            (3 * 16 / 3 + 4.5) * 4 / 2,
        ),
        # At least the time of the longest trial.
        (Story(2, 10, slots=16, seconds=4.0), [(1, None), (3, None)], 9 * 4),
        # The same before and after the next trial begins.
        (Story(3, 2, slots=1, seconds=4.0), [(2, "COMPLETE")], 2 * 2 * 4),
        (Story(3, 2, slots=1, seconds=4.0), [(2, "COMPLETE"), (0, None)], 2 * 2 * 4),
    ],
)
def test_estimate_is_from_the_epochs_of_the_trials_so_far(story, trials, expected):
    for trial_id, (n_epochs, state) in enumerate(trials, start=1):
        story.start(trial_id)
        story.epoch(trial_id, *[0.9] * n_epochs)
        if state is not None:
            story.end(trial_id, state)
    assert seconds_left(story.ledger) == pytest.approx(expected)
