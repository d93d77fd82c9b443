import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import recipes


def test_effect_is_found_among_others_and_beside_the_differences_of_splits():
    random = np.random.default_rng(0)
    n = 400
    table = pd.DataFrame({name: [usual] * n for name, usual in recipes.REFERENCE.items()})
    table["shear"] = random.choice([0.0, 10.0], n)
    table["momentum"] = random.choice([0.9, 0.95], n)
    table["split_seed"] = random.integers(0, 3, n)
    table["rotation"], table["shift"] = random.uniform(0, 15, n), random.uniform(0.03, 0.1, n)
    table["weight_decay"] = 10 ** random.uniform(-4, -3, n)
    table["learning_rate"] = 10 ** random.uniform(-2, -1, n)
    error = 0.006 + 0.001 * table["split_seed"]
    error *= np.where(table["shear"] > 0, 0.9, 1.0) * np.exp(random.normal(0, 0.09, n))
    error *= np.exp(-0.03 * table["rotation"] + 0.001 * table["rotation"] ** 2)
    table["val_accuracy"] = 1 - error * (1 + (np.log10(table["learning_rate"]) + 1.5) ** 2)
    momentum, shear, rotation = recipes.effects(table)
    assert (momentum["change"], shear["change"]) == (
        "momentum: 0.95 instead of 0.9",
        "shear: 10.0 instead of 0.0",
    )
    assert float(shear["error"].split()[0]) == pytest.approx(-10, abs=3.3)  # 4 standard errors
    assert float(momentum["error"].split()[0]) == pytest.approx(0, abs=3.7)
    assert float(rotation["error"].split()[0]) == pytest.approx(100 * np.expm1(-0.2), abs=8)
    low, high = (float(end.split()[0]) for end in shear["95 % interval"].split(" to "))
    assert high - low == pytest.approx(2 * 2.40 * 0.9 * 0.9, rel=0.2)  # of 0.9 standard errors


def test_effect_is_found_in_pairs():
    random = np.random.default_rng(1)
    pairs = pd.DataFrame({"seed": np.repeat(range(40), 2), "elastic": [0.0, 0.03] * 40})
    pairs["split_seed"] = pairs["seed"] // 2
    pairs.loc[len(pairs)] = {"seed": 0, "elastic": 0.045, "split_seed": 0}
    common = 0.005 * np.exp(random.normal(0, 0.5, 40))[pairs["seed"].astype(int)]
    noise = np.exp(random.normal(0, 0.05, len(pairs)))
    pairs["val_accuracy"] = 1 - common * noise * np.where(pairs["elastic"] == 0.03, 0.9, 1)
    (row,) = recipes.paired_effects(pairs)
    assert row["change"] == "elastic: 0.03 instead of 0.0, 40 pairs"
    assert float(row["error"].split()[0]) == pytest.approx(-10, abs=4)  # 4 standard errors
    low, high = (float(end.split()[0]) for end in row["95 % interval"].split(" to "))
    assert high - low == pytest.approx(2 * 2.09 * 0.9 * 100 * 0.05 * 0.2236, rel=0.4)


def test_recorded_trainings_are_all_there():
    counts = pd.read_csv(recipes._FILE)["split"].value_counts()
    assert counts.to_dict() == {"random": 152, "contiguous": 135}


def test_readme_has_the_effects_of_what_the_preset_has():
    readme = " ".join((Path(__file__).parents[2] / "README.md").read_text().split())
    pairs, contiguous, _ = recipes.measure(0).tables
    for change, rows in (("elastic: 0.03", pairs), ("label_smoothing: 0.03", contiguous)):
        (row,) = (row for row in rows if row["change"].startswith(change))
        error, low, high = re.findall(r"-([\d.]+) %", f"{row['error']} {row['95 % interval']}")
        assert f" {error} % ({high} to {low} %)" in readme


@pytest.mark.long
@pytest.mark.parametrize("split", ["contiguous", "random"])
def test_recorded_training_can_be_repeated(split, mnist):
    table = pd.read_csv(recipes._FILE).query("split == @split and label_smoothing")
    *_, row = table.to_dict("records")
    # Other processors round otherwise, which is as another seed: three standard deviations.
    assert recipes.train(row, mnist) == pytest.approx(row["val_accuracy"], abs=0.0022)
