from importlib.metadata import version
from typing import Any

import numpy as np
import yaml

from data_utils.mnist import default_folder
from sweep.config import SweepConfig


def test_presets_are_listed_with_a_description_and_ready_to_be_saved(call, tmp_path):
    lines = [line.split() for line in call("preset").out.splitlines()]
    assert [words[0] for words in lines] == ["quick", "classic", "best"]
    for name, *description in lines:
        assert len(description) > 3
        assert "#" not in description
        outcome = call("preset", name)
        assert (outcome.exit_code, outcome.err) == (0, "")
        assert yaml.safe_load(outcome.out)["model"] == "lenet5"
        (tmp_path / "mine.yaml").write_text(outcome.out)
        assert call("validate mine.yaml").exit_code == 0


def test_version_is_that_of_the_package(call):
    assert call("--version").out == f"sweep {version('lenet-sweep')}\n"


def test_validate_says_what_is_searched_fixed_and_off(call, tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "{trials: 12, epochs: 7, initial_points: [{dropout: 0.25}], recipe: {shift: 0.05},"
        " space: {dropout: {low: 0, high: 0.5}, batch_size: [32, 64]}}"
    )
    outcome = call("validate mine.yaml")
    assert outcome.out == (
        "mine.yaml is a valid config: 12 trials of up to 7 epochs\n"
        "  searched  dropout 0 to 0.5, batch_size 32 or 64\n"
        "  fixed     shift 0.05, learning_rate 0.01, schedule constant, warmup_epochs 0, "
        "momentum 0.9, nesterov false\n"
        "  off       rotation, weight_decay\n"
        "  first     dropout 0.25\n"
    )
    assert outcome.err == ""
    quick = call("validate mine.yaml --preset quick --json").document
    assert quick["config"]["searcher"] == "gp"
    document = call("validate mine.yaml --json").document
    config = document.pop("config")
    assert document == {
        "valid": True,
        "searched": ["dropout", "batch_size"],
        "off": ["rotation", "weight_decay"],
    }
    assert (config["trials"], config["epochs"]) == (12, 7)
    assert SweepConfig.model_validate(config).model_dump(mode="json") == config
    (tmp_path / "mine.yaml").write_text("epochs: 2\n")
    note = call("validate mine.yaml --json").err
    assert note.startswith("note: no trial will be stopped early")


def test_data_is_verified_and_counted(call):
    outcome = call("data")
    assert outcome.exit_code == 0
    assert "60,000 training images, 10,000 test images" in outcome.out
    largest = "the most frequent class is 11.3 % of the test images"
    assert f"5,421 (5) to 6,742 (1) training images per class; {largest}\n" in outcome.out
    document = call("data --json").document
    counts = {"train_images": 60_000, "test_images": 10_000}
    shape = {"classes": [*"0123456789"], "image_shape": [28, 28]}
    where = {"dataset": "mnist", "folder": str(default_folder())}
    per_class = document.pop("train_images_per_class")
    assert per_class["5"] == min(per_class.values()) == 5_421
    assert sum(per_class.values()) == 60_000
    assert document == {**where, **counts, **shape}


def test_images_that_a_dataset_has_for_validation_are_named(call, tmp_path):
    arrays: dict[str, Any] = {}
    for number, (part, n) in enumerate({"train": 12, "val": 4, "test": 6}.items()):
        arrays[f"{part}_images"] = np.full((n, 28, 28), number, np.uint8)
        arrays[f"{part}_images"][:, 0, 0] = np.arange(n)
        arrays[f"{part}_labels"] = np.arange(n) % 2
    np.savez(tmp_path / "own.npz", **arrays)
    outcome = call("data --dataset own.npz")
    assert "16 training images (4 for validation), 6 test images" in outcome.out
    assert (
        "8 training images per class; the most frequent class is 50.0 % of the test" in outcome.out
    )


def test_schema_is_printed(call):
    outcome = call("schema")
    assert (outcome.exit_code, outcome.err) == (0, "")
    assert "trials" in outcome.document["properties"]


def test_validate_prints_the_problems_as_json(call, tmp_path):
    (tmp_path / "keys").write_text("trails: 4\nepoch: 2\n")
    (tmp_path / "network").write_text("model: net.py:Net\n")
    found = {}
    for name in ("keys", "network", "none"):
        plain, outcome = call("validate", name), call("validate", name, "--json")
        assert (plain.exit_code, outcome.exit_code, outcome.err) == (2, 2, "")
        document = outcome.document
        assert document["valid"] is False
        found[name] = document["problems"]
        assert plain.err == "error: " + "\n".join(found[name]) + "\n"
    first, second = found["keys"]
    assert "`trails` is unknown; did you mean `trials`? (keys:1)" in first
    assert "(keys:2)" in second
    assert "net.py" in found["network"][0]
    assert found["none"] == ["there is no config file none"]
