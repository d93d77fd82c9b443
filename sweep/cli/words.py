"""Commands and groups that know the words of other tools, and say which are meant here."""

import contextlib
import re
import shlex
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from typer.core import TyperCommand, TyperGroup
from typing_extensions import override

from analysis.formatting import printable
from sweep.errors import UsageError

_COMMANDS = {
    word: meant
    for meant, words in {
        "--help": "help",
        "--version": "version",
        "compare": "diff",
        "confirm": "evaluate test",
        "dashboard": "ui",
        "data": "download",
        "delete": "remove rm",
        "list": "ls",
        "preset": "config init",
        "report": "html",
        "resume": "continue restart",
        "run": "agent fit launch optimize search start train tune",
        "status": "info show",
        "trials": "leaderboard",
        "validate": "check",
    }.items()
    for word in words.split()
}
# Beside the words for keys of a config, which `find_key` knows.
_OPTIONS = {
    word: meant
    for meant, words in {
        "--concurrency": "--jobs --max-concurrent --n-jobs --num-workers --parallel --workers -j",
        "--config": "-c",
        "--follow": "-f",
        "--from": "--warm-start",
        "--name": "--run-name --study-name --sweep",
        "--out": "--output -o",
        "--storage": "--dir",
        "--time-budget": "--timeout",
        "--trials": "-n",
    }.items()
    for word in words.split()
}


class Group(TyperGroup):
    """The command line: a command that other tools have gets the one that is meant."""

    @override
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        with _in_one_line("sweep") if args else contextlib.nullcontext():  # prints the help
            return super().parse_args(ctx, args)

    @override
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        from sweep.config.messages import suggest

        if args[0] not in self.commands:
            meant = _COMMANDS.get(args[0])
            better = meant and f"; did you mean `sweep {shlex.join([meant, *args[1:]])}`?"
            hint = better or suggest(args[0], self.commands)
            raise UsageError(f"there is no command `{printable(args[0])}`{hint}")
        return super().resolve_command(ctx, args)


class Command(TyperCommand):
    """A command: an unknown option or argument gets the one that is meant."""

    allow_extra_args = True  # they are rejected here, with a better message

    @override
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        given = list(args)
        with _in_one_line(f"sweep {self.name}", partial(self._meant_by_option, given)):
            rest = super().parse_args(ctx, args)
        if ctx.args and not ctx.resilient_parsing:
            raise UsageError(self._describe_extra(ctx.args[0]))
        return rest

    @property
    def _options(self) -> set[str]:
        return {option for parameter in self.params for option in parameter.opts}

    def _meant_by_option(self, given: list[str], option: str) -> str:
        """Return what to type for an unknown option, and what else it does; "" if nothing."""
        from analysis.hyperparameters import HYPERPARAMETERS
        from sweep.config.messages import find_key

        value = _value_of(option, given)
        key = find_key(option.lstrip("-").replace("-", "_")) or ""
        name = key.rpartition(".")[2]
        for meant in (_OPTIONS.get(option), f"--{name.replace('_', '-')}"):
            if meant in self._options:
                words = f"{meant} {value}".rstrip()
                return f"`{words}`"
        if not key or "--set" not in self._options:
            return ""
        note = ", which fixes it for every trial" if name in HYPERPARAMETERS else ""
        return f"`--set {key}={shlex.quote(value) if value else '…'}`{note}"

    def _describe_extra(self, word: str) -> str:
        """Describe an argument that the command does not take."""
        wrong = f"`sweep {self.name}` takes no argument `{word}`"
        if "--preset" not in self._options:
            return f"{wrong}; see `sweep {self.name} --help`"
        from sweep.config.resolve import PRESETS

        if word in PRESETS:
            option = "--preset"
        elif "=" in word:
            option = "--set"
        else:
            is_file = word.endswith((".yaml", ".yml"))
            with contextlib.suppress(OSError):  # such as too long a name
                is_file |= Path(word).is_file()
            option = "--config" if is_file else "--name"
        return f"{wrong}; did you mean `{option} {shlex.quote(word)}`?"


@contextlib.contextmanager
def _in_one_line(
    command: str, meant_by: Callable[[str], str] = lambda option: ""
) -> Iterator[None]:
    """Turn an error of the library that reads the command line into a `UsageError`.

    `meant_by` returns what to type for an unknown option, and what else it does, or "".
    """
    try:
        yield
    except Exception as error:
        # Typer has its own copy of click, or not: the class of the error is not public.
        if hasattr(error.__cause__, "errors"):  # pydantic's, of a value
            raise UsageError(_describe_value(error)) from None
        if not hasattr(error, "format_message"):  # `--help` ends in an exception, too
            raise
        hint = f"see `{command} --help`"
        problem = error.format_message().rstrip(".").replace("'", "`")
        if (option := getattr(error, "option_name", None)) and hasattr(error, "possibilities"):
            problem = f"`{command}` has no option `{printable(option)}`"
            close = (f"`{meant}`" for meant in error.possibilities or ())
            if meant := meant_by(option) or next(close, ""):
                hint = f"did you mean {meant}?"
        raise UsageError(f"{problem[0].lower()}{problem[1:]}; {hint}") from None


def _describe_value(error: Any) -> str:
    """Describe a value of an option or argument that pydantic refuses."""
    from sweep.config.messages import describe

    (problem, *_) = error.__cause__.errors()
    name = error.param.opts[0] if error.param.param_type_name == "option" else error.param.metavar
    if problem["type"] == "value_error":
        return f"`{name}`: {problem['ctx']['error']}".rstrip(".")
    given = str(problem["input"])
    is_integer = re.fullmatch("-?[0-9]{1,18}", given)
    return describe(problem | {"loc": (name,), "input": int(given) if is_integer else given})


def _value_of(option: str, given: list[str]) -> str:
    """Return the value that follows an option; empty if none does."""
    for word, following in pairwise([*given, "-"]):
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
        if word == option and not following.startswith("-"):
            return following
    return ""
