from collections.abc import Iterator
from typing import Any

import pytest

import sweep.driver.estimate
from analysis.hyperparameters import complete
from analysis.records.dataset import DataRecord
from analysis.records.epochs import Epoch
from data_utils.dataset import ImageDataset
from sweep.config import SweepConfig
from sweep.driver.estimate import Speed, estimate_time, measure_speed
from sweep.driver.resume import Missing
from sweep.training.loop import TrainingRun

START_S = 15.0


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, bool]]:
    """Replaces measuring: a search epoch takes 10 s, that of a plain network or an MLP 5 s.

    An epoch of the confirmation takes a fifth longer. Returns what was measured.
    """
    found: list[tuple[str, int, bool]] = []

    def measure(model: str, values: dict[str, Any], device: str, data: DataRecord) -> Speed:
        is_augmented = values["rotation"] > 0
        found.append((model, values["batch_size"], is_augmented))
        seconds = 10.0 if is_augmented else 5.0
        return Speed(training_s=seconds / 50_000, validation_s=0.0)

    monkeypatch.setattr(sweep.driver.estimate, "measure_speed", measure)
    return found


def test_sweep_takes_as_long_as_its_epochs(measured):
    config = SweepConfig.model_validate({"trials": 5, "epochs": 2, "confirm": {"seeds": 3}})
    found = estimate_time(config, slots=2)
    assert found.search_s == pytest.approx(START_S + 3 * 2 * 10)  # in three waves
    # The finalist and the hand-tuned point are augmented, the plain network and the MLP not.
    assert found.confirmation_s == pytest.approx(2 * 3 * 1.2 * (2 * 10 + 2 * 5) / 2)
    assert measured == [("lenet5", 64, True), ("lenet5", 64, False), ("mlp", 64, False)]


def test_another_finalist_and_another_recipe_make_the_confirmation_longer(measured):
    plan = {"trials": 5, "epochs": 1, "confirm": {"seeds": 1, "top_k": 3}}
    space = {"dropout": [0.1, 0.2], "rotation": [5, 10], "batch_size": [16, 64, 128]}
    config = SweepConfig.model_validate({**plan, "space": space, "recipe": {"momentum": 0.8}})
    # Three finalists, the hand-tuned point in their recipe and in the published one.
    found = estimate_time(config, slots=1)
    assert found.confirmation_s == pytest.approx(1.2 * (5 * 10 + 2 * 5))


def test_smaller_data_takes_less_time(measured):
    config = SweepConfig.model_validate({"trials": 1, "epochs": 1, "confirm": {"seeds": 1}})
    found = estimate_time(config, slots=1, data=DataRecord(n_train=6000, n_validation=1000))
    assert found.search_s == pytest.approx(START_S + 1)
    assert found.confirmation_s == pytest.approx(0.12 * (2 * 10 + 2 * 5))


def test_time_budget_limits_the_search(measured):
    config = SweepConfig(trials=1000, epochs=2, time_budget="10m", confirm=None)
    found = estimate_time(config, slots=2)
    assert (found.search_s, found.confirmation_s) == (START_S + 600 + 2 * 10, 0.0)


def test_estimate_is_of_what_is_missing(measured):
    plan = {"trials": 8, "epochs": 1, "time_budget": "1h", "confirm": {"seeds": 4, "top_k": 100}}
    config = SweepConfig.model_validate(plan)
    missing = Missing(n_trials=3, budget_s=12.0, runs=[], n_runs=0, text="")
    found = estimate_time(config, slots=1, missing=missing)
    assert found.search_s == pytest.approx(START_S + 12 + 10)
    # There are no more than eight finalists, beside three baselines.
    every = 9 * 12 + 2 * 6
    assert found.confirmation_s == pytest.approx(4 * every)
    # Fewer trials than eight ran all their epochs, so that there are fewer finalists.
    missing = Missing(0, None, runs=[("mlp", 1), ("mlp", 2)], n_runs=4 * 5, text="")
    found = estimate_time(config, slots=1, missing=missing)
    assert found.search_s == START_S
    assert found.confirmation_s == pytest.approx(2 * every / 11)


def test_last_runs_of_the_confirmation_take_as_long_as_the_others(measured):
    config = SweepConfig.model_validate({"trials": 1, "epochs": 1, "confirm": {"seeds": 5}})
    found = estimate_time(config, slots=16)  # 20 runs
    assert found.confirmation_s == pytest.approx(2 * (2 * 12 + 2 * 6) / 4)


def test_speed_of_a_training_that_would_diverge_is_measured():
    speed = measure_speed("mlp", complete({"learning_rate": 100.0, "rotation": 5.0}), "cpu")
    assert 0 < speed.training_s < 0.1
    assert 0 < speed.validation_s < 0.1


@pytest.mark.parametrize(
    ("image_s", "n_images"),
    [(0.1, [64]), (0.01, [64, 64]), (0.002, [64, 64, 128]), (1e-5, [64, 64, 128, 256, 512])],
)
def test_slow_training_is_measured_on_few_images(image_s, n_images, monkeypatch):
    seen: list[int] = []

    def train(run: TrainingRun, data: ImageDataset, *_: Any, epochs: int) -> Iterator[Epoch]:
        seen.append(len(data))
        seconds = image_s * len(data)
        run.history.append(Epoch(epochs, 0.1, 0.9, 0.1, 0.9, seconds, 2 / image_s))
        yield run.history[-1]

    monkeypatch.setattr("sweep.training.loop.train_epochs", train)
    speed = measure_speed("mlp", complete({"batch_size": 1024}), "cpu")
    assert (speed.training_s, speed.validation_s) == pytest.approx((image_s / 2, image_s / 2))
    assert seen == n_images + 3 * [1024] * (image_s < 1e-4)
