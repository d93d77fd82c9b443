"""Files that use an exported network without this project, made from the project's own code."""

import ast
import inspect
import io
from pkgutil import resolve_name
from types import ModuleType

import torch
from torch import nn

from data_utils import digits
from data_utils.batches import normalize
from data_utils.dataset import MEAN, SIDE, STD
from models import MODELS
from sweep.results.best_model import BestModel, Classifier


def plain_network(best: BestModel) -> nn.Module:
    """Return the network of the class that is exported, in evaluation mode."""
    network: nn.Module = resolve_name(MODELS[best.model])()
    network.load_state_dict(best.network.state_dict())
    return network.eval().requires_grad_(False)


def model_file(best: BestModel) -> str:
    """Return the source of the network, which imports torch alone."""
    return inspect.getsource(resolve_name(MODELS[best.model].partition(":")[0]))


def program_file(network: nn.Module) -> bytes:
    """Return a program of `torch.export`, which takes any number of images."""
    images = torch.zeros(2, SIDE, SIDE, dtype=torch.uint8)
    shapes = ({0: torch.export.Dim("n")},)
    program = torch.export.export(Classifier(network), (images,), dynamic_shapes=shapes)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # has paths of this machine
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


def digits_file() -> str:
    """Return the source that prepares an image as `sweep predict` does."""
    return _without_imports_of(digits, "data_utils")


def predict_file(class_name: str) -> str:
    """Return the source of a program that recognizes digits with `model.py` and `model.pt`."""
    return f'''\
"""Recognize digits in image files: python predict.py IMAGE..."""

import sys
from pathlib import Path

import torch
from torch import Tensor

from digits import DataError, read_digit
from model import {class_name}

MEAN = {MEAN}
STD = {STD}


{inspect.getsource(normalize)}

def main(paths: list[str]) -> int:
    """Print for each image the most probable digit and its probability."""
    if not paths:
        print(__doc__, file=sys.stderr)
        return 2
    model = {class_name}()
    weights = Path(__file__).with_name("model.pt")
    model.load_state_dict(torch.load(weights, weights_only=True))
    model.eval()
    status = 0
    for path in paths:
        try:
            pixels = torch.from_numpy(read_digit(Path(path)))[None, None].float()
        except DataError as error:
            print(error, file=sys.stderr)
            status = 2
            continue
        with torch.inference_mode():
            probabilities = model(normalize(pixels)).softmax(1)[0]
        probability, digit = (value.item() for value in probabilities.max(0))
        percent = min(100 * probability, 99.99)  # no network is certain
        print(f"{{path}}  {{digit}}  {{percent:.2f}} %")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
'''


def _without_imports_of(module: ModuleType, package: str) -> str:
    """Return the source with the definitions of what it imports from a package in their place."""
    source = inspect.getsource(module)
    lines: list[str] = source.splitlines(keepends=True)
    for statement in reversed(ast.parse(source).body):
        if isinstance(statement, ast.ImportFrom) and f"{statement.module}.".startswith(
            f"{package}."
        ):
            names = [alias.name for alias in statement.names]
            lines[statement.lineno - 1 : statement.end_lineno] = [
                _definition(name, getattr(module, name)) for name in names
            ]
    return "".join(lines)


def _definition(name: str, value: object) -> str:
    if inspect.isclass(value) or inspect.isfunction(value):
        return f"\n\n{inspect.getsource(value)}"
    return f"{name} = {value!r}\n"
