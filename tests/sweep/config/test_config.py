import pickle

import pytest
from pydantic import ValidationError

from analysis.hyperparameters import DEFAULTS
from sweep.config import Scheduler, SweepConfig
from sweep.config.dimensions import Choices, FloatRange, IntRange
from sweep.config.resolve import PRESETS, resolve_config

_UNUSUAL = SweepConfig(
    model="mlp",
    seed=2**32 - 1,
    epochs=1,
    time_budget="1h30m",
    recipe={"dropout": 1e-9, "weight_decay": 1e-6, "schedule": "linear"},
    space={
        "rotation": {"low": 0, "high": 30, "step": 0.1},
        "shift": [0.0, 1e-7, 1],
        "batch_size": {"low": 1, "high": 50_000, "log": True},
        "learning_rate": {"low": 5e-324, "high": 100, "log": True},
        "nesterov": [True, False],
    },
    initial_points=[{"shift": 1e-7, "nesterov": True}, {"learning_rate": 0.1, "rotation": 0.3}],
    searcher="gp",
    scheduler="none",
    resources={"cpu": 0.01, "gpu": 0.5},
    confirm="none",
)


@pytest.mark.parametrize("config", [resolve_config(preset="best"), _UNUSUAL])
@pytest.mark.parametrize("preset", PRESETS)
def test_config_reads_back_equal_from_yaml_json_and_plain_data(config, preset, tmp_path):
    (tmp_path / "config.yaml").write_text(config.to_yaml(), encoding="utf-8")
    assert resolve_config(preset=preset, path=tmp_path / "config.yaml") == config
    assert SweepConfig.model_validate(config.model_dump(mode="json")) == config
    assert SweepConfig.model_validate_json(config.model_dump_json()) == config
    assert pickle.loads(pickle.dumps(config)) == config


def test_hyperparameters_are_the_draw_then_the_recipe_then_the_defaults():
    config = SweepConfig(
        recipe={"shift": 0.1, "momentum": 0.8},
        space={"dropout": {"low": 0, "high": 0.5}, "learning_rate": [0.1, 0.2]},
    )
    draw = {"dropout": 0.1, "learning_rate": 0.2, "momentum": 0.7}
    assert config.hyperparameters(draw) == {**DEFAULTS, "shift": 0.1, **draw}
    with pytest.raises(ValueError, match="the draw lacks dropout, learning_rate"):
        config.hyperparameters({})
    with pytest.raises(ValueError, match="`dropout` must be at least 0 and below 1"):
        config.hyperparameters({**draw, "dropout": 1.0})


def test_reported_begins_with_what_is_searched_and_has_all_regularizers():
    config = SweepConfig(space={"dropout": [0, 0.1], "batch_size": [32, 64]})
    found = config.reported(config.hyperparameters({"dropout": 0.1, "batch_size": 32}))
    assert list(found.items()) == [
        ("dropout", 0.1),
        ("batch_size", 32),
        ("rotation", 0.0),
        ("shift", 0.0),
        ("weight_decay", 0.0),
    ]


def test_initial_points_leave_out_names_that_are_fixed_at_the_same_value():
    points = [{"shift": 0.1, "momentum": 0.9}, {"momentum": 0.9}, {"rotation": 3}]
    config = SweepConfig(initial_points=points)
    assert config.initial_points == ({"shift": 0.1}, {"rotation": 3.0})


def test_hyperparameter_is_either_fixed_or_searched():
    space = {"dropout": [0.1, 0.2], "shift": [0.1, 0.2]}
    with pytest.raises(ValidationError, match=r"space\.dropout\n  is also fixed in `recipe`"):
        SweepConfig(recipe={"dropout": 0.3, "shift": 0.0}, space=space)


def test_config_of_an_old_ledger_equals_the_new_one():
    old = SweepConfig().model_dump(mode="json")
    del old["recipe"]["nesterov"]  # as if it had been added since
    assert SweepConfig.model_validate(old) == SweepConfig()


@pytest.mark.parametrize(
    ("name", "raw", "expected"),
    [
        ("rotation", {"low": 0, "high": 30, "step": 5}, FloatRange(low=0, high=30, step=5)),
        ("shift", {"low": 0.1, "high": 0.3, "step": 0.1}, FloatRange(low=0.1, high=0.3, step=0.1)),
        ("weight_decay", {"low": 0, "high": 1, "log": False}, FloatRange(low=0.0, high=1.0)),
        (
            "batch_size",
            {"low": 16, "high": 256, "log": True},
            IntRange(low=16, high=256, log=True),
        ),
        ("batch_size", {"choices": [64, 32]}, Choices(choices=(64, 32))),
        ("momentum", [0, 0.9], Choices(choices=(0.0, 0.9))),
        ("schedule", ["linear", "constant"], Choices(choices=("linear", "constant"))),
        ("nesterov", [False, True], Choices(choices=(False, True))),
    ],
)
def test_dimension_is_a_range_or_choices_of_the_kind_of_the_hyperparameter(name, raw, expected):
    dimension = SweepConfig(space={name: raw}).space[name]
    assert dimension == expected
    plain = dimension.model_dump()
    assert SweepConfig(space={name: plain}).space[name] == expected


@pytest.mark.parametrize(
    ("dimension", "inside", "outside"),
    [
        (FloatRange(low=0.1, high=0.5), [0.1, 0.5], [0.0, 0.51]),
        (FloatRange(low=0.1, high=0.7, step=0.1), [0.3, 0.7], [0.35]),
        (IntRange(low=16, high=64, step=16), [48], [40, 48.0, True]),
        (Choices(choices=(32, 64)), [64], [48, 64.0]),
        (Choices(choices=(0, 1)), [1], [True]),
    ],
)
def test_why_invalid_is_none_inside_the_dimension(dimension, inside, outside):
    assert [dimension.why_invalid(value) for value in inside] == [None] * len(inside)
    assert None not in [dimension.why_invalid(value) for value in outside]


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("asha", "asha"),
        ("none", "none"),
        (None, "none"),
        ({"name": "none"}, "none"),
        ({"name": "none", "grace_period": 5}, "none"),
    ],
)
def test_scheduler_may_be_named_alone_and_none_has_one_form(raw, name):
    assert SweepConfig(scheduler=raw).scheduler == Scheduler(name=name)


_TWO_POINTS = {"initial_points": [{"shift": 0.1}, {"shift": 0}]}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, []),
        ({"epochs": 4}, []),
        ({"epochs": 3}, ["stopped early"]),
        ({"epochs": 3, "scheduler": "none"}, []),
        ({"epochs": 3, "scheduler": "preview"}, ["no trial is a preview"]),
        ({"scheduler": "preview", "recipe": {"warmup_epochs": 3}}, ["previews only warm up"]),
        ({"recipe": {"warmup_epochs": 15}}, ["warm up"]),
        ({"trials": 8}, ["at random"]),
        ({"trials": 8, "searcher": "gp"}, ["learns nothing from"]),
        ({"searcher": "gp", "scheduler": "preview"}, []),
        ({"trials": 1, **_TWO_POINTS}, ["only 1 of the 2"]),
        # The last trial repeats a preview.
        ({"trials": 2, "scheduler": "preview", **_TWO_POINTS}, ["only 1 of the 2"]),
    ],
)
def test_notes_tell_what_may_surprise(fields, words):
    notes = list(SweepConfig(**fields).notes())
    assert len(notes) == len(words)
    assert all(word in note for word, note in zip(words, notes, strict=True))


def test_space_has_one_order():
    space = {"batch_size": [2, 1], "shift": [0, 0.1], "dropout": {"low": 0, "high": 0.1}}
    assert list(SweepConfig(space=space).space.items()) == [
        ("dropout", FloatRange(low=0.0, high=0.1)),
        ("shift", Choices(choices=(0.0, 0.1))),
        ("batch_size", Choices(choices=(2, 1))),
    ]
