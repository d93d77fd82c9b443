"""Files that use an exported network without this project, made from the project's own code."""

import contextlib
import inspect
import io
import sys
from pkgutil import resolve_name

import torch
from torch import nn

from analysis.hyperparameters import own_arguments
from data_utils import images
from data_utils.batches import normalize
from data_utils.dataset import MNIST
from data_utils.errors import DataError
from models import MODELS
from models.own import accepted, find, is_own, source_of
from sweep.results.best_model import CONFIDENT, BestModel, Classifier


def plain_network(best: BestModel) -> nn.Module:
    """Return the network of the class that is exported, in evaluation mode."""
    if is_own(best.model):
        return best.network.requires_grad_(False)
    kind = resolve_name(MODELS[best.model])
    network: nn.Module = kind(**accepted(kind, best.spec.network))
    network.load_state_dict(best.network.state_dict())
    return network.eval().requires_grad_(False)


def maker(best: BestModel) -> str:
    """Return the name of the class or function that makes the network, in its file."""
    model = best.model if is_own(best.model) else MODELS[best.model]
    return model.partition(":")[2].partition("@")[0]


def constructor(best: BestModel) -> str:
    """Return the call that makes the network, without its weights."""
    if is_own(best.model):
        own = own_arguments(best.hyperparameters)
        given = {"dropout": best.hyperparameters["dropout"], **best.spec.network, **own}
        arguments = accepted(find(best.model), given)
    else:
        shape = best.spec.network if best.spec != MNIST else {}
        arguments = accepted(resolve_name(MODELS[best.model]), shape)
    return f"{maker(best)}({', '.join(f'{name}={value!r}' for name, value in arguments.items())})"


def model_file(best: BestModel) -> bytes:
    """Return the source of the network, which imports torch alone, or the user's own file."""
    if is_own(best.model):
        return source_of(best.model)
    return inspect.getsource(resolve_name(MODELS[best.model].partition(":")[0])).encode()


def program_file(best: BestModel, network: nn.Module) -> bytes | None:
    """Return a program of `torch.export`, which takes any number of images.

    It is None for a network of the user's own that `torch.export` does not support.
    """
    images = torch.zeros(2, *best.spec.shape, dtype=torch.uint8)
    shapes = ({0: torch.export.Dim("n")},)
    classifier = Classifier(network, best.spec)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            program = torch.export.export(classifier, (images,), dynamic_shapes=shapes)
    except Exception:
        if is_own(best.model):
            return None
        raise
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # has paths of this machine
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


def images_file() -> str:
    """Return the source that prepares an image as `sweep predict` does."""
    imported = "from data_utils.errors import DataError\n"
    error = inspect.getsource(DataError)
    return inspect.getsource(images).replace(imported, f"\n\n{error}")


def predict_file(best: BestModel) -> str:
    """Return the source of a program that classifies images with `model.py` and `model.pt`."""
    spec = best.spec
    reader = "read_digit" if spec.is_digits else "read_image"
    read = f"channels={spec.channels}, side={spec.side}"
    return f'''\
"""Classify image files with the exported network."""

import argparse
import os
import sys
from pathlib import Path

import torch
from torch import Tensor

import model as network_file
from images import DataError, files_below, is_image, {reader}

CLASSES = {list(spec.classes)}


{inspect.getsource(normalize)}

def images_at(path: Path) -> list[Path]:
    """Return the images in a folder, in order of their names, or the file itself."""
    if not path.is_dir():
        return [path]
    for files in (sorted(path.iterdir()), files_below(path)):  # they may be in folders by class
        if found := [file for file in files if is_image(file.relative_to(path))]:
            return found
    return []


def main() -> int:
    """Print for each image the most probable class and its probability."""
    parser = argparse.ArgumentParser(description=__doc__)
    text = "image file, or folder of them"
    parser.add_argument("images", metavar="IMAGE", nargs="+", type=Path, help=text)
    paths = [path for given in parser.parse_args().images for path in images_at(given)]
    if not paths:
        parser.error("the folder has no images; use PNG or JPEG files")
    model = network_file.{constructor(best)}
    weights = Path(__file__).with_name("model.pt")
    model.load_state_dict(torch.load(weights, weights_only=True))
    model.eval()
    status = 0
    for path in paths:
        try:
            image = torch.from_numpy({reader}(path{"" if spec.is_digits else f", {read}"}))
        except DataError as error:
            print(error, file=sys.stderr)
            status = 2
            continue
        with torch.inference_mode():
            pixels = image.float().view(1, {spec.channels}, {spec.side}, {spec.side})
            normalized = normalize(pixels, {spec.mean}, {spec.std})
            probabilities = model(normalized).float().softmax(1)[0]
        probability, label = (value.item() for value in probabilities.max(0))
        percent = min(100 * probability, 99.99)  # no network is certain
        doubt = "   low confidence" if probability < {CONFIDENT} else ""
        print(f"{{path}}  {{CLASSES[label]}}  {{percent:.2f}} %{{doubt}}")
    return status


if __name__ == "__main__":
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:  # a reader that has gone, as `head` does
        os._exit(1)
    sys.exit(status)
'''
