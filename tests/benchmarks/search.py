"""How good the configurations are that searches find, on a problem of recorded trainings."""

import logging
import multiprocessing
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import optuna

from recorded_problem import RecordedProblem
from results import Row, Section, Target
from simulated import OptunaLoop, Project, RayDefaults, SyneTune, Tuner, simulate

BUDGETS = (120, 240, 480, 960)  # epochs
SWEEPS = 68  # of an arm, at each budget and a round
OURS = "this project: preset `best`"
_BORE = "Syne Tune: ASHA, BORE"
_BEFORE = "version 0.1.0: TPE, all epochs"
_RAY = "Ray Tune: OptunaSearch, ASHA"
_OPTUNA = optuna.samplers
NONE, ASHA = {"scheduler": {"name": "none"}}, {"scheduler": {"name": "asha"}}
ARMS: dict[str, Callable[[int, int], Tuner]] = {
    OURS: Project,
    "the same with `tpe`": partial(Project, searcher="tpe"),
    "the same with `random`": partial(Project, searcher="random"),
    _BEFORE: partial(Project, searcher="tpe", **NONE),
    "`gp`, all epochs": partial(Project, **NONE),
    "TPE, ASHA": partial(Project, searcher="tpe", **ASHA),
    "random, all epochs": partial(Project, searcher="random", **NONE),
    "quasi-random, all epochs": partial(
        OptunaLoop,
        make_sampler=partial(_OPTUNA.QMCSampler, scramble=True),
        pruner=optuna.pruners.NopPruner(),
    ),
    _RAY: RayDefaults,
    "Optuna: TPE, median pruner": OptunaLoop,
    _BORE: partial(SyneTune, method="ASHABORE"),
    "Syne Tune: BOHB": partial(SyneTune, method="BOHB"),
}

_problem: RecordedProblem


def measure(rounds: int) -> Section:
    """Simulate many sweeps of every arm at every budget."""
    global _problem
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of fits at the bound of a scale
        _problem = RecordedProblem()
        checked = _problem.check()
    losses: dict[tuple[str, int], np.ndarray] = {}
    rows: list[Row] = []
    with multiprocessing.get_context("fork").Pool() as pool:
        for arm in ARMS:
            for budget in BUDGETS:
                # A sweep of BORE's takes 20 s at 480 epochs, most others less than 2 s.
                if arm == _BORE and budget > 480:
                    continue
                n = rounds * SWEEPS // (4 if arm == _BORE else 1)
                tasks = [(arm, budget, seed) for seed in range(n)]
                found = np.array(pool.starmap(_lose, tasks, chunksize=1))
                losses[arm, budget] = found[:, 0]
                rows.append(_row(arm, budget, found))
    return Section(
        "Search",
        "What the chosen configuration lacks to the best in the space, in points of validation "
        f"accuracy before noise; simulated sweeps, two trials at a time. "
        "`flattery` is how far the shown score lies above the true one. "
        f"The surrogate misses trainings it has not seen by {checked.error:.0%} of their error "
        f"(noise alone: {checked.noise:.0%}); it ranks them with {checked.ranks:.2f}, the better "
        f"half with {checked.ranks_of_good:.2f} (Spearman).",
        [[row for row in rows if row["epochs"] == str(budget)] for budget in BUDGETS],
        _targets({key: float(values.mean()) for key, values in losses.items()}),
    )


def _lose(arm: str, budget: int, seed: int) -> tuple[float, float]:
    """Return what a sweep's choice lacks to the best, and how much its score flatters."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("syne_tune").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    chosen = simulate(ARMS[arm](budget, seed), _problem, budget, seed)
    if chosen is None:
        raise RuntimeError(f"{arm} has chosen nothing after {budget} epochs")
    true = _problem.accuracy(chosen.hyperparameters)
    return 100 * (_problem.best - true), 100 * (chosen.shown - true)


def _row(arm: str, budget: int, found: np.ndarray) -> Row:
    loss, flattery = found.T
    worst = np.sort(loss)[-max(1, len(loss) // 10) :]
    return {
        "": arm,
        "epochs": str(budget),
        "sweeps": len(found),
        "points below the best": float(loss.mean()),
        "± (95 %)": float(1.96 * loss.std(ddof=1) / np.sqrt(len(loss))),
        "in the worst tenth": float(worst.mean()),
        "flattery": float(flattery.mean()),
    }


def _targets(mean: dict[tuple[str, int], float]) -> list[Target]:
    before, ours = mean[_BEFORE, 480], mean[OURS, 480]
    return [
        Target("loss at 480 epochs, relative to version 0.1.0", ours / before, 0.5),
        Target("loss at 240 epochs, to version 0.1.0 at 480", mean[OURS, 240] / before, 1),
        Target("loss at 240 epochs, to Ray Tune at 480", mean[OURS, 240] / mean[_RAY, 480], 1),
    ]
