"""The trials and confirmation runs of a sweep as a tracker shows them, and what a tracker is."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, ClassVar, Literal

from msgspec.structs import asdict

from analysis.formatting import dataset_name
from analysis.hyperparameters import DEFAULTS
from analysis.records.confirmation import read_confirmation
from analysis.records.epochs import Epoch
from analysis.records.files import (
    CONFIG_FILE,
    REPORT_FILE,
    checkpoint_name,
    run_name,
    trial_name,
)
from analysis.records.ledger import Ledger
from analysis.records.sweeps import read_sweep
from analysis.results.selection import rank_trials, trial_score
from analysis.results.state import sweep_state
from analysis.storage.folder import Folder

Kind = Literal["trial", "preview", "confirmation"]


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """A trial or a confirmation run.

    Its name is unique in its sweep. Its `id`, of 16 hexadecimal digits, is unique among all
    sweeps, also those that were deleted. The parameters are all hyperparameters, then which run it
    is: `arm` is the arm's title, or the kind of a trial. Only a complete
    trial has a score, only a confirmed one a mean test accuracy. The state of a preview that has
    ended is PREVIEW, that of a run on which no process works INTERRUPTED. `searched` are the names
    of a trial's hyperparameters that were searched. The best trial alone has a `note`, in
    Markdown, and `files` of its sweep, by name. All of this is there once no process works on the
    sweep.
    """

    kind: Kind
    name: str
    id: str
    parameters: dict[str, Any]
    started: float
    metrics: list[dict[str, float]]
    state: str
    reason: str | None = None
    score: float | None = None
    searched: tuple[str, ...] = ()
    note: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    test_accuracy: float | None = None

    @property
    def result(self) -> str:
        """What may change after its end."""
        return f"{self.note}{self.test_accuracy or ''}"

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens to it, at least until the sweep is resumed."""
        return self.state != "RUNNING"

    @property
    def has_failed(self) -> bool:
        """Whether it did not come to its end."""
        return self.state in ("FAILED", "INTERRUPTED")

    def time(self, n_epochs: int) -> float:
        """Return when an epoch ended, without the pauses between sessions."""
        return self.started + sum(values["seconds"] for values in self.metrics[:n_epochs])


class Tracker(ABC):
    """Mirrors the runs of the sweep `sweep` to a place that a user gives with `option`.

    `where` says how to see what was mirrored.
    """

    option: ClassVar[str]
    where: str

    @abstractmethod
    def __init__(self, sweep: str, place: str | None) -> None: ...

    @abstractmethod
    def update(self, run: TrackedRun) -> bool:
        """Add what is new of a run, which begins if it has not; return whether anything is."""

    def close(self) -> None:  # noqa: B027
        """Finish writing."""


def tracked_runs(folder: Folder, *, is_running: bool) -> Iterator[TrackedRun]:
    """Yield the trials of a sweep in order, then the confirmation runs.

    `is_running` says whether a process works on the sweep.
    """
    ledger, confirmation = read_sweep(folder), read_confirmation(folder)
    ranked = rank_trials(ledger)
    best = ranked[0].trial.trial_id if ranked else None
    note, files = _result(folder, ledger, is_running=is_running)

    def identify(name: str) -> str:
        key = f"{ledger.name} {ledger.created.time!r} {name}"
        return hashlib.sha256(key.encode()).hexdigest()[:16]

    def in_words(state: str) -> str:
        return "INTERRUPTED" if state == "RUNNING" and not is_running else state

    for trial in ledger.trials.values():
        name = trial_name(trial.trial_id)
        parameters = {name: trial.value(name) for name in {**DEFAULTS, **trial.hyperparameters}}
        kind: Kind = "trial" if trial.preview_epochs is None else "preview"
        about = {
            "arm": kind,
            "dataset": dataset_name(trial.config),
            "model": trial.config.get("model"),
            "planned_epochs": trial.planned_epochs,
            "seed": trial.seed,
            "origin": trial.origin,
        }
        if trial.repeats is not None:
            about["repeats"] = trial.repeats
        arm = confirmation.finalist(trial.trial_id) if confirmation and not is_running else None
        accuracies = confirmation.test_accuracies(arm.arm) if confirmation and arm else {}
        yield TrackedRun(
            kind,
            name,
            identify(name),
            parameters | about,
            trial.started,
            [_metrics(epoch) for epoch in trial.epochs],
            in_words(trial.outcome.upper()),
            trial.reason,
            trial_score(trial),
            tuple(trial.hyperparameters),
            note if trial.trial_id == best else "",
            files if trial.trial_id == best else {},
            fmean(accuracies.values()) if accuracies else None,
        )
    if confirmation is None:
        return
    for run in confirmation.runs.values():
        name, arm = f"confirm-{run_name(run.arm, run.seed)}", confirmation.arms[run.arm]
        about = {
            "arm": arm.title,
            "dataset": dataset_name(ledger.config),
            "model": arm.model,
            "planned_epochs": arm.epochs,
            "seed": run.seed,
            "origin": arm.role,
        }
        metrics = [
            {key.replace("val_", "test_"): value for key, value in _metrics(epoch).items()}
            for epoch in run.epochs
        ]
        yield TrackedRun(
            "confirmation",
            name,
            identify(name),
            dict(arm.hyperparameters) | about,
            run.started or arm.time,
            metrics,
            in_words(run.state),
            run.reason,
        )


def _result(folder: Folder, ledger: Ledger, *, is_running: bool) -> tuple[str, dict[str, bytes]]:
    """Return the note and the files of the best trial, which change seldom in a running sweep."""
    if is_running:
        return f"The best trial so far of {folder.name}, which is running.", {}
    from sweep.results.note import result_note  # SciPy takes a while to import

    files = [REPORT_FILE, CONFIG_FILE]
    files += [checkpoint_name(trial_name(s.trial.trial_id)) for s in rank_trials(ledger)[:1]]
    note = result_note(folder, ledger, sweep_state(folder, ledger))
    return note, {Path(name).name: folder.read(name) for name in files if folder.exists(name)}


def _metrics(epoch: Epoch) -> dict[str, float]:
    return {name: value for name, value in asdict(epoch).items() if name != "epoch"}
