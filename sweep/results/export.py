"""The network of the best trial as files that can be used without this program."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from analysis.errors import describe_cause, is_disk_full
from analysis.formatting import count, interval, percent
from analysis.storage.local_folder import LocalFolder
from models.own import is_own
from sweep.errors import UsageError
from sweep.results import standalone
from sweep.results.best_model import BestModel

FILES = (
    "model.py",
    "model.pt",
    "model.pt2",
    "images.py",
    "predict.py",
    "hyperparameters.json",
    "README.md",
    "metrics.json",
)
_METRICS_FILE = FILES[-1]
_WRITER = "sweep export"


def write_export(
    best: BestModel, summary: Mapping[str, Any], out: Path
) -> tuple[list[str], dict[str, Any]]:
    """Write the network, its metrics and a guide, usable without this project.

    Return the names of the files, of `FILES`, and the metrics. Each file is replaced atomically.
    The metrics are written last and removed first, so that they always describe the weights
    beside them. `summary` is the document that `sweep best --json` prints. `out` may be new,
    empty, or written by an earlier export; UsageError if it contains other files, or cannot be
    written to. StorageError if the disk is full.
    """
    measured = "test_accuracy" if best.origin == "confirmation" else "val_accuracy"
    metrics = {
        "written_by": _WRITER,
        "sweep": summary["sweep"],
        "trial_id": best.trial_id,
        "model": best.model,
        "val_accuracy": summary["val_accuracy"],
        "selection": summary["selection"],
        "epochs": best.epochs,
        "weights": {
            "origin": best.origin,
            "description": best.describe(),
            "seed": best.seed,
            measured: best.accuracy,
        },
    }
    if "confirmed" in summary:
        metrics["confirmed"] = summary["confirmed"]
    try:
        _check_target(out)
        contents = _contents(best, summary, metrics)
        folder = LocalFolder(out)
        folder.delete(_METRICS_FILE)
        for name in set(FILES) - contents.keys():
            folder.delete(name)
        for name, content in contents.items():
            folder.write(name, content)
    except OSError as error:
        if is_disk_full(error):
            raise
        raise UsageError(f"cannot write to {out}: {describe_cause(error)}") from error
    return list(contents), metrics


def _contents(
    best: BestModel, summary: Mapping[str, Any], metrics: Mapping[str, Any]
) -> dict[str, bytes]:
    """Return the contents of `FILES`, in their order, without `model.pt2` if it cannot be made."""
    network = standalone.plain_network(best)
    weights = io.BytesIO()
    torch.save(dict(network.state_dict()), weights)
    program = standalone.program_file(best, network)
    contents = (
        standalone.model_file(best),
        weights.getvalue(),
        program,
        standalone.images_file().encode(),
        standalone.predict_file(best).encode(),
        _json(best.hyperparameters),
        _readme(best, summary, has_program=program is not None).encode(),
        _json(metrics),
    )
    return {k: v for k, v in zip(FILES, contents, strict=True) if v is not None}


def _check_target(out: Path) -> None:
    """Check that nothing of the user's would be overwritten."""
    there = sorted(entry.name for entry in out.iterdir()) if out.exists() else []
    foreign = [name for name in there if name not in FILES]
    try:
        is_export = json.loads((out / _METRICS_FILE).read_bytes())["written_by"] == _WRITER
    except (OSError, ValueError, TypeError, KeyError):
        is_export = False
    if foreign or (there and not is_export):
        raise UsageError(
            f"`--out` must be a new or empty folder, or one that export wrote, but {out} contains "
            f"{(foreign or there)[0]}"
        )


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, indent=2, allow_nan=False).encode() + b"\n"


def _readme(best: BestModel, summary: Mapping[str, Any], *, has_program: bool) -> str:
    accuracy, spec, n_classes = "", best.spec, len(best.spec.classes)
    classes = ", ".join(spec.classes)
    image = ", ".join(map(str, spec.shape))
    prepares = "scales an image to the size of the training images"
    pixels = "pixels from 0 to 255"
    if spec.is_digits:
        prepares, pixels = "prepares an image as MNIST's were", "0 for paper, up to 255 for ink"
    if confirmed := summary.get("confirmed"):
        mean, ends = percent(confirmed["test_accuracy_mean"]), confirmed["test_accuracy_ci95"]
        within = f" (95 % interval {interval(ends, percent)})" if ends else ""
        seeds = count(confirmed["n_seeds"], "seed")
        accuracy = f" The confirmation's mean test accuracy, over {seeds}: {mean}{within}."
    program = f"""\
- `model.pt2` is the same for raw pixels, on the CPU: uint8 [n, {image}], {pixels}. Output: probabilities of the classes, float32 [n, {n_classes}]. It loads with PyTorch alone; version {torch.__version__.partition("+")[0]} wrote it.
```python
import torch
classify = torch.export.load("model.pt2").module()
print(classify(torch.zeros(1, {image}, dtype=torch.uint8)).argmax(1))
```
"""  # noqa: E501
    if not has_program:
        program = ""
    return f"""\
# {summary["sweep"]}, trial {best.trial_id}

An image classifier, `{standalone.maker(best)}`: {best.describe()}.{accuracy}

Its {n_classes} classes, in the order of its outputs: {classes}.

- `predict.py` classifies image files, or all in a folder: `python predict.py IMAGE...`. It needs `torch`, `numpy` and `pillow`, and the files `images.py` ({prepares}), `model.py` and `model.pt`.
- `model.py` is the {"file of the network" if is_own(best.model) else "network in plain PyTorch"}, and `model.pt` its weights: `model = {standalone.constructor(best)}`, `model.load_state_dict(torch.load("model.pt", weights_only=True))`, then `model.eval()`. Input: float32 [n, {spec.channels}, {spec.side}, {spec.side}], (pixel / 255 - {spec.mean}) / {spec.std}. Output: logits [n, {n_classes}].
{program}- `hyperparameters.json` has the hyperparameters of the training, and `metrics.json` the accuracies.
"""  # noqa: E501
