"""The trials and confirmation runs of a sweep as a tracker shows them, and what a tracker is."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, ClassVar, Literal
from zlib import crc32

from msgspec.structs import asdict

from analysis.formatting import dataset_name
from analysis.hyperparameters import DEFAULTS
from analysis.records.confirmation import Confirmation, read_confirmation
from analysis.records.epochs import Epoch
from analysis.records.files import (
    CONFIG_FILE,
    MODEL_FILE,
    REPORT_FILE,
    checkpoint_name,
    run_name,
    trial_name,
)
from analysis.records.ledger import Ledger, read_ledger
from analysis.results.selection import rank_trials, trial_score
from analysis.results.state import state_at_rest
from analysis.storage.folder import Folder

Kind = Literal["trial", "preview", "confirmation"]


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """A trial or a confirmation run.

    Attributes:
        name: Unique in its sweep.
        id: 16 hexadecimal digits, unique among all sweeps, also those that were deleted.
        parameters: All hyperparameters, and what tells the run from others; `arm` is the title of
            its arm, or the kind of a trial.
        metrics: The figures of each epoch.
        state: PREVIEW for a preview that has ended, INTERRUPTED for a run that has not ended, of
            a sweep that is not running.
        score: Of a complete trial.
        searched: The names of a trial's hyperparameters that were searched.
        note: The result of the sweep in Markdown: of the best trial, once the sweep is not
            running.
        files: Contents of files of the sweep by name, where there is a note.
        test_accuracy: The mean of a confirmed trial, once the sweep is not running.
        n_seeds: Of how many seeds that is the mean.
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
    n_seeds: int = 0

    @property
    def progress(self) -> str:
        """The number of its epochs, its state, and what changes with its result."""
        about = f"{self.note} {self.test_accuracy}".encode()
        result = crc32(b"".join(self.files.values()), crc32(about))
        return f"{len(self.metrics)} {self.state} {'best-' if self.note else ''}{result}"

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens to it, at least until the sweep is resumed."""
        return self.state != "RUNNING"

    @property
    def has_failed(self) -> bool:
        """Whether it failed or was interrupted."""
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

    `is_running` says whether the sweep is running.
    """
    ledger = read_ledger(folder)
    confirmation = read_confirmation(folder, ledger)
    ranked = rank_trials(ledger)
    best = ranked[0].trial.trial_id if ranked else None
    note, files = "", dict[str, bytes]()
    if best is not None and not is_running:
        note, files = _result(folder, ledger, confirmation, best)

    def identify(name: str) -> str:
        key = f"{ledger.name} {ledger.created.time!r} {name}"
        return hashlib.sha256(key.encode()).hexdigest()[:16]

    def shown_state(state: str, *, may_run: bool) -> str:
        return "INTERRUPTED" if state == "RUNNING" and not may_run else state

    is_searching = is_running and ledger.has_open_session
    for trial in ledger.trials.values():
        name = trial_name(trial.trial_id)
        parameters = {**DEFAULTS, **trial.config["recipe"], **trial.hyperparameters}
        kind: Kind = "trial" if trial.preview_epochs is None else "preview"
        about = {
            "arm": kind,
            "dataset": dataset_name(trial.config),
            "model": trial.config["model"],
            "planned_epochs": trial.planned_epochs,
            "seed": trial.seed,
            "origin": trial.origin,
        }
        if trial.repeats is not None:
            about["repeats"] = trial.repeats
        arm = confirmation.finalist(trial.trial_id) if confirmation and not is_running else None
        accuracies = confirmation.test_accuracies(arm.arm) if confirmation and arm else {}
        yield TrackedRun(
            kind=kind,
            name=name,
            id=identify(name),
            parameters=parameters | about,
            started=trial.started,
            metrics=[_metrics(epoch) for epoch in trial.epochs],
            state=shown_state(trial.outcome.upper(), may_run=is_searching),
            reason=trial.reason,
            score=trial_score(trial),
            searched=tuple(k for k in trial.hyperparameters if k in trial.config["space"]),
            note=note if trial.trial_id == best else "",
            files=files if trial.trial_id == best else {},
            test_accuracy=fmean(accuracies.values()) if accuracies else None,
            n_seeds=len(accuracies),
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
            kind="confirmation",
            name=name,
            id=identify(name),
            parameters=dict(arm.hyperparameters) | about,
            started=run.started or arm.time,
            metrics=metrics,
            state=shown_state(run.state, may_run=is_running),
            reason=run.reason,
        )


def _result(
    folder: Folder, ledger: Ledger, confirmation: Confirmation | None, best: int
) -> tuple[str, dict[str, bytes]]:
    """Return the note and the files of the best trial."""
    from sweep.results.note import result_note  # SciPy takes a while to import

    note = result_note(folder, ledger, confirmation, state_at_rest(ledger, confirmation))
    names = (REPORT_FILE, CONFIG_FILE, MODEL_FILE, checkpoint_name(trial_name(best)))
    return note, {Path(name).name: folder.read(name) for name in names if folder.exists(name)}


def _metrics(epoch: Epoch) -> dict[str, float]:
    return {name: value for name, value in asdict(epoch).items() if name != "epoch"}
