import os

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sweep.config import HAND_TUNED, SweepConfig
from sweep.config.dimensions import Choices, Range
from sweep.config.domains import HYPERPARAMETERS
from sweep.config.resolve import (
    PRESETS,
    Overrides,
    load_config,
    load_preset,
    preset_text,
    read_config_file,
    resolve_config,
)
from sweep.config.sections import Confirm, Recipe, Scheduler
from sweep.errors import UsageError


def _load(text, *settings, preset="classic", notify=lambda note: None, **options):
    overrides = Overrides(settings, **options)
    return load_config(text, "sweep.yaml", preset=preset, overrides=overrides, notify=notify)


def _refusal(text, *settings, **options):
    with pytest.raises(UsageError) as caught:
        _load(text, *settings, **options)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_load_preset_classic_is_the_defaults():
    assert load_preset("classic") == SweepConfig()


@pytest.mark.parametrize("name", PRESETS)
def test_preset_says_everything_itself(name):
    tree = yaml.safe_load(preset_text(name))
    assert set(tree) == set(SweepConfig.model_fields)
    assert set(tree["recipe"]) | set(tree["space"]) == set(HYPERPARAMETERS)
    assert not set(tree["recipe"]) & set(tree["space"])
    # Other YAML readers take `1e-6` for text.
    assert tree["space"]["weight_decay"] == {"low": 1e-6, "high": 1e-2, "log": True}


def test_load_preset_best_decays_and_searches_the_learning_rate():
    best, classic = load_preset("best"), SweepConfig()
    assert best.recipe == Recipe(schedule="linear", warmup_epochs=2, nesterov=True)
    assert best.space == {**classic.space, "learning_rate": Range(0.005, 0.2, log=True)}
    assert best.first == (HAND_TUNED,)
    assert best.scheduler.name == "none"
    same = {name: getattr(classic, name) for name in ("seed", "recipe", "space", "scheduler")}
    assert best.model_copy(update=same) == classic


def test_load_preset_quick_only_searches_and_fits_in_a_minute():
    quick, classic = load_preset("quick"), SweepConfig()
    assert quick.confirm is None
    same = ("recipe", "space", "first", "searcher", "resources", "seed", "split_seed", "model")
    assert [getattr(quick, name) for name in same] == [getattr(classic, name) for name in same]
    # Two processes train 26,000 images a second; 12 s are for Ray to start.
    assert 12 + quick.trials * quick.epochs * 50_000 / 26_000 < 60


def test_load_preset_refuses_an_unknown_name():
    with pytest.raises(UsageError, match="no preset `clasic`; did you mean `classic`"):
        load_preset("clasic")
    with pytest.raises(UsageError, match="there is `quick`, `classic` and `best`"):
        load_preset("../../etc/passwd")


def test_load_config_takes_from_the_preset_what_the_file_leaves_out():
    config = _load("trials: 8\nrecipe: {learning_rate: 1e-2, momentum: 0.8}\n", preset="quick")
    assert (config.trials, config.epochs, config.confirm) == (8, 3, None)
    assert config.recipe == Recipe(learning_rate=0.01, momentum=0.8)
    assert _load("{}") == SweepConfig()


def test_load_config_searches_only_what_a_file_with_a_space_names():
    config = _load("space: {weight_decay: {low: 0, high: 0.01}, batch_size: [32, 64]}")
    expected = {"weight_decay": Range(0.0, 0.01), "batch_size": Choices((32, 64))}
    assert config.space == expected
    assert config.first == ({"weight_decay": 0.001},)
    assert _load("trials: 4").space == SweepConfig().space
    assert "`space.rotation` needs `low` (sweep.yaml:1)" in _refusal(
        "space: {rotation: {high: 9}}"
    )


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("recipe: {dropout: 0.2}", ()),
        ("{}", ("recipe.dropout=0.2",)),
        ("space: {dropout: [0.2, 0.3], rotation: [0, 10]}", ("recipe.dropout=0.2",)),
        ("first: [{dropout: 0.25, rotation: 10, shift: 0.05}]", ("recipe.dropout=0.2",)),
    ],
)
def test_load_config_fixes_what_a_higher_layer_fixes(text, settings):
    config = _load(text, *settings)
    assert "dropout" not in config.space
    assert config.recipe.dropout == 0.2
    [point] = config.first
    assert "dropout" not in point
    assert point["rotation"] == 10.0


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("recipe: {momentum: 0.9}", ("space.learning_rate={low: 0.01, high: 0.1}",)),
        ("{}", ("space.learning_rate={low: 0.01, high: 0.1}",)),
        ("recipe: {learning_rate: 3}", ("space.learning_rate={low: 0.01, high: 0.1}",)),
    ],
)
def test_load_config_searches_what_a_higher_layer_searches(text, settings):
    config = _load(text, *settings)
    assert config.space["learning_rate"] == Range(0.01, 0.1)
    assert config.recipe == Recipe()
    assert config.first == (HAND_TUNED,)


@pytest.mark.parametrize("setting", ["space.dropout=null", "space.dropout="])
def test_load_config_takes_a_dimension_out_by_null(setting):
    config = _load("{}", setting)
    assert list(config.space) == ["rotation", "shift", "weight_decay"]
    assert config.recipe.dropout == 0.0
    assert config.first == ({"rotation": 10.0, "shift": 0.05, "weight_decay": 0.001},)


def test_load_config_leaves_out_a_first_point_that_a_higher_layer_shuts_out():
    notes = []
    text = "first: [{rotation: 4}, {rotation: 6}, {shift: 0.1}]\n"
    config = _load(text, "space.rotation.high=5", notify=notes.append)
    assert config.first == ({"rotation": 4.0}, {"shift": 0.1})
    assert notes == [
        "a point of `first` is left out: `rotation` must be in the searched range, 0.0 to 5.0, "
        "but got 6 (sweep.yaml:1)"
    ]


def test_load_config_refuses_a_first_point_outside_its_own_layers_space():
    text = "space: {rotation: {low: 0, high: 5}}\nfirst:\n  - {rotation: 4}\n  - {rotation: 6}\n"
    expected = (
        "`first[1].rotation` must be in the searched range, 0.0 to 5.0, but got 6.0 (sweep.yaml:4)"
    )
    assert _refusal(text) == expected
    assert _refusal(text, "recipe.momentum=0.8") == expected


def test_load_config_applies_settings_in_order_and_options_last():
    settings = ("trials=5", "confirm.seeds=7", "trials=6", "epochs=9")
    config = _load("trials: 4", *settings, epochs=2, seed=3)
    assert (config.trials, config.epochs, config.seed) == (6, 2, 3)
    assert config.confirm == Confirm(top_k=1, seeds=7)
    assert config.split_seed == 0


def test_settings_reach_into_a_dimension_or_replace_a_whole_section():
    assert _load("{}", "space.rotation.high=20").space["rotation"] == Range(0.0, 20.0)
    assert list(_load("{}", "space={shift: [0, 0.1]}").space) == ["shift"]
    assert _load("{}", "recipe={momentum: 0.5}").recipe == Recipe(momentum=0.5)
    assert _load("{}", "first=[{shift: 0.1}]").first == ({"shift": 0.1},)


def test_settings_switch_the_scheduler_and_the_confirmation_on_and_off():
    config = _load("{}", "scheduler=none", "confirm=none")
    assert (config.scheduler, config.confirm) == (Scheduler(name="none"), None)
    assert _load("{}", "scheduler.name=none").scheduler == Scheduler(name="none")
    on = _load("scheduler: none\nconfirm: none", "scheduler.grace_period=2", "confirm.seeds=2")
    assert (on.scheduler, on.confirm) == (Scheduler(grace_period=2), Confirm(seeds=2))


def test_load_config_notes_a_grace_period_that_no_trial_outlives():
    notes = []
    assert _load("{}", epochs=2, notify=notes.append).epochs == 2
    assert notes == [
        "no trial will be stopped early: `scheduler.grace_period` is 3, `epochs` is 2"
    ]


_BAD_TEXTS = [
    ("", "sweep.yaml is empty: say what differs from a preset, such as `trials: 8`"),
    ("# nothing\n---\n", "sweep.yaml is empty"),
    ("- trials: 8", "must be a mapping, such as `trials: 8`, but got a list (sweep.yaml:1)"),
    ("\ntrials", "must be a mapping, such as `trials: 8`, but got 'trials' (sweep.yaml:2)"),
    ("trials: [", "(sweep.yaml:1, column 10)"),
    ("trials: 3\ntrials: 4", "`trials` is given twice (sweep.yaml:1 and sweep.yaml:2)"),
    ("seed: 1\ntrails: 3", "`trails` is unknown; did you mean `trials`? (sweep.yaml:2)"),
    ("xyz: 3", "`xyz` is unknown; there is `model`, `seed`,"),
    ('"\\e[2J": 3', "`\\x1b[2J` is unknown"),
    ("dropout: 3", "`dropout` belongs in `recipe` to be fixed, or in `space` to be searched"),
    ("recipe: {epochs: 3}", "`recipe.epochs` belongs at the top level (sweep.yaml:1)"),
    ("recipe:\n  momentun: 0", "`recipe.momentun` is unknown; did you mean `momentum`?"),
    ("recipe:\n", "`recipe` must be a mapping, but got nothing (sweep.yaml:1)"),
    ("resources: [1]", "`resources` must be a mapping, but got a list (sweep.yaml:1)"),
    ("recipe: {dropout: {low: 0, high: 1}}", "what is searched belongs in `space`"),
    ("recipe: {learning_rate: 0}", "`recipe.learning_rate` must be above 0 and at most 100"),
    ("recipe: {learning_rate: '0.1'}", "at most 100, but got '0.1' (sweep.yaml:1)"),
    ("recipe: {batch_size: 64.0}", "must be a whole number between 1 and 50,000 images"),
    ("recipe: {rotation: 200}", "must be between 0 and 180 degrees, but got 200 (sweep.yaml:1)"),
    ("recipe: {shift: .nan}", "must be between 0 and 1 of the image side, but got .nan"),
    ("recipe: {weight_decay: -1e-3}", "must be between 0 and 100, but got -0.001"),
    ("recipe: {schedule: cosine}", "must be `constant` or `linear`, but got 'cosine'"),
    ("recipe: {nesterov: 1}", "`recipe.nesterov` must be `false` or `true`, but got 1"),
    ("recipe:\n  nesterov: yes\n  momentum: 0", "`recipe.momentum` must be above 0 where"),
    ("recipe: {warmup_epochs: .inf}", "must be between 0 and 10,000, but got .inf"),
    (
        "recipe: {shift: 0.1}\nspace: {shift: [0, 0.1]}",
        "`shift` is fixed in `recipe` and searched in `space`: keep one of them "
        "(sweep.yaml:1 and sweep.yaml:2)",
    ),
    ("space: []", "`space` must be a mapping from names to ranges or choices, but got a list"),
    ("space:\n  rotatoin: [1, 2]", "`space.rotatoin` is unknown; did you mean `rotation`?"),
    ("space: {kernel: [1, 2]}", "`space.kernel` is unknown; there is `dropout`,"),
    ("space: {shift: 0.1}", "but got 0.1; a fixed value belongs in `recipe` (sweep.yaml:1)"),
    (
        "space:\n  rotation:\n    low: 0\n    high: 200\n",
        "`space.rotation.high` must be between 0 and 180 degrees, but got 200 (sweep.yaml:4)",
    ),
    ("space:\n  shift:\n    low: 0\n", "`space.shift` needs `high` (sweep.yaml:2)"),
    ("space: {shift: {low: 0, high: 0.1, log: true}}", "`space.shift.low` must be above 0"),
    ("space:\n  shift:\n  - 0\n  - 2", "`space.shift[1]` must be between 0 and 1 of the image"),
    ("first: {shift: 0}", "`first` must be a list of points, but got a mapping (sweep.yaml:1)"),
    ("first:\n- {shift: 0}\n- {shift: 0.2}", "`first[1].shift` must be in the searched range"),
    ("first: [{momentum: 0.1}]", "fixed at 0.9, so it must be left out or the same, but got 0.1"),
    ("model: lenet", "`model` must be `lenet5` or `mlp`, but got 'lenet' (sweep.yaml:1)"),
    ("searcher: grid", "`searcher` must be `tpe`, `random` or `gp`, but got 'grid'"),
    ("scheduler: hyperband", "`scheduler.name` must be `asha` or `none`, but got 'hyperband'"),
    ("scheduler: {reduction_factor: 1}", "`scheduler.reduction_factor` must be between 2 and"),
    ("resources: {gpus: 1}", "`resources.gpus` is unknown; did you mean `gpu`? (sweep.yaml:1)"),
    ("confirm: {seeds: 0}", "`confirm.seeds` must be between 1 and 1,000, but got 0"),
    ("confirm: no", "`confirm` must be `{top_k: …, seeds: …}` or `none`, but got false"),
    ("trials: 0", "`trials` must be between 1 and 1,000,000, but got 0 (sweep.yaml:1)"),
    ("trials: true", "must be a whole number between 1 and 1,000,000, but got true"),
    ("epochs: 1e3", "must be a whole number between 1 and 10,000, but got 1000.0"),
    ("epochs: " + "9" * 5000, "must be a whole number between 1 and 10,000, but got '999"),
    ("seed: -1", "`seed` must be between 0 and 4,294,967,295, but got -1 (sweep.yaml:1)"),
]


@pytest.mark.parametrize(("text", "message"), _BAD_TEXTS)
def test_load_config_refuses_and_says_where(text, message):
    refusal = _refusal(text)
    assert message in refusal
    assert "sweep.yaml" in refusal
    assert "\n" not in refusal


@pytest.mark.parametrize(
    ("settings", "options", "message"),
    [
        (("space.rotation.high=200",), {}, "but got 200 (--set space.rotation.high=200)"),
        (("trials",), {}, "`--set` takes KEY=VALUE, such as `trials=8` (--set trials)"),
        (("=3",), {}, "`--set` takes KEY=VALUE"),
        (("space..high=3",), {}, "`--set` takes KEY=VALUE"),
        (("a.b.c.d.e.f.g.h.i=3",), {}, "no key has so many parts"),
        (
            ("trials=[",),
            {},
            "expected the node content, but found '<stream end>' (--set trials=[)",
        ),
        (("trials={a: 1, a: 2}",), {}, "`a` is given twice (--set trials={a: 1, a: 2} and"),
        (("trials=*x",), {}, "aliases (*x) are not supported (--set trials=*x)"),
        (("trials.n=3",), {}, "`trials` must be a whole number between 1 and 1,000,000"),
        (("trails=3",), {}, "`trails` is unknown; did you mean `trials`? (--set trails=3)"),
        (("space.droput=null",), {}, "`space.droput` is unknown; did you mean `dropout`?"),
        (("space=null",), {}, "`space` must be a mapping"),
        (("space={}",), {}, "`space` must name at least one hyperparameter to search"),
        (("recipe.shift=0", "space.shift.high=0.1"), {}, "keep one of them (--set recipe.shift=0"),
        (("recipe=null",), {}, "`recipe` must be a mapping, but got nothing (--set recipe=null)"),
        (("first.0.shift=0",), {}, "`first` must be a list of points, but got a mapping"),
        (("trials=\x1b[2J",), {}, "(--set trials=\\x1b[2J)"),
        ((), {"trials": 0}, "`trials` must be between 1 and 1,000,000, but got 0 (--trials 0)"),
        ((), {"epochs": 99999}, "but got 99999 (--epochs 99999)"),
        ((), {"seed": -1}, "`seed` must be between 0 and 4,294,967,295, but got -1 (--seed -1)"),
    ],
)
def test_overrides_are_refused_under_their_own_name(settings, options, message):
    assert message in _refusal("{}", *settings, **options)


def test_load_config_lists_every_problem_by_its_line():
    text = (
        "trials: 0\n"
        "space:\n"
        "  shift: {low: 0.2, high: 0.1}\n"
        "  droput: [0, 1]\n"
        "recipe: {momentum: 1, weight_decay: no}\n"
        "scheduler: {grace_perod: 3}\n"
    )
    assert _refusal(text).splitlines() == [
        "`trials` must be between 1 and 1,000,000, but got 0 (sweep.yaml:1)",
        "`space.shift.high` must be above `low`, 0.2, but got 0.1 (sweep.yaml:3)",
        "`space.droput` is unknown; did you mean `dropout`? (sweep.yaml:4)",
        "`recipe.momentum` must be at least 0 and below 1, but got 1 (sweep.yaml:5)",
        "`recipe.weight_decay` must be a number between 0 and 100, but got false (sweep.yaml:5)",
        "`scheduler.grace_perod` is unknown; did you mean `grace_period`? (sweep.yaml:6)",
    ]


def test_load_config_stops_listing_after_ten_problems():
    lines = _refusal("\n".join(f"key{i}: 1" for i in range(25))).splitlines()
    assert len(lines) == 11
    assert lines[-1] == "and 15 more"


def test_read_config_file_reads_utf_8_with_or_without_a_mark(tmp_path):
    for name, encoding in (("plain.yaml", "utf-8"), ("marked.yaml", "utf-8-sig")):
        path = tmp_path / name
        path.write_text("trials: 3  # é\n", encoding=encoding)
        assert read_config_file(path).trials == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "a config must be text in UTF-8"),
        ("trials: 3".encode("utf-16"), "a config must be text in UTF-8"),
        (b"a: 1\nb: \xff", "bad.yaml:2)"),
        (b"trials: 3\n\x00\x00", "the character U+0000 is not allowed"),
        (b"#" * 600_000, "is longer than 128 KiB"),
        ("é".encode() * 300_000, "is longer than 128 KiB"),
    ],
)
def test_read_config_file_refuses_what_is_no_text(tmp_path, content, message):
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_config_file(path)
    assert message in str(caught.value)
    assert "bad.yaml" in str(caught.value)


def test_read_config_file_refuses_what_it_cannot_open(tmp_path):
    with pytest.raises(UsageError, match=r"there is no config file .*nowhere.yaml"):
        read_config_file(tmp_path / "nowhere.yaml")
    with pytest.raises(UsageError, match="is a folder, not a config file"):
        read_config_file(tmp_path)
    with pytest.raises(UsageError, match=r"cannot read the config file .*name too long"):
        read_config_file(tmp_path / ("a" * 300))
    with pytest.raises(UsageError, match=r"cannot read the config file .*null"):
        read_config_file(tmp_path / "a\0b")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"cannot read the config file .*Not a directory"):
        read_config_file(tmp_path / "file" / "a.yaml")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_read_config_file_refuses_a_file_it_may_not_read(tmp_path):
    path = tmp_path / "secret.yaml"
    path.touch(mode=0)
    with pytest.raises(UsageError, match="Permission denied"):
        read_config_file(path)


def test_resolve_config_lays_file_over_preset_and_options_over_both(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("epochs: 4\ntrials: 2\n")
    assert resolve_config() == SweepConfig()
    assert resolve_config(preset="best") == load_preset("best")
    found = resolve_config(preset="best", path=path, overrides=Overrides(trials=9))
    assert found == load_preset("best", overrides=Overrides(epochs=4, trials=9))


_DEADLINE_MS = 2000  # of one example, some milliseconds' work: what is bounded is the growth

_NAMES = st.sampled_from(
    [*SweepConfig.model_fields, *HYPERPARAMETERS, "low", "high", "log", "step", "choices", "name"]
)
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from(["none", "asha", "linear", "tpe"])
)
_TREES = st.recursive(
    _SCALARS,
    lambda below: (
        st.lists(below, max_size=4)
        | st.dictionaries(_NAMES | st.text(max_size=9), below, max_size=5)
    ),
    max_leaves=30,
)
_SECTIONS = st.sampled_from(sorted(SweepConfig.model_fields))


def _load_or_refuse(text, *settings):
    try:
        config = _load(text, *settings)
    except UsageError as error:
        message = str(error)
        assert message
        assert all(line.isprintable() for line in message.split("\n"))
        assert len(message.split("\n")) <= 11
    else:
        assert _load(config.to_yaml()) == config


@settings(deadline=_DEADLINE_MS)
@given(st.text())
@example("\ud800: \x00")
@example("a: |\n\t")
@example("%TAG ! tag:\n--- !x")
@example('{"\\')
@example("- ? : - ?\n!!")
def test_load_config_refuses_any_text_by_a_usage_error_alone(text):
    _load_or_refuse(text)
    _load_or_refuse(f"space: {text}")
    _load_or_refuse("{}", text, f"space={text}")


@settings(deadline=_DEADLINE_MS)
@given(st.text(alphabet="abc019.-+e:,#'\"[]{}?!&*|>%@~\\ \n\t"))
def test_load_config_refuses_any_syntax_by_a_usage_error_alone(text):
    _load_or_refuse(text)
    _load_or_refuse(f"recipe: {text}")


@settings(deadline=_DEADLINE_MS)
@given(st.dictionaries(_SECTIONS, _TREES, max_size=4), st.booleans(), _SECTIONS, _TREES)
def test_load_config_refuses_any_tree_by_a_usage_error_alone(tree, is_flow, key, value):
    _load_or_refuse(yaml.safe_dump(tree, default_flow_style=is_flow))
    _load_or_refuse("{}", f"{key}={yaml.safe_dump(value, default_flow_style=True)}")
    _load_or_refuse("{}", f"recipe.{key}={value}", f"space.{key}={value}")
