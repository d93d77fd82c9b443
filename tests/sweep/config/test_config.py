import math
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sweep.config import HAND_TUNED, SweepConfig
from sweep.config.dimensions import Choices, Range
from sweep.config.resolve import PRESETS, load_config
from sweep.config.sections import Confirm, Recipe, Scheduler

_CLASSIC_RECIPE = {
    "batch_size": 64,
    "learning_rate": 0.01,
    "schedule": "constant",
    "warmup_epochs": 0.0,
    "momentum": 0.9,
    "nesterov": False,
}

# Bounds of what each number is drawn from here: inside its domain, and momentum above 0, so
# that every combination with Nesterov is allowed.
_BOUNDS = {
    "dropout": (0.0, 0.99),
    "rotation": (0.0, 180.0),
    "shift": (0.0, 1.0),
    "weight_decay": (0.0, 100.0),
    "learning_rate": (1e-300, 100.0),
    "warmup_epochs": (0.0, 1e4),
    "momentum": (1e-3, 0.999),
}
_WORDS = {"schedule": ("constant", "linear"), "nesterov": (True, False)}


def _values(name):
    if name in _WORDS:
        return st.sampled_from(_WORDS[name])
    return st.integers(1, 50_000) if name == "batch_size" else st.floats(*_BOUNDS[name])


@st.composite
def _dimensions(draw, name):
    pair = sorted(draw(st.lists(_values(name), min_size=2, max_size=2, unique=True)))
    if name in _WORDS or draw(st.booleans()):
        return pair
    return {"low": pair[0], "high": pair[1], "log": draw(st.booleans()) and pair[0] > 0}


@st.composite
def _configs(draw):
    names = [*_BOUNDS, *_WORDS, "batch_size"]
    searched = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    space = {name: draw(_dimensions(name)) for name in searched}
    fixed = draw(st.sets(st.sampled_from(names))) - set(searched)
    corners = {k: v[0] if isinstance(v, list) else v["high"] for k, v in space.items()}
    points = st.sets(st.sampled_from(searched), min_size=1)
    return SweepConfig(
        model=draw(st.sampled_from(["lenet5", "mlp"])),
        seed=draw(st.integers(0, 2**32 - 1)),
        split_seed=draw(st.integers(0, 2**32 - 1)),
        trials=draw(st.integers(1, 1_000_000)),
        epochs=draw(st.integers(1, 10_000)),
        recipe={name: draw(_values(name)) for name in sorted(fixed)},
        space=space,
        first=[{n: corners[n] for n in sorted(p)} for p in draw(st.lists(points, max_size=3))],
        searcher=draw(st.sampled_from(["tpe", "random", "gp"])),
        scheduler=draw(
            st.just("none")
            | st.builds(Scheduler, grace_period=st.integers(1, 99), reduction_factor=st.just(2))
        ),
        resources={
            "cpu": draw(st.floats(0.01, 1024)),
            "gpu": draw(st.floats(0.01, 1) | st.just(0) | st.integers(1, 64)),
        },
        confirm=draw(st.just("none") | st.builds(Confirm, seeds=st.integers(1, 1000))),
    )


@settings(deadline=None)
@given(_configs(), st.sampled_from(PRESETS))
def test_to_yaml_reads_back_equal_over_any_preset(config, preset):
    loaded = load_config(config.to_yaml(), "config.yaml", preset=preset)
    assert loaded == config


@settings(deadline=None)
@given(_configs())
def test_model_dump_validates_to_an_equal_config(config):
    assert SweepConfig.model_validate(config.model_dump(mode="json")) == config
    assert SweepConfig.model_validate_json(config.model_dump_json()) == config


def test_config_survives_pickling():
    config = SweepConfig(space={"batch_size": [32, 64]}, confirm="none")
    assert pickle.loads(pickle.dumps(config)) == config


def test_to_yaml_of_the_defaults_is_laid_out_as_a_person_would():
    assert SweepConfig().to_yaml() == (
        "model: lenet5\n"
        "seed: 0\n"
        "split_seed: 0\n"
        "trials: 32\n"
        "epochs: 15\n"
        "recipe:\n"
        "  batch_size: 64\n"
        "  learning_rate: 0.01\n"
        "  schedule: constant\n"
        "  warmup_epochs: 0.0\n"
        "  momentum: 0.9\n"
        "  nesterov: false\n"
        "space:\n"
        "  dropout: {low: 0.0, high: 0.5}\n"
        "  rotation: {low: 0.0, high: 30.0}\n"
        "  shift: {low: 0.0, high: 0.15}\n"
        "  weight_decay: {low: 1.0e-06, high: 0.01, log: true}\n"
        "first:\n"
        "  - {dropout: 0.25, rotation: 10.0, shift: 0.05, weight_decay: 0.001}\n"
        "searcher: tpe\n"
        "scheduler:\n"
        "  name: asha\n"
        "  grace_period: 3\n"
        "  reduction_factor: 3\n"
        "resources:\n"
        "  cpu: 1.0\n"
        "  gpu: 0.0\n"
        "confirm:\n"
        "  top_k: 1\n"
        "  seeds: 5\n"
    )


def test_hyperparameters_joins_draw_and_recipe():
    assert SweepConfig().hyperparameters(HAND_TUNED) == {**HAND_TUNED, **_CLASSIC_RECIPE}


def test_hyperparameters_prefers_the_draw_and_switches_off_what_nobody_mentions():
    config = SweepConfig(
        recipe={"shift": 0.1, "momentum": 0.8},
        space={"dropout": {"low": 0, "high": 0.5}, "learning_rate": [0.1, 0.2]},
    )
    found = config.hyperparameters({"dropout": 0.1, "learning_rate": 0.2, "momentum": 0.7})
    assert found == _CLASSIC_RECIPE | {
        "dropout": 0.1,
        "rotation": 0.0,
        "shift": 0.1,
        "weight_decay": 0.0,
        "learning_rate": 0.2,
        "momentum": 0.7,
    }


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        ({"dropout": 0.1}, r"lacks \['rotation', 'shift', 'weight_decay'\]"),
        ({**HAND_TUNED, "lr": 1}, r"unknown \['lr'\]"),
        ({**HAND_TUNED, "dropout": 1.0}, "`dropout` must be at least 0 and below 1"),
        ({**HAND_TUNED, "shift": math.nan}, "`shift` must be between 0 and 1"),
    ],
)
def test_hyperparameters_refuses_a_draw_that_is_none(draw, message):
    with pytest.raises(ValueError, match=message):
        SweepConfig().hyperparameters(draw)


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


def test_first_defaults_to_what_the_space_holds_of_the_hand_tuned_point():
    assert SweepConfig().first == (HAND_TUNED,)
    assert SweepConfig(space={"dropout": {"low": 0, "high": 0.5}}).first == ({"dropout": 0.25},)
    assert SweepConfig(space={"dropout": {"low": 0.3, "high": 0.5}}).first == ()
    assert SweepConfig(space={"momentum": [0.8, 0.9]}).first == ()


def test_first_leaves_out_names_that_are_fixed_at_the_same_value():
    points = [{"shift": 0.1, "momentum": 0.9}, {"momentum": 0.9}, {"rotation": 3}]
    assert SweepConfig(first=points).first == ({"shift": 0.1}, {"rotation": 3.0})


@pytest.mark.parametrize(
    ("fields", "location", "message"),
    [
        ({"first": [{"rotation": 31}]}, ("first", 0, "rotation"), "range, 0.0 to 30.0, but got"),
        ({"first": [{"rotation": 181}]}, ("first", 0, "rotation"), "between 0 and 180 degrees"),
        ({"first": [{"momentum": 0.8}]}, ("first", 0, "momentum"), "fixed at 0.9"),
        ({"first": [{}]}, ("first", 0), "must be a point"),
        ({"first": [3]}, ("first", 0), "must be a point"),
        ({"first": {"rotation": 3}}, ("first",), "must be a list of points"),
        ({"first": [{"shift": 0.1}] * 201}, ("first",), "at most 200 points, but got 201"),
        ({"first": [{"rotatoin": 1}]}, ("first", 0, "rotatoin"), "did you mean `rotation`?"),
        ({"recipe": {"dropout": 0.2}}, ("space",), "`dropout`, which `recipe` fixes"),
        ({"confirm": {"top_k": 0}}, ("confirm", "top_k"), "between 1 and 100"),
        ({"confirm": True}, ("confirm",), "or `none`, but got true"),
        (
            {"scheduler": {"grace_period": 0}},
            ("scheduler", "grace_period"),
            "between 1 and 10,000",
        ),
        ({"scheduler": 3}, ("scheduler",), "or `none`, but got 3"),
        ({"resources": {"gpu": 1.5}}, ("resources", "gpu"), "a whole number up to 64"),
        ({"resources": {"gpu": 0.001}}, ("resources", "gpu"), "a share between 0.01 and 1"),
        ({"resources": {"cpu": 0}}, ("resources", "cpu"), "between 0.01 and 1,024"),
        ({"seed": 2**32}, ("seed",), "between 0 and 4,294,967,295"),
        ({"trials": 10**9}, ("trials",), "between 1 and 1,000,000"),
        ({"trials": 10**5000}, ("trials",), "but got a huge number"),
    ],
)
def test_config_refuses_and_says_where(fields, location, message):
    with pytest.raises(ValidationError) as caught:
        SweepConfig(**fields)
    found = {error["loc"]: error["msg"] for error in caught.value.errors()}
    assert message in found[location]


@pytest.mark.parametrize(
    ("space", "recipe", "where"),
    [
        ({"dropout": [0, 0.1]}, {"nesterov": True, "momentum": 0}, "recipe"),
        ({"nesterov": [True, False]}, {"momentum": 0}, "recipe"),
        ({"momentum": [0, 0.9]}, {"nesterov": True}, "space"),
        ({"momentum": {"low": 0, "high": 0.9}, "nesterov": [True, False]}, {}, "space"),
    ],
)
def test_config_refuses_nesterov_where_momentum_can_be_0(space, recipe, where):
    with pytest.raises(ValidationError) as caught:
        SweepConfig(space=space, recipe=recipe)
    [error] = caught.value.errors()
    assert error["loc"] == (where, "momentum")
    assert error["msg"] == "must be above 0 where `nesterov` may be true"


def test_config_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        SweepConfig().trials = 3


@pytest.mark.parametrize(
    "raw", ["none", None, {"name": "none"}, {"name": "none", "grace_period": 5}]
)
def test_scheduler_none_has_one_form(raw):
    assert SweepConfig(scheduler=raw).scheduler == Scheduler(name="none")


def test_scheduler_may_be_named_alone():
    assert SweepConfig(scheduler="asha").scheduler == Scheduler()


def test_n_finalists_counts_those_that_will_be_confirmed():
    assert SweepConfig(confirm={"top_k": 4}).n_finalists == 4
    assert SweepConfig(confirm="none").n_finalists == 0


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, []),
        ({"epochs": 4}, []),
        ({"epochs": 3}, ["stopped early"]),
        ({"epochs": 3, "scheduler": "none"}, []),
        ({"recipe": {"warmup_epochs": 15}}, ["warm up"]),
        ({"trials": 1, "first": [{"shift": 0.1}, {"shift": 0.15}]}, ["only 1 will be tried"]),
    ],
)
def test_notes_tell_what_may_surprise(fields, words):
    notes = SweepConfig(**fields).notes()
    assert len(notes) == len(words)
    assert all(word in note for word, note in zip(words, notes, strict=True))


def test_recipe_defaults_are_those_of_the_hand_tuned_point():
    off = {"dropout": 0.0, "rotation": 0.0, "shift": 0.0, "weight_decay": 0.0}
    assert Recipe().model_dump() == _CLASSIC_RECIPE | off


def test_space_has_one_order():
    space = {"batch_size": [2, 1], "shift": [0, 0.1], "dropout": {"low": 0, "high": 0.1}}
    assert list(SweepConfig(space=space).space.items()) == [
        ("dropout", Range(0.0, 0.1)),
        ("shift", Choices((0.0, 0.1))),
        ("batch_size", Choices((2, 1))),
    ]
