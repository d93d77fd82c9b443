import re
import shlex
from typing import Any

import pytest
from typer.main import get_command

from sweep.cli import app
from sweep.config import Confirm, SweepConfig

GROUP: Any = get_command(app)


@pytest.mark.parametrize("name", GROUP.commands)
def test_help_fits_a_terminal_and_has_a_sentence_and_examples_that_are_understood(
    name, call, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "80")
    outcome = call(name, "--help")
    assert outcome.exit_code == 0
    assert max(map(len, outcome.out.splitlines())) <= 80
    overview = call()
    assert (overview.exit_code, overview.err[:6]) == (2, "Usage:")
    sentence = GROUP.commands[name].help.split("\n")[0]
    assert f"\n  {name} {sentence}\n" in re.sub(" {2,}(?=[A-Z])", " ", overview.out + overview.err)
    _, _, examples = outcome.out.rpartition("Example")
    commands = [line.split(" > ")[0] for line in examples.splitlines()[1:] if line]
    assert commands
    for command in commands:
        program, word, *arguments = shlex.split(command)
        assert (program, word) == ("sweep", name)
        GROUP.commands[word].make_context(word, arguments)  # raises for what it does not know


@pytest.mark.parametrize(
    ("command", "section", "name"),
    [
        ("resume", SweepConfig, "trials"),
        ("confirm", Confirm, "top_k"),
        ("confirm", Confirm, "seeds"),
        ("confirm", Confirm, "max_seeds"),
    ],
)
def test_bounds_of_an_option_are_those_of_its_key(command, section, name, call):
    schema, option = section.model_json_schema()["properties"][name], f"--{name.replace('_', '-')}"
    bounds = schema.get("anyOf", [schema])[0]
    low, high = bounds["minimum"], bounds["maximum"]
    for value, says in ((low - 1, f"at least {low}"), (high + 1, f"at most {high}")):
        assert f"`{option}` must be {says}, but got" in call(command, option, value).err
    for value in (low, high):
        assert f"`{option}` must" not in call(command, option, value).err
