import re
import shlex
from typing import Any

import pytest
from typer.main import get_command

from sweep.cli import app, words

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


def test_every_command_that_is_suggested_exists():
    assert set(words._COMMANDS.values()) <= {*GROUP.commands, "--help", "--version"}
