from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analysis.hyperparameters import DEFAULTS, HAND_TUNED, HYPERPARAMETERS
from sweep.config import Confirm, Scheduler, SweepConfig
from sweep.config.dimensions import Choices, FloatRange
from sweep.config.resolve import PRESETS, preset_text, resolve_config
from sweep.errors import UsageError


def _load(text, *settings, **options):
    """Resolve a config file, given as text or bytes, with values of `--set`."""
    with TemporaryDirectory() as folder, chdir(folder):
        path = Path("sweep.yaml")
        path.write_bytes(
            text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        )
        return resolve_config(path=path, settings=settings, **options)


CLASSIC = SweepConfig(initial_points=(HAND_TUNED,))


def _error(text, *settings, **options):
    with pytest.raises(UsageError) as caught:
        _load(text, *settings, **options)
    return str(caught.value)


def test_preset_classic_is_the_defaults():
    assert resolve_config() == resolve_config(preset="classic") == CLASSIC


@pytest.mark.parametrize("name", PRESETS)
def test_preset_is_complete(name):
    tree = yaml.safe_load(preset_text(name))
    left_out = {"split", "split_seed"}  # so that a sweep that is continued keeps its own
    assert set(tree) == set(SweepConfig.model_fields) - left_out
    assert set(tree["recipe"]) | set(tree["space"]) >= {"dropout", "learning_rate"}
    assert not set(tree["recipe"]) & set(tree["space"])
    assert resolve_config(preset=name).initial_points == (HAND_TUNED,)


def test_resolve_config_rejects_an_unknown_preset():
    with pytest.raises(UsageError, match="no preset `clasic`; did you mean `classic`"):
        resolve_config(preset="clasic")
    with pytest.raises(UsageError, match="choose from quick, classic, best"):
        resolve_config(preset="../../etc/passwd")


def test_config_file_takes_from_the_preset_what_the_file_leaves_out():
    config = _load("trials: 8\nrecipe: {learning_rate: 1e-2, momentum: 0.8}\n", preset="quick")
    assert (config.trials, config.epochs, config.confirm) == (8, 2, None)
    assert config.recipe == {**DEFAULTS, "momentum": 0.8}
    assert _load("{}") == CLASSIC
    assert _load("\ufefftrials: 3  # é").trials == 3  # with a byte order mark


def test_config_file_searches_only_what_a_file_with_a_space_names():
    config = _load("space: {weight_decay: {low: 0, high: 0.01}, batch_size: [32, 64]}")
    expected = {
        "weight_decay": FloatRange(low=0.0, high=0.01),
        "batch_size": Choices(choices=(32, 64)),
    }
    assert config.space == expected
    assert config.initial_points == ({"weight_decay": 0.001},)
    assert _load("trials: 4").space == SweepConfig().space
    assert "`space.rotation.low` is missing (sweep.yaml:1)" in _error(
        "space: {rotation: {high: 9}}"
    )


_WITHOUT_DROPOUT = ["rotation", "shift", "weight_decay"]
_WITH_LEARNING_RATE = [*HAND_TUNED, "learning_rate"]
_SEARCH = "space.learning_rate={low: 0.01, high: 0.1}"


@pytest.mark.parametrize(
    ("text", "setting", "fixed", "searched"),
    [
        ("recipe: {dropout: 0.2}", "trials=3", {"dropout": 0.2}, _WITHOUT_DROPOUT),
        ("{}", "recipe.dropout=0.2", {"dropout": 0.2}, _WITHOUT_DROPOUT),
        (
            "space: {dropout: [0.2, 0.3], rotation: [0, 10]}",
            "recipe.dropout=0.2",
            {"dropout": 0.2},
            ["rotation"],
        ),
        ("{}", "space.dropout=null", {}, _WITHOUT_DROPOUT),
        ("{}", "space.dropout=", {}, _WITHOUT_DROPOUT),
        ("recipe: {momentum: 0.9}", _SEARCH, {}, _WITH_LEARNING_RATE),
        ("{}", _SEARCH, {}, _WITH_LEARNING_RATE),
        ("recipe: {learning_rate: 3}", _SEARCH, {}, _WITH_LEARNING_RATE),
    ],
)
def test_higher_layer_decides_what_is_fixed_and_what_is_searched(text, setting, fixed, searched):
    config = _load(text, setting)
    assert config.recipe == {**DEFAULTS, **fixed}
    assert list(config.space) == searched
    assert config.initial_points == ({k: v for k, v in HAND_TUNED.items() if k in searched},)


def test_config_file_leaves_out_a_point_outside_the_range_of_a_higher_layer():
    notes = []
    text = "first: [{rotation: 4}, {rotation: 6}, {shift: 0.1}]\n"
    config = _load(text, "space.rotation.high=5", notify=notes.append)
    assert config.initial_points == ({"rotation": 4.0}, {"shift": 0.1})
    assert notes == [
        "an initial point is left out: `rotation` must be in the searched range, 0.0 to 5.0, "
        "but got 6.0 (sweep.yaml:1)"
    ]


def test_config_file_applies_settings_in_order_and_options_last():
    settings = ("trials=5", "confirm.seeds=7", "trials=6", "epochs=9")
    config = _load("trials: 4", *settings, epochs=2, seed=3)
    assert (config.trials, config.epochs, config.seed) == (6, 2, 3)
    assert config.confirm == Confirm(top_k=1, seeds=7)
    assert config.split_seed == 0


def test_settings_reach_into_a_dimension_or_replace_a_whole_section():
    assert _load("{}", "space.rotation.high=20").space["rotation"] == FloatRange(
        low=0.0, high=20.0
    )
    assert list(_load("{}", "space={shift: [0, 0.1]}").space) == ["shift"]
    assert _load("{}", "recipe={momentum: 0.5}").recipe == {**DEFAULTS, "momentum": 0.5}
    assert _load("{}", "first=[{shift: 0.1}]").initial_points == ({"shift": 0.1},)


def test_settings_switch_the_scheduler_and_the_confirmation_on_and_off():
    config = _load("{}", "scheduler=none", "confirm=none")
    assert (config.scheduler, config.confirm) == (Scheduler(name="none"), None)
    assert _load("{}", "scheduler.name=none").scheduler == Scheduler(name="none")
    on = _load("scheduler: none\nconfirm: none", "scheduler.name=asha", "confirm.seeds=2")
    assert (on.scheduler, on.confirm) == (Scheduler(), Confirm(seeds=2))


@pytest.mark.parametrize(
    ("text", "setting", "scheduler"),
    [
        ("scheduler: none", "scheduler.grace_period=2", Scheduler(name="none")),
        ("scheduler:", "scheduler.grace_period=2", Scheduler(name="none")),
        ("scheduler: asha", "scheduler.grace_period=2", Scheduler(grace_period=2)),
        ("scheduler: preview", "trials=3", resolve_config(preset="best").scheduler),
        ("{}", "scheduler=preview", resolve_config(preset="best").scheduler),
        ("{}", "scheduler=asha", Scheduler()),
    ],
)
def test_scheduler_keeps_its_name_and_with_it_its_parameters(text, setting, scheduler):
    assert _load(text, setting, preset="best").scheduler == scheduler


@pytest.mark.parametrize("name", ["h\udce4.npz", "./\udce4"])
def test_path_of_a_dataset_must_be_utf8(name):
    with pytest.raises(UsageError, match=r"invalid `dataset` .*\\udce4.*must be UTF-8"):
        resolve_config(dataset=name)


_ERRORS = [
    # the document
    ("", "is empty"),
    (b"\x89PNG\r\n\x1a\n\x00\x00", "a config must be text in UTF-8 (sweep.yaml:1)"),
    (b"a: 1\nb: \xff", "sweep.yaml:2)"),
    ("é" * 300_000, "is longer than 128 KiB"),
    ("# nothing\n---\n", "sweep.yaml is empty: write what differs from a preset"),
    ("- trials: 8", "a config must be a mapping, such as `trials: 8`, but got a list"),
    ("trials: [", "(sweep.yaml:1, column 10)"),
    # names
    ("seed: 1\ntrails: 3", "`trails` is unknown; did you mean `trials`? (sweep.yaml:2)"),
    ('"\\e[2J": 3', "`\\x1b[2J` is unknown"),
    ("lr: 3", "write `recipe: {learning_rate: 3}` to fix it, so that it is not searched, or"),
    ("nesterov: yes", "or `space: {nesterov: […, …]}` to search it"),
    ("dropout: [0, 1]", "`dropout` is unknown: write `space: {dropout: …}` to search it"),
    ("parameters: {}", "`parameters` is unknown; did you mean `space`?"),
    ("top_k: 2", "`top_k` is unknown: it belongs in `confirm` (sweep.yaml:1)"),
    (
        "space: {shift: {min: 0, low: 0, high: 1}}",
        "`space.shift.min` is unknown; did you mean `low`",
    ),
    ("recipe: {lr: 3}", "`recipe.lr` is unknown; did you mean `learning_rate`? (sweep.yaml:1)"),
    ("recipe: {epochs: 3}", "`recipe.epochs` belongs at the top level (sweep.yaml:1)"),
    ("space: {kernel: [1, 2]}", ", or `model.kernel` for an argument of your own network (sw"),
    (
        "space: {model: {wide: [1, 2]}}",
        "its arguments with a dot, such as `model.wide` (sweep.",
    ),
    ("confirm: {seed: 4}", "`confirm.seed` is unknown; did you mean `seeds`? (sweep.yaml:1)"),
    ("space: {shift: {lo: 0, high: 0.1, low: 0}}", "`space.shift.lo` is unknown; did you mean"),
    (
        "first: []\ninitial_points: []",
        "`initial_points` is given twice, first in line 1 (sweep.yaml:2",
    ),
    # sections and fields
    ("recipe:\n", "`recipe` must be a mapping, but got nothing (sweep.yaml:1)"),
    ("recipe: {dropout: [0, 1]}", "but got a list; a range belongs in `space`"),
    ("recipe: {learning_rate: '0.1'}", "must be a number above 0 and at most 100, but got '0.1'"),
    ("recipe:\n  nesterov: yes\n  momentum: 0", "`recipe.momentum` must be above 0 where"),
    ("space: {nesterov: [true, false]}\nrecipe: {momentum: 0}", "`recipe.momentum` must be"),
    ("space: {momentum: [0, 0.9]}\nrecipe: {nesterov: true}", "`space.momentum` must be above"),
    ("searcher: tpee", "or 'gp', but got 'tpee'; did you mean `tpe`? (sweep.yaml:1)"),
    ("searcher: grid", "`searcher` must be 'tpe', 'random' or 'gp', but got 'grid'"),
    ("scheduler: 3", "`scheduler` must be a mapping or `none`, but got 3 (sweep.yaml:1)"),
    (
        "scheduler: hb",
        "`scheduler.name` must be 'asha', 'preview' or 'none', but got 'hb' (sweep.yaml:1)",
    ),
    ("confirm: no", "`confirm` must be a mapping or `none`, but got false"),
    ("resources: {gpu: 1.5}", "0, a share between 0.01 and 1, or an integer up to 64, but"),
    (
        "time_budget: 30",
        "`time_budget` must be `none` or a duration above 0, such as 90s, 30m or 1h30m, but",
    ),
    ("trials: true", "`trials` must be an integer, but got true (sweep.yaml:1)"),
    ("epochs: 1e3", "`epochs` must be an integer, but got 1000.0 (sweep.yaml:1)"),
    ("seed: 4294967296", "`seed` must be at most 4294967295, but got 4294967296"),
    # the space
    ("space: {}", "`space` must search at least one hyperparameter, but is empty"),
    ("space: {shift: 0.1}", "but got 0.1; a fixed value belongs in `recipe` (sweep.yaml:1)"),
    ("space: {schedule: {low: 0, high: 1}}", "must be a list of choices, but got a mapping"),
    (
        "recipe: {shift: 0.1}\nspace: {shift: [0, 0.1]}",
        "`shift` is fixed in `recipe` and searched in `space`: keep one of them "
        "(sweep.yaml:1 and sweep.yaml:2)",
    ),
    (
        "space:\n  rotation:\n    low: 0\n    high: 200\n",
        "`space.rotation.high` must be between 0 and 180 degrees, but got 200.0 (sweep.yaml:4)",
    ),
    ("space:\n  shift:\n    low: 0\n", "`space.shift.high` is missing (sweep.yaml:2)"),
    ("space: {shift: {low: 0.1, high: 0.1}}", "must have a `high` above its `low` of 0.1"),
    ("space: {shift: {low: 0, high: 0.1, log: true}}", "`space.shift` must have a `low` above 0"),
    ("space: {shift: {low: true, high: 1}}", "`space.shift.low` must be a number"),
    ("space: {rotation: {low: 0, high: 30, step: 0}}", "`space.rotation.step` must be above"),
    ("space: {rotation: {low: 0, high: 30, step: 31}}", "between 1 and 1,000,000 steps"),
    ("space: {rotation: {low: 0, high: 30, step: 7}}", "that is 0.0 plus a multiple of 7.0"),
    (
        "space: {rotation: {low: 1, high: 4, step: 1, log: true}}",
        "not have both a `step` and `log: true`",
    ),
    ("space: {batch_size: {low: 1.5, high: 4}}", "`space.batch_size.low` must be an integer"),
    (
        "space: {batch_size: [64]}",
        "must have at least 2 choices, but got 1; a fixed value",
    ),
    (f"space: {{batch_size: {list(range(1, 102))}}}", "must have at most 100 items, not 101"),
    ("space: {momentum: [0, 0.0]}", "`space.momentum[1]` repeats the choice 0.0"),
    ("space: {momentum: {choices: 0.9}}", "`space.momentum.choices` must be a list, but got 0.9"),
    ("space: {momentum: {choices: [0, 1], low: 0}}", "`space.momentum.low` is unknown"),
    ("space:\n  shift:\n  - 0\n  - 2", "`space.shift[1]` must be between 0 and 1 of the image"),
    # initial points
    ("initial_points: {shift: 0}", "`initial_points` must be a list, but got a mapping"),
    ("initial_points: [{}]", "`initial_points[0]` must have a value, such as"),
    (
        "space: {rotation: {low: 0, high: 5}}\nfirst: [{rotation: 4}, {rotation: 6}]",
        "`initial_points[1].rotation` must be in the searched range, 0.0 to 5.0",
    ),
    ("initial_points: [{momentum: 0.1}]", "is fixed at 0.9, not searched: leave it out; got 0.1"),
]


@pytest.mark.parametrize(("text", "message"), _ERRORS)
def test_config_file_says_what_is_wrong_and_where(text, message):
    error = _error(text)
    assert message in error
    assert "sweep.yaml" in error
    assert "\n" not in error or "choices" in text


@pytest.mark.parametrize(
    ("settings", "options", "message"),
    [
        (("space.rotation.high=200",), {}, "but got 200.0 (--set space.rotation.high=200)"),
        (("trials",), {}, "`--set` takes KEY=VALUE, such as `trials=8` (--set trials)"),
        (("=3",), {}, "`--set` takes KEY=VALUE"),
        (
            ("model.width=32", "model=net.py:Net"),
            {},
            "`model.width`, of a network of your own, is fixed by `recipe.model.width=…`",
        ),
        (("dataset=fashion_mnist",), {}, "did you mean `fashion-mnist`? (--set dataset"),
        (("space..high=3",), {}, "`--set` takes KEY=VALUE"),
        (("a.b.c.d.e=3",), {}, "`--set` takes KEY=VALUE"),
        (("trials=[",), {}, "but found '<stream end>' (--set trials=[)"),
        (("trials.n=3",), {}, "`trials` must be an integer, but got a mapping"),
        (
            ("dropout=0.3",),
            {},
            "write `--set recipe.dropout=0.3` to fix it, so that it is not searched, or",
        ),
        (("sampler=gp",), {}, "`sampler` is unknown; did you mean `searcher`?"),
        (("space.droput=null",), {}, "`space.droput` is unknown; did you mean `dropout`?"),
        (("recipe.shift=0", "space.shift.high=0.1"), {}, "`space.shift.low` is missing (--set sp"),
        (("first.0.shift=0",), {}, "`initial_points` must be a list, but got a mapping"),
        (("trials=\x1b[2J",), {}, "(--set trials=\\x1b[2J)"),
        ((), {"trials": 0}, "must be at least 1, but got 0 (--trials 0)"),
    ],
)
def test_options_are_named_in_messages(settings, options, message):
    assert message in _error("{}", *settings, **options)


def test_config_file_lists_every_problem_by_its_line():
    text = (
        "trials: 0\n"
        "space:\n"
        "  shift: {low: 0.2, high: 0.1}\n"
        "  droput: [0, 1]\n"
        "recipe: {momentum: 1, weight_decay: no}\n"
        "scheduler: {grace_perod: 3}\n"
    )
    assert _error(text).splitlines() == [
        "`trials` must be at least 1, but got 0 (sweep.yaml:1)",
        "`space.shift` must have a `high` above its `low` of 0.2, but got 0.1 (sweep.yaml:3)",
        "`space.droput` is unknown; did you mean `dropout`? (sweep.yaml:4)",
        "`recipe.weight_decay` must be a number between 0 and 100, but got false (sweep.yaml:5)",
        "`recipe.momentum` must be at least 0 and below 1, but got 1 (sweep.yaml:5)",
        "`scheduler.grace_perod` is unknown; did you mean `grace_period`? (sweep.yaml:6)",
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.yaml", "there is no config file .*nowhere.yaml"),
        (".", "cannot read the config file .*directory"),
        ("a" * 300, "cannot read the config file .*name too long"),
        ("a\0b", "cannot read the config file .*null"),
    ],
)
def test_resolve_config_rejects_a_file_that_it_cannot_read(tmp_path, name, message):
    with pytest.raises(UsageError, match=message):
        resolve_config(path=tmp_path / name)


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


def _load_or_fail(text, *settings):
    try:
        config = _load(text, *settings)
    except UsageError as error:
        message = str(error)
        assert message
        assert all(line.isprintable() for line in message.split("\n"))
    else:
        assert _load(config.to_yaml()) == config


@settings(deadline=_DEADLINE_MS, max_examples=50)
@given(st.text() | st.text(alphabet="abc019.-+e:,#'\"[]{}?!&*|>%@~\\ \n\t"))
@example("\ud800: \x00")
@example("a: |\n\t")
@example("%TAG ! tag:\n--- !x")
@example('{"\\')
@example("- ? : - ?\n!!")
def test_config_file_raises_nothing_but_usage_errors_on_any_text(text):
    _load_or_fail(text)
    _load_or_fail(f"space: {text}")
    _load_or_fail("{}", text, f"space={text}")


@settings(deadline=_DEADLINE_MS, max_examples=30)
@given(st.dictionaries(_SECTIONS, _TREES, max_size=4), st.booleans(), _SECTIONS, _TREES)
def test_config_file_raises_nothing_but_usage_errors_on_any_tree(tree, is_flow, key, value):
    _load_or_fail(yaml.safe_dump(tree, default_flow_style=is_flow))
    _load_or_fail("{}", f"{key}={yaml.safe_dump(value, default_flow_style=True)}")
    _load_or_fail("{}", f"recipe.{key}={value}", f"space.{key}={value}")


def test_path_is_relative_to_the_file_or_else_to_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = Path("configs/mine.yaml")
    file.parent.mkdir()
    file.write_text("dataset: ../images/")
    assert resolve_config(path=file).dataset == str(tmp_path / "images")
    for options in ({"dataset": "./images"}, {"settings": ["dataset=./images"]}):
        assert resolve_config(path=file, **options).dataset == str(tmp_path / "images")
    assert resolve_config(path=file, dataset=".").dataset == str(tmp_path)
    file.write_text("dataset: ..")
    assert resolve_config(path=file).dataset == str(tmp_path)
    file.write_text(f"dataset: {tmp_path / 'else.npz'}")
    assert resolve_config(path=file).dataset == str(tmp_path / "else.npz")
