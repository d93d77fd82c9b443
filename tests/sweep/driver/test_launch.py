import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.records.confirmation import RunEnded, read_confirmation
from analysis.records.events import EpochRecord, TrialEnded, TrialStarted
from analysis.records.ledger import Ledger, LedgerWriter, read_ledger
from analysis.records.seeds import confirmation_seeds
from analysis.storage.folder import LocalFolder
from data_utils.dataset import ImageDataset
from data_utils.mnist import Mnist
from sweep.config import Confirm, Resources, SweepConfig
from sweep.driver import launch
from sweep.driver.resume import describe_unconfirmed
from sweep.driver.session import Session
from sweep.driver.signals import Interrupted, Interruption
from sweep.errors import ClusterError
from sweep.tuning.engine import Engine

RunSearch = Callable[..., None]


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """A session on a sweep in `tmp_path`, without Ray."""
    with Interruption(sys.stderr) as interruption:
        engine = Engine(
            Resources(), lambda: 2, LocalFolder(tmp_path / "mine"), tmp_path / "scratch"
        )
        yield Session(engine, lambda: interruption.check(), io.StringIO())


@pytest.fixture(scope="module")
def data() -> Mnist:
    """Blank images, 100 of each digit; each training image has its number in a corner."""
    labels = np.repeat(np.arange(10, dtype=np.uint8), 100)
    images = np.zeros((1000, 28, 28), np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.divmod(np.arange(1000), 256)
    return Mnist(ImageDataset(images, labels), ImageDataset(images[:10], labels[:10]))


def _finish_trials(writer: LedgerWriter, n: int) -> None:
    for trial_id in range(len(writer.ledger.trials) + 1, n + 1):
        values = {"dropout": trial_id / 100, "rotation": 5.0, "shift": 0.05, "weight_decay": 1e-4}
        writer.append(TrialStarted(1.0, trial_id, 0, values))
        accuracy = 0.9 + trial_id / 100
        writer.append(EpochRecord(2.0, trial_id, 1, 0.1, 0.9, 0.1, accuracy, 1.0, 1e4))
        writer.append(TrialEnded(3.0, trial_id, "COMPLETE", None))


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """With what the search was run; all trials end at once, instead of being trained."""
    monkeypatch.setattr(launch, "N_VALIDATION", 200)
    calls: list[dict[str, Any]] = []

    def run(config: SweepConfig, engine: Engine, writer: LedgerWriter, **given: Any) -> None:
        calls.append(given)
        given["on_step"]()
        _finish_trials(writer, config.trials)

    monkeypatch.setattr(launch, "run_search", run)
    return calls


def test_search_writes_a_ledger_from_beginning_to_end(
    session: Session, data: Mnist, runs: list[dict[str, Any]]
) -> None:
    config = SweepConfig(trials=3, epochs=1)
    ledger = launch.search(session, config, name="mine", mnist=data)
    assert read_ledger(session.engine.folder) == ledger
    assert (ledger.name, ledger.config) == ("mine", config.model_dump(mode="json"))
    (begun,) = ledger.sessions
    assert begun.slots == 2
    assert ledger.ended is not None
    assert ledger.ended.reason == "finished"
    assert len(ledger.trials) == 3


def test_search_sees_a_stratified_split_that_the_seed_does_not_touch(
    session: Session, data: Mnist, runs: list[dict[str, Any]], tmp_path: Path
) -> None:
    def numbers(images: ImageDataset) -> list[int]:
        corner = images.images[:, 0, :2].astype(int)
        return (256 * corner[:, 0] + corner[:, 1]).tolist()

    for n, given in enumerate(({"seed": 0}, {"seed": 9}, {"split_seed": 1})):
        engine = Engine(Resources(), lambda: 2, LocalFolder(tmp_path / str(n)), tmp_path)
        other = Session(engine, session._watch, session._screen)
        launch.search(other, SweepConfig(trials=1, epochs=1, **given), name="mine", mnist=data)
    train, validation = ([numbers(run[part]) for run in runs] for part in ("train", "validation"))
    assert validation[0] == validation[1] != validation[2]
    assert np.bincount(runs[0]["validation"].labels).tolist() == [20] * 10
    assert sorted(train[0] + validation[0]) == list(range(1000))


def test_search_that_is_finished_is_not_touched(
    session: Session, data: Mnist, runs: list[dict[str, Any]]
) -> None:
    config = SweepConfig(trials=3, epochs=1)
    launch.search(session, config, name="mine", mnist=data)
    before = session.engine.folder.read("ledger.jsonl")
    ledger = launch.search(session, config, name="mine", mnist=data)
    assert len(ledger.trials) == 3
    assert session.engine.folder.read("ledger.jsonl") == before
    assert len(runs) == 1


def test_search_that_is_extended_notes_its_new_config(
    session: Session, data: Mnist, runs: list[dict[str, Any]]
) -> None:
    launch.search(session, SweepConfig(trials=3, epochs=1), name="mine", mnist=data)
    ledger = launch.search(session, SweepConfig(trials=5, epochs=1), name="mine", mnist=data)
    assert len(ledger.trials) == 5
    assert len(ledger.sessions) == 2
    assert (ledger.created.config["trials"], ledger.config["trials"]) == (3, 5)
    assert read_ledger(session.engine.folder) == ledger
    assert b"trials: 5" in session.engine.folder.read("config.yaml")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Interrupted(signal.SIGTERM), "interrupted by SIGTERM"),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
        (ClusterError("no node is left"), "no node is left"),
    ],
    ids=["signal", "disk", "cluster"],
)
def test_search_notes_why_it_ended_early(
    error: BaseException,
    reason: str,
    session: Session,
    data: Mnist,
    runs: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(launch, "run_search", fail)
    with pytest.raises(type(error)) as raised:
        launch.search(session, SweepConfig(), name="mine", mnist=data)
    assert raised.value is error
    ended = read_ledger(session.engine.folder).ended
    assert ended is not None
    assert ended.reason == reason


def test_search_acts_on_a_signal_between_steps(
    session: Session, data: Mnist, runs: list[dict[str, Any]]
) -> None:
    os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(Interrupted):
        launch.search(session, SweepConfig(), name="mine", mnist=data)
    ended = read_ledger(session.engine.folder).ended
    assert ended is not None
    assert ended.reason == "interrupted by SIGINT"


@pytest.fixture
def confirmed(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """With what the confirmation was run; all runs end at once, instead of being trained."""
    calls: list[dict[str, Any]] = []

    def run(engine: Engine, writer: Any, **given: Any) -> None:
        calls.append(given)
        given["on_step"]()
        for arm in given["arms"]:
            for seed in given["seeds"]:
                if (arm, seed) not in writer.confirmation.runs:
                    writer.append(RunEnded(1.0, arm, seed, "COMPLETE", None))

    monkeypatch.setattr(launch, "run_confirmation", run)
    return calls


def _searched(session: Session, data: Mnist, n_trials: int) -> tuple[SweepConfig, Ledger]:
    config = SweepConfig(trials=n_trials, epochs=1)
    return config, launch.search(session, config, name="mine", mnist=data)


def test_confirm_trains_the_best_and_the_baselines(
    session: Session,
    data: Mnist,
    runs: list[dict[str, Any]],
    confirmed: list[dict[str, Any]],
) -> None:
    config, ledger = _searched(session, data, 4)
    plan = Confirm(top_k=2, seeds=3)
    confirmation = launch.confirm(session, config, ledger, confirm=plan, mnist=data)
    (given,) = confirmed
    assert given["arms"] == ["trial-4", "trial-3", "hand-tuned", "lenet5", "mlp"]
    assert given["seeds"] == confirmation_seeds(0, 3)
    assert given["mnist"] is data
    assert list(confirmation.arms) == given["arms"]
    assert read_confirmation(session.engine.folder) == confirmation


def test_confirm_again_names_only_new_arms(
    session: Session,
    data: Mnist,
    runs: list[dict[str, Any]],
    confirmed: list[dict[str, Any]],
) -> None:
    config, ledger = _searched(session, data, 4)
    for plan in (Confirm(top_k=1, seeds=2), Confirm(top_k=2, seeds=3)):
        confirmation = launch.confirm(session, config, ledger, confirm=plan, mnist=data)
    assert list(confirmation.arms) == ["trial-4", "hand-tuned", "lenet5", "mlp", "trial-3"]
    first, second = (given["seeds"] for given in confirmed)
    assert second[:2] == first
    assert len(confirmation.runs) == 5 * 3


def test_confirm_sets_aside_a_confirmation_over_other_epochs(
    session: Session,
    data: Mnist,
    runs: list[dict[str, Any]],
    confirmed: list[dict[str, Any]],
) -> None:
    config, ledger = _searched(session, data, 2)
    folder, plan = session.engine.folder, Confirm(top_k=1, seeds=2)
    launch.confirm(session, config, ledger, confirm=plan, mnist=data)
    before = folder.read("confirm.jsonl")
    longer = config.model_copy(update={"epochs": 2, "confirm": plan})
    assert describe_unconfirmed(folder, ledger, longer) == "8 of 8 runs are still to be confirmed"
    confirmation = launch.confirm(session, longer, ledger, confirm=plan, mnist=data)
    assert {arm.epochs for arm in confirmation.arms.values()} == {2}
    assert read_confirmation(folder) == confirmation
    assert folder.read("confirm-1-epochs.jsonl") == before


def test_search_writes_the_config_that_its_ledger_has(
    session: Session, data: Mnist, runs: list[dict[str, Any]]
) -> None:
    folder = session.engine.folder
    folder.write("config.yaml", SweepConfig(trials=9).to_yaml().encode())  # some other process's
    config, _ = _searched(session, data, 2)
    assert folder.read("config.yaml").decode() == config.to_yaml()
