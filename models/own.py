"""Networks of the user's own: a Python file with a class or function that makes a network.

A config names one as `FILE.py:NAME`. Resolved it is `model.py:NAME@SHA256`: one text, whatever its
file is called and wherever it lies. A process builds the networks whose texts it has been given,
see `register`; a text runs when its first network is built. Importing this file does not import
torch.
"""

import contextlib
import hashlib
import inspect
import linecache
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn

OWN_MODEL = r"model\.py:([^\W\d]\w*)@([0-9a-f]{64})"

GIVEN = ("dropout", "n_channels", "side", "n_classes")
"""What a network gets without a `model.X` in the config."""

_sources: dict[str, tuple[bytes, str]] = {}
_modules: dict[str, ModuleType] = {}


class NetworkError(Exception):
    """A network of the user's own cannot be used; the message says why, and where it is wrong."""


def is_own(model: str) -> bool:
    """Return whether a resolved model is one of the user's own."""
    return re.fullmatch(OWN_MODEL, model) is not None


def source_hash(model: str) -> str:
    """Return the SHA-256 of an own model's text."""
    return model.rpartition("@")[2]


def register(source: bytes, file: str = "model.py") -> str:
    """Keep a text, named `file` in messages, to build its networks; return its SHA-256."""
    digest = hashlib.sha256(source).hexdigest()
    _sources.setdefault(digest, (source, file))
    return digest


def texts() -> tuple[bytes, ...]:
    """Return all registered texts."""
    return tuple(source for source, _ in _sources.values())


def is_registered(model: str) -> bool:
    """Return whether the text of an own model is known."""
    return source_hash(model) in _sources


def source_of(model: str) -> bytes:
    """Return the text of an own model, which must be registered."""
    return _sources[source_hash(model)][0]


def find(model: str) -> Callable[..., Any]:
    """Return what makes an own network, running its text the first time; or raise NetworkError."""
    name, digest = model.removeprefix("model.py:").split("@")
    source, file = _sources[digest]
    if (module := _modules.get(digest)) is None:
        module = ModuleType(f"own_network_{digest[:16]}")
        module.__file__ = file
        lines = source.decode(errors="replace").splitlines(keepends=True)
        linecache.cache[file] = (len(source), None, lines, file)  # for tracebacks
        sys.modules[module.__name__] = module  # dataclasses look there
        with _blaming(file, "it cannot be imported"):
            exec(compile(source, file, "exec", dont_inherit=True), module.__dict__)
        _modules[digest] = module
    found = getattr(module, name, None)
    if found is None:
        makers = inspect.getmembers(module, lambda v: inspect.isclass(v) or inspect.isfunction(v))
        own = [name for name, maker in makers if maker.__module__ == module.__name__]
        listed = f"; it has {', '.join(own[:5])}" if own else ""
        raise NetworkError(f"{file} has no `{name}`{listed}")
    if not (inspect.isclass(found) or inspect.isroutine(found)):
        raise NetworkError(f"`{name}` of {file} must be a class or a function, not {_kind(found)}")
    return found


def check_arguments(model: str, given: Iterable[str]) -> None:
    """Raise NetworkError if an own network needs more than `GIVEN` and the arguments `given`."""
    make, file = find(model), _file(model)
    known = {*GIVEN, *given}
    for name, parameter in parameters_of(make).items():
        is_needed = parameter.default is parameter.empty
        if not is_needed or parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise NetworkError(
                f"`{make.__name__}` of {file} takes `{name}` only by position, but its arguments "
                "are given by name: leave out the `/`"
            )
        if name not in known:
            raise NetworkError(
                f"`{make.__name__}` of {file} needs `{name}`, which the config does not set: "
                f"search or fix it as `model.{name}`, or give it a default"
            )


def parameters_of(make: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a class or function by name; NetworkError if they are unknown."""
    try:
        return inspect.signature(make).parameters
    except (TypeError, ValueError) as error:
        raise NetworkError(
            f"the arguments of `{make.__name__}` are unknown; define a function that calls it"
        ) from error


def defaults_of(model: str) -> dict[str, Any]:
    """Return the arguments of an own network whose default is a number, text or bool, with it."""
    parameters = parameters_of(find(model)).items()
    return {name: p.default for name, p in parameters if isinstance(p.default, int | float | str)}


def takes(make: Callable[..., Any], name: str) -> bool:
    """Return whether a class or function takes an argument of this name."""
    return bool(accepted(make, {name: None}))


def accepted(make: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that the maker of a network asks for.

    If it names some of `GIVEN`, its `**options` do not get the others of these.
    """
    asked = parameters_of(make)
    takes_others = any(p.kind is p.VAR_KEYWORD for p in asked.values())
    unwanted = GIVEN if any(name in asked for name in GIVEN) else ()
    return {
        name: value
        for name, value in arguments.items()
        if name in asked or (takes_others and name not in unwanted)
    }


def build(model: str, arguments: Mapping[str, Any], generator: "Generator | None") -> "nn.Module":
    """Build an own network on the device of `generator`, which seeds its weights.

    NetworkError if it cannot be built, or is not an `nn.Module`.
    """
    import torch
    from torch.nn.parameter import is_lazy

    make, file = find(model), _file(model)
    with contextlib.ExitStack() as stack:
        if generator is not None:
            stack.enter_context(torch.random.fork_rng(devices=[]))
            seed_all(generator)
        with _blaming(file, f"`{make.__name__}` cannot be built{_made_with(arguments)}"):
            # `check` reports it, with the arguments.
            warnings.filterwarnings("ignore", message="Initializing zero-element tensors")
            network = make(**accepted(make, arguments))
            if not isinstance(network, torch.nn.Module):
                must = f"`{make.__name__}` of {file} must return an `nn.Module`"
                raise NetworkError(f"{must}, but returned {_kind(network)}")
            if any(map(is_lazy, (*network.parameters(), *network.buffers()))):
                side = arguments["side"]
                with torch.no_grad():
                    network.eval()(torch.zeros(2, arguments["n_channels"], side, side))
    return network if generator is None else network.to(generator.device)


def seed_all(generator: "Generator") -> None:
    """Seed torch's global generators, which own networks draw from, by a given one."""
    import torch

    seed = torch.empty((), dtype=torch.int64, device=generator.device)
    torch.manual_seed(int(seed.random_(generator=generator)))


def check(
    model: str, shape: Mapping[str, int], tried: Mapping[str, list[Any]], *, n_images: int = 3
) -> None:
    """Make a batch of `n_images` pass through an own network, forward and back.

    `tried` has by argument the values to try, such as the ends of a range. NetworkError if it
    fails, its output has another shape than [n, n_classes], nothing of it can be trained, or two
    networks share what training changes: the second would go on with what the first has learned.
    """
    import torch

    for i in range(max(map(len, tried.values()))):
        point = {name: values[i % len(values)] for name, values in tried.items()}
        network = build(model, {**shape, **point}, torch.Generator().manual_seed(0))
        other = build(model, {**shape, **point}, torch.Generator().manual_seed(0))
        shared = _in_same_memory(network, other)
        before = {name: value.clone() for name, value in shared.items()}
        _check_batches(network, _file(model), shape, _made_with(point), n_images)
        for name, value in shared.items():
            if value.requires_grad or not torch.equal(value, before[name]):
                raise NetworkError(
                    f"all networks of {_file(model)} share `{name}`, so training one would change "
                    "the others: create it in `__init__`"
                )


def _in_same_memory(network: "nn.Module", other: "nn.Module") -> dict[str, "Tensor"]:
    """Return the parameters and buffers that lie in memory of another network, too.

    A new `nn.Parameter` of a tensor that all networks use is another object in the same memory.
    """
    tensors, others = (
        dict((*net.named_parameters(), *net.named_buffers())) for net in (network, other)
    )
    memory = {value.untyped_storage().data_ptr() for value in others.values() if value.numel()}
    return {k: v for k, v in tensors.items() if v.untyped_storage().data_ptr() in memory}


def _check_batches(
    network: "nn.Module", file: str, shape: Mapping[str, int], made: str, n_images: int
) -> None:
    import torch
    import torch.nn.functional as F

    kind = f"`{type(network).__name__}`"
    who, n_classes = f"{kind} of {file}", shape["n_classes"]
    parameters = [p for p in network.parameters() if p.requires_grad]
    if not parameters:
        raise NetworkError(f"{who} has no parameters that can be trained{made}")
    for name, parameter in network.named_parameters():
        if not parameter.numel():
            raise NetworkError(f"`{name}` of {who} has no elements{made}")
        if not parameter.is_floating_point():
            raise NetworkError(f"`{name}` of {who} must be real floats{made}")
    for name, value in network.state_dict().items():
        if not isinstance(value, torch.Tensor):
            raise NetworkError(f"`{name}` in the `state_dict` of {who} is no tensor")
    shapes = shapes_of(network)
    for n, mode in ((n_images, True), (1, False)):
        images = torch.rand(n, shape["n_channels"], shape["side"], shape["side"])
        size = f"{n} image{'s' * (n > 1)} of shape {list(images.shape[1:])}"
        network.train(mode)
        with _blaming(file, f"{kind} fails on {size}{made}"), torch.random.fork_rng(devices=[]):
            logits = network(images)
        output = f"the output of {who}"
        is_tensor = isinstance(logits, torch.Tensor)
        if not is_tensor or logits.shape != (n, n_classes):
            got = f"shape {list(logits.shape)}" if is_tensor else _kind(logits)
            must = f"must have the shape [{n}, {n_classes}] for {size}"
            raise NetworkError(f"{output} {must}, but got {got}{made}")
        if not logits.is_floating_point():
            raise NetworkError(f"{output} must be floats{made}")
        if not logits.isfinite().all():
            raise NetworkError(f"{output} is not finite for {size} of random pixels{made}")
        if mode:
            if not logits.requires_grad:
                on = "does not depend on parameters that can be trained"
                raise NetworkError(f"{output} {on}{made}")
            with _blaming(file, f"{kind} has no gradients{made}"):
                loss = F.cross_entropy(logits, torch.zeros(n, dtype=torch.int64))
                torch.autograd.grad(loss, parameters, materialize_grads=True)
        if changed := sorted(shapes ^ shapes_of(network)):
            raise NetworkError(
                f"{who} must create all layers in `__init__`, in their final shapes: its first "
                f"batch changes `{changed[0][0]}`{made}"
            )


def shapes_of(network: "nn.Module") -> set[tuple[str, tuple[int, ...]]]:
    """Return the names and shapes of all weights and buffers."""
    return {(name, tuple(value.shape)) for name, value in network.state_dict().items()}


def _file(model: str) -> str:
    return _sources[source_hash(model)][1]


def _made_with(arguments: Mapping[str, Any]) -> str:
    own = ", ".join(f"{name}={value}" for name, value in arguments.items() if name not in GIVEN)
    return f" with {own}" if own else ""


def _kind(value: object) -> str:
    return "nothing" if value is None else f"a value of type {type(value).__name__}"


@contextlib.contextmanager
def _blaming(file: str, what: str) -> Iterator[None]:
    """Turn an exception of the user's code into a `NetworkError` with its file and line.

    `sys.exit` and `os._exit` count as exceptions. What the code prints goes to standard error.
    """
    from unittest.mock import patch  # 70 ms

    try:
        with (
            contextlib.chdir("."),  # back to it at the end
            contextlib.redirect_stdout(sys.stderr),
            warnings.catch_warnings(),
            patch("os._exit", sys.exit),
        ):
            yield
    except NetworkError:
        raise
    except (Exception, SystemExit) as error:
        frames = traceback.extract_tb(error.__traceback__)
        line = next((f.lineno for f in reversed(frames) if f.filename == file), None)
        text = " ".join(str(error).split())
        if isinstance(error, SyntaxError) and error.filename == file:
            line, text = error.lineno, error.msg
        where = file if line is None else f"{file}:{line}"
        reason = f"{type(error).__name__}: {text[:300]}".removesuffix(": ")
        if isinstance(error, SystemExit):
            reason = "it ends the program"
        raise NetworkError(f"{where}: {what}: {reason}") from error
