import pytest
from msgspec.structs import replace

from analysis.plots.points import Dimension, points
from analysis.plots.results import NothingToDrawError
from analysis.records.dataset import DataRecord
from analysis.results.selection import Selection
from in_memory import CONFIG, make_ledger


def test_points_group_trials_by_how_they_ended(some_ledger):
    data, trials = points(some_ledger), some_ledger.trials
    assert data.ranked == [Selection(trials[3], 0.99), Selection(trials[1], 0.985)]
    assert (data.stopped, data.failed) == ([trials[2]], [trials[4]])
    dropout, weight_decay = data.dimensions
    assert dropout == Dimension("dropout", 0.0, 0.5)
    assert weight_decay == Dimension("weight_decay", 1e-6, 1e-2, "log")
    assert weight_decay.label == "weight decay"


def test_scores_are_measured_on_the_validation_images_of_the_sweep():
    ledger = make_ledger(*[("COMPLETE", {}, [0.9] * 3 + [last]) for last in (0.98, 1.0, 1.0, 1.0)])
    assert len(points(ledger).far_below) == 1
    ledger.created = replace(ledger.created, data=DataRecord(n_validation=50))
    data = points(ledger)
    assert data.far_below == []
    assert data.score.ticks() == pytest.approx({0.0: "98", 1.0: "100"})


def test_dimensions_know_choices():
    ledger = make_ledger(("COMPLETE", {"schedule": "c"}, [0.5]), space={"schedule": ["a", "b"]})
    (schedule,) = points(ledger).dimensions
    assert schedule.choices == ("a", "b", "c")
    assert schedule.ticks() == {0.0: "a", 0.5: "b", 1.0: "c"}


def test_points_complete_trials_that_did_not_draw_a_value():
    ledger = make_ledger(
        ("COMPLETE", {"dropout": 0.1, "shift": 0.1}, [0.95]),
        ("COMPLETE", {"rotation": 5.0}, [0.99]),
        recipe={"schedule": "linear", "dropout": 0.75},
        space={"dropout": {"low": 0.0, "high": 0.5}, "shift": {"low": 0.05, "high": 0.1}},
    )
    # From the recipe, and from the defaults of an older program that had no such recipe.
    dropout, shift = points(ledger).dimensions
    trials = [ledger.trials[2], ledger.trials[1]]
    assert (dropout.high, dropout.positions(trials)) == (0.75, pytest.approx([1.0, 0.1 / 0.75]))
    assert (shift.low, shift.positions(trials)) == (0.0, [0.0, 1.0])


def test_trials_without_a_value_are_left_out_and_counted():
    space = CONFIG["space"] | {"model.width": {"low": 1, "high": 3}}
    drawn = {"dropout": 0.25, "weight_decay": 1e-4}
    ledger = make_ledger(
        ("COMPLETE", drawn, [0.99]), ("COMPLETE", drawn | {"model.width": 2}, [0.9]), space=space
    )
    data = points(ledger)
    assert [selection.trial.trial_id for selection in data.ranked] == [2]
    assert data.dimensions[-1].ticks() == {0.0: "1", 0.5: "2", 1.0: "3"}
    assert (data.about_left_out, data.best_words) == (
        "Left out: 1 trial without a value of model.width. ",
        "best shown",
    )
    with pytest.raises(NothingToDrawError, match="no trial with a value of every"):
        points(make_ledger(("COMPLETE", drawn, [0.99]), space=space))


def test_many_earlier_values_are_one_choice():
    trials = [("COMPLETE", {"learning_rate": i / 100}, [0.9]) for i in range(1, 11)]
    ledger = make_ledger(*trials, space={"learning_rate": [0.02, 0.04]})
    (dimension,) = points(ledger).dimensions
    assert list(dimension.ticks().values()) == ["0.02", "0.04", "earlier"]
    assert [dimension.position(value) for value in (0.04, 0.05)] == [0.5, 1.0]


def test_points_need_something_searched():
    with pytest.raises(NothingToDrawError, match="no hyperparameter is searched"):
        points(make_ledger(("COMPLETE", {}, [0.95]), space={}))


@pytest.mark.parametrize(("n", "expected"), [(1, 1), (7, 1), (8, 3), (30, 3), (31, 4), (170, 17)])
def test_best_are_a_tenth_if_there_are_enough(n, expected):
    trials = [("COMPLETE", {}, [0.9 + i / 1e4]) for i in range(n)]
    assert points(make_ledger(*trials)).n_best == expected


@pytest.mark.parametrize(("n_tied", "expected"), [(2, 3), (4, 4), (9, 9)])
def test_trials_that_tie_with_the_last_of_the_best_count_too(n_tied, expected):
    trials = [("COMPLETE", {}, [1.0 - max(0, i - n_tied + 1) / 1e4]) for i in range(12)]
    assert points(make_ledger(*trials)).n_best == expected


@pytest.mark.parametrize(
    ("dimension", "value", "expected"),
    [
        (Dimension("x", 0.0, 0.5), 0.125, 0.25),
        (Dimension("x", 1e-6, 1e-2, "log"), 1e-5, 0.25),
        (Dimension("x", 0.9, 0.99, "accuracy", n_images=100), 0.99, 1.0),
        (Dimension("x", 0.9, 0.99, "accuracy", n_images=100), 0.1, 0.0),
        (Dimension("x", 3.0, 3.0), 3.0, 0.5),
        (Dimension("x", 3.0, 3.0), 2.0, 0.0),
        (Dimension("x", 0, 0, choices=("a",)), "a", 0.5),
        (Dimension("x", 0, 1, choices=(True, False)), False, 1.0),
    ],
)
def test_position_is_the_fraction_of_the_axis(dimension, value, expected):
    assert dimension.position(value) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("dimension", "expected"),
    [
        (
            Dimension("x", 1e-6, 1e-2, "log"),
            {0.0: "10⁻⁶", 0.25: "10⁻⁵", 0.5: "10⁻⁴", 0.75: "0.001", 1.0: "0.01"},
        ),
        (Dimension("x", 0.0, 30.0), {0.0: "0", 1 / 3: "10", 2 / 3: "20", 1.0: "30"}),
        (Dimension("x", 64.0, 64.0), {0.5: "64"}),
        (Dimension("x", 0.9912, 0.9912, "accuracy"), {0.5: "99.12"}),
    ],
)
def test_ticks_are_round(dimension, expected):
    ticks = dimension.ticks()
    assert list(ticks) == pytest.approx(list(expected))
    assert list(ticks.values()) == list(expected.values())


def test_small_panel_has_few_ticks():
    rate = Dimension("learning_rate", 0.003, 0.3, "log")
    assert list(rate.ticks().values()) == ["0.005", "0.01", "0.02", "0.05", "0.1", "0.2"]
    assert list(rate.ticks(few=True).values()) == ["0.01", "0.1"]
