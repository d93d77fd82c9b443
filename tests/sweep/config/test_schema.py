import re
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from sweep.config.resolve import PRESETS, preset_text, resolve_config
from sweep.config.schema import config_schema
from sweep.errors import UsageError

README = Path(__file__).parents[3] / "README.md"
VALIDATOR = Draft202012Validator(config_schema())

ACCEPTED = (
    *map(preset_text, PRESETS),
    *re.findall(r"^```yaml\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL),
    *(resolve_config(preset=name).to_yaml() for name in PRESETS),
    "time_budget: 1h30m",
    "time_budget: none",
    "scheduler: none",
    "scheduler: asha",
    "scheduler: null",
    "scheduler: {grace_period: 2}",
    "scheduler: {name: none, grace_period: x}",
    "confirm: none",
    "confirm: null",
    "confirm: {seeds: 8}",
    "resources: {gpu: 0.5}",
    "first: [{dropout: 0.25, rotation: 10}]",
    "initial_points: []",
    "recipe: {dropout: 0.1, nesterov: true, schedule: linear, warmup_epochs: 1}",
    "space: {dropout: null, shift: {low: 0, high: 0.1, step: 0.05}}",
    "space: {batch_size: {low: 16, high: 128, log: true}, nesterov: [true, false]}",
    "space: {batch_size: [32, 64], schedule: {choices: [constant, linear]}}",
)
REJECTED = (
    "trails: 3",
    "trials: '3'",
    "trials: 0",
    "time_budget: 30",
    "time_budget: 30 min",
    "model: lenet",
    "searcher: bayes",
    "scheduler: hyperband",
    "scheduler: {name: asha, grace: 2}",
    "confirm: 5",
    "recipe: {lr: 0.1}",
    "recipe: {dropout: {low: 0, high: 0.5}}",
    "recipe: {momentum: 1}",
    "space: {dropout: 0.3}",
    "space: {dropout: {low: 0}}",
    "space: {dropout: {low: 0, high: 2}}",
    "space: {dropout: {low: 0, high: 0.5, step: 0}}",
    "space: {schedule: {low: 0, high: 1}}",
    "space: {batch_size: [32]}",
    "space: {batch_size: [32, 32]}",
    "space: {}",
    "initial_points: [{}]",
    "initial_points: {dropout: 0.25}",
)


def test_schema_is_one():
    Draft202012Validator.check_schema(VALIDATOR.schema)


@pytest.mark.parametrize("text", ACCEPTED)
def test_accepted_config_is_valid(text, tmp_path):
    (tmp_path / "sweep.yaml").write_text(text)
    resolve_config(path=tmp_path / "sweep.yaml")
    assert not list(VALIDATOR.iter_errors(yaml.safe_load(text)))


@pytest.mark.parametrize("text", REJECTED)
def test_rejected_config_is_not_valid(text, tmp_path):
    (tmp_path / "sweep.yaml").write_text(text)
    with pytest.raises(UsageError):
        resolve_config(path=tmp_path / "sweep.yaml")
    assert list(VALIDATOR.iter_errors(yaml.safe_load(text)))


def test_values_have_a_description():
    schema = config_schema()
    assert schema["properties"]["epochs"]["description"].startswith("Epochs of a trial")
    rotation = schema["$defs"]["Point"]["properties"]["rotation"]
    assert rotation["description"] == "rotation (degrees); between 0 and 180 degrees"
