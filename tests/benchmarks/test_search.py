from typing import Any

import numpy as np
import pytest

from recorded_problem import EPOCHS, SHORT, RecordedProblem
from search import ARMS
from simulated import SPACE, simulate


def _reached(hyperparameters: dict[str, Any]) -> float:
    return round(0.99 - hyperparameters["dropout"] / 10, 4)


class Valley:
    """A problem whose accuracy is highest without dropout; keeps what is trained."""

    def __init__(self) -> None:
        self.trained: list[tuple[dict[str, Any], int]] = []

    def curve(
        self, hyperparameters: dict[str, Any], epochs: int, random: np.random.Generator
    ) -> list[float]:
        self.trained.append((hyperparameters, epochs))
        end = _reached(hyperparameters)
        return [end - 0.001 * left for left in range(epochs - 1, -1, -1)]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.filterwarnings("ignore:After 0.17 or January 2028:FutureWarning")
@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_chooses_the_best_of_what_it_has_trained(arm):
    if arm.startswith("Syne Tune"):
        pytest.importorskip("syne_tune")
    problem: Any = Valley()
    chosen = simulate(ARMS[arm](180, 0), problem, 180, 0)
    assert chosen is not None
    assert chosen.hyperparameters.keys() >= SPACE.keys()
    reached = [_reached(values) for values, epochs in problem.trained if epochs == EPOCHS]
    assert np.median(reached) <= chosen.shown <= max(reached)
    assert chosen.shown == _reached(chosen.hyperparameters)


def test_sweep_uses_up_its_budget_and_no_more():
    problem: Any = Valley()
    simulate(ARMS["the same with `tpe`"](240, 0), problem, 240, 0)
    lengths = [epochs for _, epochs in problem.trained]
    assert set(lengths) == {SHORT, EPOCHS}
    assert 240 - EPOCHS < sum(lengths) <= 240


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_surrogate_predicts_trainings_that_it_has_not_seen():
    problem = RecordedProblem()
    quality = problem.check()
    assert quality.ranks > 0.8
    assert quality.error < 1.2 * quality.noise
    good = {
        "dropout": 0.04,
        "rotation": 9.0,
        "shift": 0.04,
        "weight_decay": 5e-4,
        "learning_rate": 0.044,
    }
    bad = good | {"dropout": 0.5}
    assert problem.accuracy(bad) < problem.accuracy(good) <= problem.best
    ends = [problem.curve(good, EPOCHS, np.random.default_rng(seed))[-1] for seed in range(200)]
    assert np.mean(ends) == pytest.approx(problem.accuracy(good), abs=2e-4)
    with pytest.raises(ValueError, match="no training of 7 epochs"):
        problem.curve(good, 7, np.random.default_rng(0))
