"""The network of the best trial as files that can be used without this program."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from analysis.errors import describe_cause
from analysis.storage.local_folder import LocalFolder
from data_utils.dataset import MEAN, STD
from models import MODELS
from sweep.errors import UsageError
from sweep.results.best_model import BestModel

FILES = ("model.pt", "hyperparameters.json", "README.md", "metrics.json")

_METRICS_FILE = FILES[-1]
_WRITER = "sweep export"


def write_export(best: BestModel, summary: Mapping[str, Any], out: Path) -> dict[str, Any]:
    """Write weights, hyperparameters, metrics and a guide to them; return the metrics.

    Each file is replaced atomically. The metrics are written last and removed first, so that
    they always describe the weights beside them. `summary` is the document that
    `sweep best --json` prints. `out` may be new, empty, or written by an earlier export.

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
    guide = _readme(best, summary["sweep"]).encode()
    contents = (weights.getvalue(), _json(best.hyperparameters), guide, _json(metrics))
    folder = LocalFolder(out)
    try:
        _check_target(out)
        folder.delete(_METRICS_FILE)
        for name, content in zip(FILES, contents, strict=True):
            folder.write(name, content)
    except OSError as error:
        raise UsageError(f"cannot write to {out}: {describe_cause(error)}") from error
    return metrics


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


def _readme(best: BestModel, sweep: str) -> str:
    class_name = MODELS[best.model].partition(":")[2]
    return f"""\
# {sweep}, trial {best.trial_id}

A digit classifier, `{class_name}`: {best.describe()}.

`model.pt` is a plain state dict. `hyperparameters.json` has its hyperparameters, and
`metrics.json` its accuracy. With PyTorch and the package `models` of lenet-sweep:

```python
import torch
from models import {class_name}

model = {class_name}()
model.load_state_dict(torch.load("model.pt", weights_only=True))
model.eval()

pixels = torch.zeros(1, 1, 28, 28)  # as in MNIST: 0 for paper, up to 255 for ink
with torch.inference_mode():
    probabilities = model((pixels / 255 - {MEAN}) / {STD}).softmax(1)
print(probabilities.argmax(1).item())
```
"""
