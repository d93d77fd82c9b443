"""A search problem made of recorded trainings, which costs no training.

`recorded.csv` has 575 trainings of LeNet-5 on MNIST in the recipe of the preset `best` without
label smoothing, with `split: random`: the hyperparameters and the validation accuracy of each
epoch. Version 0.1.0 recorded the first four kinds, on two cores; the others are five sweeps of
`best`, of which the last three ran on a GPU.

| recorded_as | trainings | hyperparameters                                    | epochs       |
|-------------|-----------|----------------------------------------------------|--------------|
| random      | 86        | the hand-tuned point, then random in the space     | 15           |
| good        | 31        | random: dropout to 0.1, learning rate 0.03 to 0.12 | 15           |
| short       | 76        | the first 76 of `random`, with other seeds         | 5            |
| short good  | 22        | the first 22 of `good`, with other seeds           | 5            |
| sweep 0..4  | 5 * 72    | proposed by `gp`, with the seeds 0 to 4            | 5, or all 15 |

The first four were sweeps with the searcher `random`, no scheduler and no confirmation; in the
short ones the hyperparameters were initial points. With these alone, the surrogate had its optimum
in a narrow peak around one lucky training, where the five sweeps found nothing.

Between the recorded points Gaussian processes (Matérn 5/2) say what a training would reach, in
minus the logarithm of the error. One fits the last epochs of both schedules, which share what they
can; the others fit one earlier epoch of the long schedule each. What they do not explain is the
noise of a training: the seed's and, in part, their own error.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import qmc, spearmanr
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.model_selection import KFold

from sweep.config.dimensions import FloatRange
from sweep.config.resolve import resolve_config

EPOCHS, SHORT = 15, 5
_FILE = Path(__file__).with_name("recorded.csv")
_WORST_ERROR = 0.05  # larger errors count as this: all are far from the best
_SPACE = resolve_config(preset="best").space


@dataclass(frozen=True)
class Quality:
    """How well the surrogate predicts trainings that it was not fitted to.

    Attributes:
        error: Standard deviation of the prediction, as a fraction of a training's error.
        noise: That of a training's noise alone, as the surrogate has it.
        ranks: Spearman's correlation of predicted and recorded accuracy.
        ranks_of_good: The same in the better half.
    """

    error: float
    noise: float
    ranks: float
    ranks_of_good: float


class RecordedProblem:
    """Gives the validation accuracy of any training in the search space of `best`.

    Attributes:
        noise: Standard deviation of a training's noise, as a fraction of its error.
        best: The highest accuracy in the space, before noise.
    """

    def __init__(self) -> None:
        table = pd.read_csv(_FILE)
        is_short = table["epoch_15"].isna().to_numpy()
        points = np.array([_coordinates(row) for row in table.to_dict("records")])
        ends = table["epoch_5"].where(is_short, table["epoch_15"]).to_numpy()
        self._inputs, self._scores = _with_schedule(points, is_short), _score(ends)
        self._end = _fit(self._inputs, self._scores)
        self.noise = _noise(self._end)
        long = points[~is_short]
        self._epochs = {
            epoch: _fit(long, _score(table[f"epoch_{epoch}"][~is_short].to_numpy()))
            for epoch in range(1, EPOCHS)
        }
        tried = qmc.Sobol(len(_SPACE), seed=0).random(2**14)
        expected = self._end.predict(_with_schedule(tried, np.zeros(len(tried), bool)))
        self.best = float(1 - np.exp(-expected.max()))

    def accuracy(self, hyperparameters: dict[str, Any]) -> float:
        """Return the accuracy after 15 epochs, before noise."""
        return float(1 - np.exp(-self._expected(hyperparameters, EPOCHS)))

    def curve(
        self, hyperparameters: dict[str, Any], epochs: int, random: np.random.Generator
    ) -> list[float]:
        """Return the accuracies of a training by epoch; those of a short one count at the end."""
        end = self._expected(hyperparameters, epochs) + random.normal(0, self.noise)
        early = [end] * (epochs - 1)
        if epochs == EPOCHS:
            point = _coordinates(hyperparameters)[None]
            early = [
                float(fitted.predict(point)[0]) + random.normal(0, _noise(fitted))
                for fitted in self._epochs.values()
            ]
        return [round(float(1 - np.exp(-score)), 4) for score in [*early, end]]

    def check(self) -> Quality:
        """Predict the long trainings, a tenth after the other, from all others."""
        long = np.flatnonzero(self._inputs[:, -1] == 0)
        predicted = np.empty(len(long))
        for _, tenth in KFold(10, shuffle=True, random_state=0).split(long):
            left_out = long[tenth]
            others = np.setdiff1d(np.arange(len(self._inputs)), left_out)
            fitted = _fit(self._inputs[others], self._scores[others])
            predicted[tenth] = fitted.predict(self._inputs[left_out])
        recorded = self._scores[long]
        good = recorded > np.median(recorded)
        return Quality(
            float(np.std((predicted - recorded)[good])),
            self.noise,
            float(spearmanr(predicted, recorded).statistic),
            float(spearmanr(predicted[good], recorded[good]).statistic),
        )

    def _expected(self, hyperparameters: dict[str, Any], epochs: int) -> float:
        if epochs not in (SHORT, EPOCHS):
            raise ValueError(f"no training of {epochs} epochs was recorded")
        is_short = np.array([epochs == SHORT])
        point = _with_schedule(_coordinates(hyperparameters)[None], is_short)
        return float(self._end.predict(point)[0])


def _coordinates(hyperparameters: dict[str, Any]) -> np.ndarray:
    """Return a point of the search space with each coordinate in [0, 1]."""
    found = []
    for name, dimension in _SPACE.items():
        assert isinstance(dimension, FloatRange)
        scale = np.log if dimension.log else float
        low, high, value = map(scale, (dimension.low, dimension.high, hyperparameters[name]))
        found.append((value - low) / (high - low))
    return np.array(found)


def _with_schedule(points: np.ndarray, is_short: np.ndarray) -> np.ndarray:
    return np.column_stack([points, is_short.astype(float)])


def _score(accuracies: np.ndarray) -> np.ndarray:
    return -np.log(np.minimum(1 - accuracies, _WORST_ERROR))


def _fit(inputs: np.ndarray, scores: np.ndarray) -> GaussianProcessRegressor:
    scales = np.ones(inputs.shape[1])
    kernel = ConstantKernel() * Matern(scales, (0.1, 20.0), nu=2.5) + WhiteKernel(0.1)
    return GaussianProcessRegressor(kernel, normalize_y=True).fit(inputs, scores)


def _noise(fitted: GaussianProcessRegressor) -> float:
    return float(np.sqrt(fitted.kernel_.k2.noise_level) * fitted._y_train_std)
