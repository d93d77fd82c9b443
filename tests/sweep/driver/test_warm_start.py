from typing import Any

import pytest
from msgspec.structs import replace

from analysis.hyperparameters import HAND_TUNED
from analysis.records.dataset import MNIST, DataRecord
from analysis.records.ledger import Ledger, read_ledger
from analysis.storage.local_folder import LocalFolder
from config_ledgers import make_ledger
from sweep.config import SweepConfig
from sweep.driver.search import run_search
from sweep.driver.warm_start import describe_learning, learn_from
from sweep.errors import UsageError
from sweep.training.assignment import Assignment, Report
from sweep.tuning.engine import Recorder
from sweep.tuning.searcher import StudySearcher

WITH_WIDTH = SweepConfig().model_dump()["space"] | {"model.width": {"low": 16, "high": 64}}
STATES = ("COMPLETE", "STOPPED", "FAILED", "COMPLETE", "RUNNING")


def _earlier(**given: Any) -> Ledger:
    return make_ledger(SweepConfig.model_validate({"epochs": 2, **given}), *STATES)


def test_sweep_learns_from_the_trials_that_have_ended_and_tries_the_best_first():
    config = SweepConfig(epochs=2)
    found = learn_from(_earlier(), config, MNIST)
    assert [(trial.trial_id, trial.state) for trial in found.trials] == [
        (1, "COMPLETE"),
        (2, "STOPPED"),
        (4, "COMPLETE"),
    ]
    assert found.point is not None
    assert found.point["dropout"] == 0.04
    text = describe_learning(found, 5, config)
    assert text.startswith("learning from 3 of 5 trials of made; its best is tried after the")

    same = config.model_copy(update={"initial_points": (found.point,)})
    assert learn_from(_earlier(), same, MNIST).point is None


@pytest.mark.parametrize(
    ("then", "now", "trials"),
    [
        ({}, {"space": {"dropout": {"low": 0.0, "high": 0.02}}, "recipe": {"rotation": 5}}, []),
        (
            {},
            {
                "space": {"dropout": {"low": 0.0, "high": 0.02}},
                "recipe": {"rotation": 5, "shift": 0.1, "weight_decay": 1e-4},
            },
            [1, 2],
        ),
        ({"recipe": {"batch_size": 32}}, {"recipe": {"batch_size": 64}}, []),
        ({"recipe": {"batch_size": 32}}, {"recipe": {"batch_size": 32}}, [1, 2, 4]),
        ({"epochs": 3}, {}, []),
        ({"model": "mlp"}, {}, []),
        ({"split_seed": 3}, {}, []),
    ],
)
def test_only_trials_whose_scores_are_comparable_fit(then, now, trials):
    ledger = _earlier(**then)
    config = SweepConfig.model_validate({"epochs": 2, **now})
    if trials:
        assert [trial.trial_id for trial in learn_from(ledger, config, MNIST).trials] == trials
        return
    with pytest.raises(UsageError, match=r"no trial of made fits the new sweep:\n.* trials?\)"):
        learn_from(ledger, config, MNIST)


def test_other_split_is_refused_with_the_setting_that_fits():
    config = SweepConfig(epochs=2)
    with pytest.raises(UsageError, match="add --set split=random, or leave out --from"):
        learn_from(_earlier(split="random"), config, MNIST)
    same = SweepConfig(epochs=2, split="random")
    assert len(learn_from(_earlier(split="random"), same, MNIST).trials) == 3


def test_other_data_is_refused_and_the_same_data_fits_under_another_path():
    ledger = _earlier(dataset="./halves.npz")
    data = DataRecord(fingerprint="halves", n_train=300, side=32, classes=("a", "b"))
    ledger.created = replace(ledger.created, data=data)
    moved = SweepConfig(epochs=2, dataset="/moved/halves.npz")
    assert len(learn_from(ledger, moved, data).trials) == 3
    reason = "300 training images of 32×32 pixels in 2 classes, from halves.npz; leave out"
    with pytest.raises(UsageError, match=f"^made has other data: {reason} --from$"):
        learn_from(ledger, moved, replace(data, fingerprint="other"))


def test_another_network_is_refused_by_name():
    own = SweepConfig(epochs=2, model=f"model.py:Net@{'ab' * 32}")
    with pytest.raises(UsageError, match="the network was lenet5, now Net@abababab"):
        learn_from(_earlier(), own, MNIST)


@pytest.mark.parametrize(
    ("then", "now"),
    [
        ({"recipe": {"model.width": 30}}, {}),
        ({}, {"recipe": {"model.width": 30}}),
        ({}, {"space": WITH_WIDTH}),
    ],
)
def test_network_of_another_size_is_another_network(then, now):
    model = {"model": f"model.py:Net@{64 * '0'}"}
    config = SweepConfig.model_validate({"epochs": 2, **model, **now})
    with pytest.raises(UsageError, match=r"`model\.width` was "):
        learn_from(_earlier(**model, **then), config, MNIST)


def test_warm_sweep_needs_the_earlier_one_only_at_its_start(make_session, blank, tmp_path):
    def play(recorder: Recorder, assignment: Assignment) -> None:
        recorder.start(assignment)
        recorder.end(assignment, Report(failure="why"), "why")

    config = SweepConfig(epochs=2, trials=3, confirm=None, initial_points=[HAND_TUNED])
    earlier = learn_from(_earlier(), config, MNIST)
    folder = LocalFolder(tmp_path / "mine")
    run_search(make_session(folder, train=play), config, blank, earlier)
    ledger = read_ledger(folder)
    assert ledger.created.earlier == earlier
    assert [t.origin for t in ledger.trials.values()] == ["initial", "earlier sweep", "proposed"]
    assert ledger.trials[2].hyperparameters == earlier.point
    more = run_search(
        make_session(folder, train=play), config.model_copy(update={"trials": 4}), blank
    )
    assert [*more.trials] == [1, 2, 3, 4]
    study = StudySearcher(config, more).study
    assert len(study.trials) == 7
    assert study.best_trial.params == earlier.point
