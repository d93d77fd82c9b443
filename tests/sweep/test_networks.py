"""Networks of the user's own: what is wrong with them, and what they may do."""

from pathlib import Path
from typing import Any

import pytest
import torch

from analysis.errors import StorageError
from analysis.storage.local_folder import LocalFolder
from data_utils.dataset import MNIST, ImageDataset
from models import own
from sweep.config import SweepConfig
from sweep.config.resolve import resolve_config
from sweep.driver.folders import new_folder
from sweep.errors import NetworkError, UsageError, describe_failure
from sweep.networks import check_network, initial_points, keep_network, load_network
from sweep.training.assignment import Assignment
from sweep.training.loop import TrainingRun, train_epochs
from sweep.training.worker import Worker

GOOD = """\
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, n_classes, dropout, width=8):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.LazyLinear(width), nn.BatchNorm1d(width), nn.ReLU(),
            nn.Dropout(dropout), nn.Linear(width, n_classes),
        )
        self.unused = nn.Linear(2, 2)
    def forward(self, images):
        return self.layers(images)
"""


def made(body: str, *, forward: str = "return self.a(x.flatten(1))", init: str = "") -> str:
    """Return the text of a network: lines of its constructor, and its `forward` in line 7."""
    return f"""\
from torch import nn
class Net(nn.Module):
    def __init__(self{init}):
        super().__init__()
        {body}
    def forward(self, x):
        {forward}
"""


LINEAR = "self.a = nn.Linear(784, 10)"


def resolve(folder: Path, text: str | None, config: str = "model: net.py:Net") -> SweepConfig:
    if text is not None:
        (folder / "net.py").write_text(text)
    (folder / "mine.yaml").write_text(config)
    found = resolve_config(path=folder / "mine.yaml")
    check_network(found, MNIST)
    return found


WITH_WIDTH = "model: net.py:Net\nspace: {model.width: {low: 2, high: 4}}"

WRONG: dict[str, tuple[str | None, str] | tuple[str | None, str, str]] = {
    "no file": (None, "there is no file net.py of a network (mine.yaml:1)"),
    "a folder": (None, "cannot read folder.py: Is a directory", "model: folder.py:Net"),
    "no name": (GOOD, "`model` must name a class or function, such as", "model: net.py"),
    "no such name": (GOOD, "net.py has no `Nett`; it has Net (mine.yaml:1)", "model: net.py:Nett"),
    "a network": (
        "from torch import nn\nNet = nn.Linear(784, 10)\n",
        "`Net` of net.py must be a class or a function, not a value of type Linear",
    ),
    "syntax": (
        "x = 1\ndef Net(:\n",
        "net.py:2: it cannot be imported: SyntaxError: invalid syntax (mine.yaml:1)",
    ),
    "no text": (b"\x00\xff".decode("latin1"), "net.py: it cannot be imported: SyntaxError"),
    "unknown arguments": (
        "Net = dict\n",
        "the arguments of `dict` are unknown; define a function that calls it (mine.yaml:1)",
        WITH_WIDTH,
    ),
    "import": (
        "\nimport no_such_package\n",
        "net.py:2: it cannot be imported: ModuleNotFoundError: No module named 'no_such_package'",
    ),
    "it ends the process": (
        made("import os; os._exit(0)"),
        "net.py:5: `Net` cannot be built: it ends the program",
    ),
    "it exits in training": (
        made(LINEAR, forward="exit()"),
        "net.py:7: `Net` fails on 3 images of shape [1, 28, 28]: it ends the program",
    ),
    "it raises": (
        made("raise RuntimeError('no luck\\nat all')"),
        "net.py:5: `Net` cannot be built: RuntimeError: no luck at all",
    ),
    "nothing": ("def Net():\n    pass\n", "must return an `nn.Module`, but returned nothing"),
    "wrong classes": (
        made("self.a = nn.Linear(784, 7)"),
        "must have the shape [3, 10] for 3 images of shape [1, 28, 28], but got shape [3, 7]",
    ),
    "one image": (
        made(LINEAR, forward="return self.a(x.flatten(1)).squeeze()"),
        "must have the shape [1, 10] for 1 image of shape [1, 28, 28], but got shape [10]",
    ),
    "two outputs": (
        made(LINEAR, forward="return self.a(x.flatten(1)), 1"),
        "but got a value of type tuple",
    ),
    "forward raises": (
        made(LINEAR, forward="return self.a(x)"),
        "net.py:7: `Net` fails on 3 images of shape [1, 28, 28]: RuntimeError: mat1 and mat2",
    ),
    "lazy": (
        made(LINEAR, forward="self.b = nn.Linear(10, 10); return self.b(self.a(x.flatten(1)))"),
        "create all layers in `__init__`, in their final shapes: its first batch changes `b.bias`",
    ),
    "batches of one": (
        GOOD,
        "`Net` fails on 1 image of shape [1, 28, 28]: ValueError: Expected more than 1 value",
        "model: net.py:Net\nspace: {batch_size: [1, 32]}",
    ),
    "frozen": (
        made(f"{LINEAR}; self.requires_grad_(False)"),
        "`Net` of net.py has no parameters that can be trained",
    ),
    "detached": (
        made(LINEAR, forward="return self.a(x.flatten(1)).detach()"),
        "does not depend on parameters that can be trained",
    ),
    "integers": (
        made(LINEAR, forward="return self.a(x.flatten(1)).long()"),
        "the output of `Net` of net.py must be floats",
    ),
    "not finite": (
        made(LINEAR, forward="return self.a(x.flatten(1)) / 0"),
        "the output of `Net` of net.py is not finite for 3 images of shape [1, 28, 28] of random",
    ),
    "unknown argument": (
        GOOD,
        "`space.model.widht`: `Net` takes no `widht`; did you mean `width`? (mine.yaml:3)",
        "model: net.py:Net\nspace:\n  model.widht: {low: 2, high: 4}",
    ),
    "argument like no other": (
        GOOD,
        "`recipe.model.nope`: `Net` takes no `nope`; choose from width (mine.yaml:2)",
        "model: net.py:Net\nrecipe: {model.nope: 2}",
    ),
    "no argument of its own": (
        GOOD,
        "`recipe.model.side` is set by the data (mine.yaml:2)",
        "model: net.py:Net\nrecipe: {model.side: 2}",
    ),
    "missing argument": (
        made(LINEAR, init=", depth"),
        "`Net` of net.py needs `depth`, which the config does not set: "
        "search or fix it as `model.depth`",
    ),
    "one end of a range": (
        made("self.a = nn.Linear(784, 10, bias=10 % width)", init=", width"),
        "net.py:5: `Net` cannot be built with width=0: ZeroDivisionError",
        WITH_WIDTH.replace("low: 2", "low: 0"),
    ),
    "no width at one end": (
        made(
            "self.a = nn.Sequential(nn.Linear(784, width), nn.Linear(width, 10))", init=", width"
        ),
        "`a.0.weight` of `Net` of net.py has no elements with width=0",
        WITH_WIDTH.replace("low: 2", "low: 0"),
    ),
    "no width in the last choice": (
        made("self.a = nn.Linear(784, 10, bias=10 % width)", init=", width"),
        "net.py:5: `Net` cannot be built with width=0: ZeroDivisionError",
        "model: net.py:Net\nspace: {model.width: [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]}",
    ),
    "complex": (
        made(f"{LINEAR}; self.w = nn.Parameter(self.a.weight.cfloat())"),
        "`w` of `Net` of net.py must be real floats",
    ),
    "huge range": (
        GOOD,
        "`space.model.width.high` must be a number up to 1e+15, a text, true or false",
        WITH_WIDTH.replace("high: 4", "high: 1.0e+300"),
    ),
    "mixed range": (GOOD, "`space.model.width.low` must be", WITH_WIDTH.replace("2", "x")),
    "fixed and searched": (
        GOOD,
        "`model.width` is fixed in `recipe` and searched in `space`: keep one of them",
        f"{WITH_WIDTH}\nrecipe: {{model.width: 3}}",
    ),
    "a point outside": (
        GOOD,
        "`initial_points[0].model.width` must be an integer, but got 3.5",
        f"{WITH_WIDTH}\ninitial_points: [{{model.width: 3.5}}]",
    ),
    "not for LeNet-5": (
        GOOD,
        "`space.model.width` is for a network of your own: `model: FILE.py:NAME` (mine.yaml:1)",
        "space: {model.width: [1, 2]}",
    ),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_wrong_network_is_said_in_a_line(wrong, tmp_path):
    text, message, *config = wrong
    (tmp_path / "folder.py").mkdir()
    with pytest.raises((UsageError, NetworkError)) as caught:
        resolve(tmp_path, text, *config)
    described = describe_failure(caught.value)
    assert described is not None
    assert described[0].replace(f"{tmp_path}/", "").startswith(message) or message in described[0]
    assert described[1] == 2
    assert len(described[0].splitlines()) == 1


def data(n: int) -> ImageDataset:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (n, 28, 28), dtype=torch.uint8, generator=generator)
    labels = torch.randint(10, (n,), dtype=torch.uint8, generator=generator)
    return ImageDataset(images.numpy(), labels.numpy())


def trained(config: SweepConfig, state: dict[str, Any] | None, *, epochs: int) -> TrainingRun:
    values = config.hyperparameters({"model.width": 3, "dropout": 0.3})
    run = TrainingRun(config.model, values, seed=5)
    if state is not None:
        run.load_state_dict(state)
    for _ in train_epochs(run, data(65), data(9), epochs=epochs):
        pass
    return run


def test_network_that_changes_the_folder_of_the_process_is_undone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text("import os; os.chdir('/')\n" + made(LINEAR))
    resolve_config(settings=["model=net.py:Net"])
    assert Path.cwd() == tmp_path


@pytest.mark.parametrize(
    ("name", "change"),
    [("b.bias", "setattr(self, 'b', self.a)"), ("s", "setattr(self, 's', self.s.repeat(2))")],
)
def test_network_that_gets_a_layer_or_a_larger_one_in_its_training_fails(name, change):
    init = f"{LINEAR}; self.n = 0; self.register_buffer('s', self.a.bias.detach())"
    grow = f"self.n += 1; self.n == 2 and {change}"
    text = made(init, forward=f"{grow}; return self.a(x.flatten(1))")
    run = TrainingRun(f"model.py:Net@{own.register(text.encode())}", {}, seed=1)
    (*_,) = train_epochs(run, data(100), data(9), epochs=1)
    with pytest.raises(NetworkError, match=f"`{name}` appears, disappears or changes its shape"):
        run.state_dict()


SHARED = """\
from torch import nn
norm = nn.BatchNorm1d(784)
frozen = nn.Linear(784, 784).requires_grad_(False)
scale = frozen.weight.new_ones(1)  # a constant that all networks may have
mean = nn.BatchNorm1d(784, affine=False)
class Table(nn.Module):
    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(frozen.bias.detach())
    def forward(self, x):
        return x + self.bias
class Net(nn.Module):
    def __init__(self, n_classes, act=nn.ReLU()):
        super().__init__()
        self.act = act = act() if isinstance(act, type) else act
        self.register_buffer("scale", scale)
        self.layers = nn.Sequential(nn.Flatten(), frozen, act, nn.Linear(784, n_classes))
    def forward(self, images):
        return self.layers(images)
"""


@pytest.mark.parametrize(
    ("shared", "name"),
    [
        ("act=nn.PReLU()", "act.weight"),
        ("act=norm", "act.weight"),
        ("act=mean", "act.running_mean"),
        ("act=Table", "act.bias"),
    ],
)
def test_layers_that_networks_share_are_refused(shared, name, tmp_path):
    with pytest.raises(NetworkError, match=f"share `{name}`, .* create it in `__init__`"):
        resolve(tmp_path, SHARED.replace("act=nn.ReLU()", shared))
    resolve(tmp_path, SHARED)


def test_network_can_use_a_buffer_that_it_replaces():
    forward = "y = self.a(x.flatten(1)) * self.s; self.s = self.s * 0.9; return y"
    init = f"{LINEAR}; self.register_buffer('s', self.a.bias.detach() + 1)"
    model = f"model.py:Net@{own.register(made(init, forward=forward).encode())}"
    for ema_decay in (0.0, 0.9):
        run = TrainingRun(model, {"ema_decay": ema_decay}, seed=1)
        assert len([*train_epochs(run, data(64), data(9), epochs=3)]) == 3


@pytest.mark.parametrize("dtype", ["bfloat16", "half", "double"])
def test_network_can_have_an_output_of_any_precision(dtype, folder):
    text = made(LINEAR, forward=f"return self.a(x.flatten(1)).{dtype}()")
    model = f"model.py:Net@{own.register(text.encode())}"
    worker = Worker(data(64), data(9), folder, device="cpu", predict=True)
    worker.assign(Assignment("a", 1, model, 1, {"batch_size": 16}))
    report = worker.step()
    assert report.failure is None
    assert report.predictions is not None
    assert report.predictions.confidence.dtype == "float32"


def test_options_of_a_network_are_its_own_arguments_alone(tmp_path):
    text = f"""{made(LINEAR, init=", n_classes, width=1, depth=1")}
def wrapped(n_classes, **options):
    assert options == {{"width": 3}}
    return Net(n_classes, **options)
"""
    notes: list[str] = []
    (tmp_path / "net.py").write_text(text)
    settings = [f"model={tmp_path}/net.py:wrapped", "recipe.model.width=3"]
    config = resolve_config(settings=settings, notify=notes.append)
    check_network(config, MNIST)
    assert notes == [f"`dropout` is not used: `wrapped` of {tmp_path}/net.py does not take it"]


def test_network_trains_with_a_last_batch_of_one_and_continues_bit_for_bit(tmp_path):
    space = "{dropout: [0.1, 0.3], model.width: {low: 2, high: 4}}"
    config = resolve(tmp_path, GOOD, f"model: net.py:Net\nspace: {space}")
    whole = trained(config, None, epochs=2)
    halves = trained(config, trained(config, None, epochs=1).state_dict(), epochs=2)
    assert whole.history[-1].val_loss == halves.history[-1].val_loss
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, halves.model.state_dict()[name])
    assert whole.model.state_dict()["layers.1.weight"].shape == (3, 784)


@pytest.mark.parametrize("fixed", [[], ["recipe.dropout=0.25"]])
def test_dropout_that_the_network_does_not_take_is_not_used(fixed, tmp_path):
    notes: list[str] = []
    (tmp_path / "net.py").write_text(made(LINEAR))
    settings = [f"model={tmp_path}/net.py:Net", *fixed]
    config = resolve_config(settings=settings, notify=notes.append)
    assert "dropout" not in config.space
    assert config.recipe["dropout"] == 0
    assert notes == [f"`dropout` is not used: `Net` of {tmp_path}/net.py does not take it"]


def test_config_of_a_sweep_names_the_file_that_is_kept_there(tmp_path):
    config = resolve(tmp_path, GOOD, WITH_WIDTH)
    with new_folder(LocalFolder(tmp_path), "first", config) as folder:
        assert folder.read("model.py") == GOOD.encode()
    assert resolve_config(path=tmp_path / "first" / "config.yaml") == config
    assert SweepConfig.model_validate(config.model_dump(mode="json")) == config


def test_each_text_that_a_sweep_was_trained_with_is_kept(tmp_path, monkeypatch):
    first = resolve(tmp_path, GOOD).model
    second = resolve(tmp_path, f"{GOOD}\n# changed\n").model
    folder = LocalFolder(tmp_path / "a")
    keep_network(folder, first)
    keep_network(folder, second)
    monkeypatch.setattr(own, "_sources", {})
    for model in (first, second):
        load_network(folder, model)
        assert own.find(model).__name__ == "Net"
    monkeypatch.setattr(own, "_sources", {})
    folder.write("model.py", b"print('not this one')")
    with pytest.raises(StorageError, match="it is not the network that the sweep was trained"):
        load_network(folder, second)


@pytest.mark.parametrize(
    ("init", "space", "expected"),
    [
        (", width=8", "{low: 4, high: 16}", {"dropout": 0.2, "model.width": 8}),
        (", width=8", "[4, 16]", {"dropout": 0.2}),  # 8 is none of these
        (", width=None", "{low: 4, high: 16}", {"dropout": 0.2}),
        (", *, width", "{low: 4, high: 16}", {"dropout": 0.2}),
    ],
)
def test_initial_point_has_the_defaults_of_the_networks_arguments(tmp_path, init, space, expected):
    text = made(LINEAR, init=f"{init}, dropout=0.1")
    config = (
        f"model: net.py:Net\nspace: {{dropout: {{low: 0.0, high: 0.5}}, model.width: {space}}}"
    )
    points = "initial_points: [{dropout: 0.2}, {model.width: 4}]"
    first, second = initial_points(resolve(tmp_path, text, f"{config}\n{points}"))
    assert (first, second) == (expected, {"model.width": 4})
