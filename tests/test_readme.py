"""What the README shows works as it stands there."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image

import synthetic
from analysis.storage.local_folder import LocalFolder
from sweep.cli import app

README = Path(__file__).parents[1] / "README.md"
TEXT = README.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
STAND_INS = {"WORKER": "w", "HEAD": "h", "…": "s3://b/s", "N": "2", "K": "2", "DIR": "d"}


def _commands() -> list[str]:
    """Return every `sweep` command line, of the code blocks and of the text."""
    shell = "\n".join(text for kind, text in BLOCKS if kind == "sh").replace("\\\n", " ")
    lines = re.findall(r"(?:^|&&\s|--\s|bin/)(sweep [^#&\n]*)", shell, flags=re.MULTILINE)
    prose = re.sub(r"^```.*?^```", "", TEXT, flags=re.MULTILINE | re.DOTALL)
    lines += re.findall(r"`(sweep [a-z]+ [^`]*)`", prose)
    return sorted({" ".join(line.split()) for line in lines})


def _program(call: str) -> str:
    (program,) = [text for kind, text in BLOCKS if kind == "python" and call in text]
    return program


COMMANDS = [line for line in _commands() if "/" not in line.split()[0]]


@pytest.mark.parametrize("line", COMMANDS)
def test_command_is_understood(line):
    line = re.sub(r"\[(NAME)\]|\bNAME\b", "a-sweep", line).split(" > ")[0]
    words = [STAND_INS.get(word, word) for word in shlex.split(line)][1:]
    group: Any = typer.main.get_command(app)
    command = group.commands[words[0]]
    command.make_context(words[0], words[1:])  # raises UsageError for what it does not know


def test_every_command_is_shown():
    group: Any = typer.main.get_command(app)
    for name in group.commands:
        assert f"`sweep {name}" in TEXT, f"the README does not show `sweep {name}`"


def test_python_runs_on_a_sweep(tmp_path):
    program = _program("sweep.open(")
    synthetic.write_search(LocalFolder(tmp_path / "runs/NAME"), synthetic.Search(n_trials=8))
    code = f"{program}\nassert len(trials) == 8 and len(epochs) > 8"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


@pytest.mark.long
def test_own_images_are_swept(tmp_path):
    program = _program("sweep.run(dataset")
    assert len(program.splitlines()) <= 20
    code = f"{program}\nprint(mine.verdict['baseline'], len(mine.trials))"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    best = re.search(r"([Tt]rial \d+)", ran.stdout)
    assert best is not None
    assert ran.stdout.endswith(" 12\n")
    assert "without regularizers" in ran.stdout
    with np.load(tmp_path / "halves.npz") as arrays:
        for i in (0, 1):
            Image.fromarray(arrays["x_test"][i]).resize((90, 90)).save(tmp_path / f"{i}.png")
    predict = [sys.executable, "-m", "sweep", "predict", "halves", "0.png", "1.png", "--json"]
    document = json.loads(subprocess.check_output(predict, text=True, cwd=tmp_path))
    assert [found["class"] for found in document["predictions"]] == ["0", "1"]
    assert "digit" not in document["predictions"][0]
    report = (tmp_path / "runs" / "halves" / "report.html").read_text()
    words = re.sub(r"<[^>]*>|base64,[^\"]*", " ", report)
    assert "on all 300 training images" in words
    assert not re.search(r"60,000|10,000|MNIST|digit|hand-tuned", words)


def test_files_that_are_named_exist():
    root = README.parent
    named = re.findall(r"`((?:models|data_utils|analysis|sweep|tests)/[\w/.]*)`", TEXT)
    named += re.findall(r"\]\(([\w/.-]+)\)", TEXT)
    assert named
    missing = [name for name in named if not (root / name).exists()]
    assert not missing
