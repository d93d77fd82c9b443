"""The network of the best trial as files that can be used without this program."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from analysis.errors import describe_cause
from analysis.storage.folder import LocalFolder
from data_utils.dataset import MEAN, STD
from models import MODELS
from sweep.errors import UsageError
from sweep.results.best_model import BestModel

WEIGHTS_FILE = "model.pt"
HYPERPARAMETERS_FILE = "hyperparameters.json"
METRICS_FILE = "metrics.json"
README_FILE = "README.md"
FILES = (WEIGHTS_FILE, HYPERPARAMETERS_FILE, README_FILE, METRICS_FILE)

_WRITER = "sweep export"


def write_export(best: BestModel, summary: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Write weights, hyperparameters, metrics and a guide to them into `out`.

    Each file is replaced atomically. The metrics are written last and removed first, so that
    they are always of the weights beside them.

    Args:
        best: The network.
        summary: The document that `sweep best --json` prints.
        out: A folder that does not exist, is empty, or was written by an earlier export.

    Returns:
        The metrics.

    Raises:
        UsageError: `out` contains other files, or cannot be written to.
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
    weights = io.BytesIO()
    torch.save(dict(best.network.state_dict()), weights)
    contents = {
        WEIGHTS_FILE: weights.getvalue(),
        HYPERPARAMETERS_FILE: _json(best.hyperparameters),
        README_FILE: _readme(best, summary["sweep"]).encode(),
        METRICS_FILE: _json(metrics),
    }
    folder = LocalFolder(out)
    try:
        _check_target(out)
        folder.delete(METRICS_FILE)
        for name in FILES:
            folder.write(name, contents[name])
    except OSError as error:
        raise UsageError(f"cannot write to {out}: {describe_cause(error)}") from error
    return metrics


def _check_target(out: Path) -> None:
    """Check that nothing of the user's would be overwritten."""
    there = sorted(entry.name for entry in out.iterdir()) if out.exists() else []
    foreign = [name for name in there if name not in FILES]
    if foreign or (there and not _is_export(out)):
        raise UsageError(
            f"`--out` must be a new or empty folder, or one that export wrote, but {out} has "
            f"{(foreign or there)[0]} in it"
        )


def _is_export(out: Path) -> bool:
    try:
        metrics = json.loads((out / METRICS_FILE).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(metrics, dict) and metrics.get("written_by") == _WRITER


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, indent=2, allow_nan=False).encode() + b"\n"


def _readme(best: BestModel, sweep: str) -> str:
    class_name = MODELS[best.model].partition(":")[2]
    return f"""\
# {sweep}, trial {best.trial_id}

A digit classifier, `{class_name}`: {best.describe()}.

`{WEIGHTS_FILE}` is a plain state dict; `{HYPERPARAMETERS_FILE}` is what it was trained with,
`{METRICS_FILE}` how good it is. With PyTorch and the package `models` of lenet-sweep:

```python
import torch
from models import {class_name}

model = {class_name}()
model.load_state_dict(torch.load("{WEIGHTS_FILE}", weights_only=True))
model.eval()

pixels = torch.zeros(1, 1, 28, 28)  # as in MNIST: 0 for paper, up to 255 for ink
with torch.inference_mode():
    probabilities = model((pixels / 255 - {MEAN}) / {STD}).softmax(1)
print(probabilities.argmax(1).item())
```
"""
