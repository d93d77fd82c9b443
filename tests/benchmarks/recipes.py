"""What changes to a plain recipe do to the error: a factorial experiment.

Each row of `recipes.csv` is a training of LeNet-5 on MNIST for 15 epochs, with Nesterov's
momentum: `train` repeats it. All values of a training were drawn at once, from one of four Sobol
sequences, so that one training tells something about several changes:

| rows       | varied beside rotation, shift, weight decay and learning rate              |
|------------|-----------------------------------------------------------------------------|
| 1 to 59    | batch size, schedule, averaging, label smoothing, scale, shear 10, dropout  |
| to 91      | label smoothing, scale, shear 10 and 20                                     |
| to 152     | label smoothing 0.03, shear 10, momentum, warm-up                           |
| to 248     | label smoothing 0.03, scale, shear 10 and 20, dropout 0.1 and 0.2           |
| to the end | elastic: the same seed and other values with each of its values             |

The second and later ones were chosen after those before them had been fitted, to settle what had
looked promising. So was elastic 0.03: six seeds had three values, and one had 0.045, before the
last ten pairs. Rotation was up to 15 degrees, from the 153rd on 20, and in the last ones 12.
`split` and `split_seed` are those of a config, so that an effect is not that of the same 10,000
images. With another batch size or momentum, the learning rate was changed as is usual: by the root
of the one, and by 1 - momentum.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.formatting import interval
from data_utils.dataset import TrainTest
from results import Section
from sweep.training.loop import TrainingRun, train_epochs

_FILE = Path(__file__).with_name("recipes.csv")
_WRECKED = 0.98  # learning rates that were too high, where nothing can be compared
REFERENCE = {
    "batch_size": 64,
    "schedule": "linear",
    "warmup_epochs": 2.0,
    "momentum": 0.9,
    "ema_decay": 0.0,
    "label_smoothing": 0.0,
    "scale": 0.0,
    "shear": 0.0,
    "dropout": 0.0,
}


def train(row: Mapping[str, Any], data: TrainTest) -> float:
    """Train again with the values of a row; return the validation accuracy after 15 epochs."""
    values = {
        k: v for k, v in row.items() if k not in ("split", "split_seed", "seed", "val_accuracy")
    }
    run = TrainingRun("lenet5", {"nesterov": True, **values}, seed=row["seed"])
    *_, last = train_epochs(run, *data.split(row["split"], row["split_seed"]), epochs=15)
    return last.val_accuracy


def effects(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return what each change does to the error, in percent of it, with a 95 % interval.

    The logarithm of the error is fitted by least squares: a term for each change, parabolas in
    rotation, shift and the logarithms of weight decay and learning rate, and a term for each
    split. The intervals are Student's, and contain all effects together (Bonferroni).
    """
    terms: dict[str, np.ndarray] = {"1": np.ones(len(table))}
    changes: dict[str, set[str]] = {}  # the terms that make up each change
    for name, usual in REFERENCE.items():
        for value in sorted(set(table[name]) - {usual}):
            change = f"{name}: {value} instead of {usual}"
            terms[change] = (table[name] == value).to_numpy(float)
            changes[change] = {change}
    changes["rotation: 10 instead of 0"] = {"rotation", "rotation, squared"}
    batches, momenta = table["batch_size"] / 64, (1 - table["momentum"]) / 0.1
    for name, values in {
        "rotation": table["rotation"].to_numpy() / 10,  # so that both terms are 1 at 10 degrees
        "shift": stats.zscore(table["shift"]),
        "weight decay": stats.zscore(np.log(table["weight_decay"])),
        "learning rate": stats.zscore(np.log(table["learning_rate"] / batches**0.5 / momenta)),
    }.items():
        terms |= {name: values, f"{name}, squared": values**2}
    for seed in sorted(set(table["split_seed"]))[1:]:
        terms[f"split_seed {seed}"] = (table["split_seed"] == seed).to_numpy(float)
    inputs, target = np.column_stack(list(terms.values())), np.log(1 - table["val_accuracy"])
    solved, *_ = np.linalg.lstsq(inputs, target, rcond=None)
    n_free = len(table) - len(terms)
    variance = ((target - inputs @ solved) ** 2).sum() / n_free
    covariance = variance * np.linalg.inv(inputs.T @ inputs)
    quantile = stats.t.ppf(1 - 0.025 / len(changes), n_free)
    rows = []
    for change, summed in changes.items():
        weights = np.array([float(name in summed) for name in terms])
        half = quantile * np.sqrt(weights @ covariance @ weights)
        rows.append(_row(change, weights @ solved, half))
    return rows


def paired_effects(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return what elastic does to the error, from pairs that differ in nothing else.

    As `effects`, with the mean of each split as one observation, because its images are the same.
    The one training with 0.045 has no interval, and is left out.
    """
    index = ["split_seed", "seed"]
    errors = np.log(1 - table.pivot(index=index, columns="elastic", values="val_accuracy"))
    pairs = errors.sub(errors.pop(0.0), axis="index")
    pairs = pairs.loc[:, pairs.count() > 1]
    means = pairs.groupby("split_seed").mean()
    halves = stats.t.ppf(1 - 0.025 / means.shape[1], len(means) - 1) * means.sem()
    return [
        _row(f"elastic: {value} instead of 0.0, {pairs[value].count()} pairs", effect, half)
        for (value, effect), half in zip(means.mean().items(), halves, strict=True)
    ]


def measure(_: int) -> Section:
    """Fit the recorded trainings."""
    table = pd.read_csv(_FILE)
    table["is_paired"] = table["seed"].duplicated(keep=False)
    kept = table[table["val_accuracy"] > _WRECKED]
    note = (
        f"{len(kept)} trainings; {len(table) - len(kept)} others did not converge. "
        "The tables: pairs that differ in nothing else; trainings validated by images in a row; "
        "trainings validated by images drawn one by one."
    )
    pairs, others = kept[kept["is_paired"]], kept[~kept["is_paired"]]
    by_split = (effects(others[others["split"] == split]) for split in ("contiguous", "random"))
    return Section("Changes to a plain recipe", note, [paired_effects(pairs), *by_split])


def _row(change: str, effect: float, half: float) -> dict[str, Any]:
    ends = interval((effect - half, effect + half), _percent)
    return {"change": change, "error": _percent(effect), "95 % interval": ends}


def _percent(change: float) -> str:
    return f"{100 * np.expm1(change):+.1f} %"
