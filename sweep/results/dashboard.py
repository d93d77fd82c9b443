"""A sweep in optuna-dashboard, served from its ledger to this machine alone."""

import copy
import json
import re
import threading
import time
from collections.abc import Callable, Container, Iterable, Mapping
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import optuna
from optuna.distributions import FloatDistribution
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from typing_extensions import override

from analysis.errors import LedgerError, StorageError
from analysis.formatting import dataset_name, network_name, percent
from analysis.plots.importance import importances
from analysis.plots.results import NothingToDrawError
from analysis.records.confirmation import Arm, Confirmation, read_confirmation
from analysis.records.ledger import Ledger, read_ledger
from analysis.records.sweeps import pause_after
from analysis.results.budget import n_planned
from analysis.results.selection import best_finalist, rank_trials
from analysis.results.study import distributions, optuna_trial
from analysis.storage.folder import Folder
from sweep.errors import UsageError
from sweep.results.best import describe_result
from sweep.results.extras import import_extra

HOST = "127.0.0.1"

_PREVIEW_IDS = 10_000_000  # ids of trials in the study of the previews begin here
_METRIC = "validation accuracy"
_IN_NOTE = "in the Note of this study (icon at the left)"
_CHANGE_REFUSED = b'{"reason": "the dashboard shows a sweep and cannot change it"}\n'


def _package() -> Any:
    return import_extra("optuna_dashboard", "the dashboard", "optuna-dashboard>=0.17")


class _NonzeroFloats(FloatDistribution):
    """A distribution that shows 0 as almost 0: the page leaves out what is exactly 0."""

    @override
    def to_internal_repr(self, param_value_in_external_repr: Any) -> float:
        return super().to_internal_repr(param_value_in_external_repr) or 1e-12


class _LedgerStorage(InMemoryStorage):
    """Studies whose trials have the ledger's numbers; Optuna's own are positions from 0.

    `trials` are those of each study, by id.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trials: dict[int, dict[int, FrozenTrial]] = {}

    @override
    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        trials = self.trials.get(study_id, {}).values()
        return [trial for trial in trials if states is None or trial.state in states]

    @override
    def get_trial(self, trial_id: int) -> FrozenTrial:
        return next(trials[trial_id] for trials in self.trials.values() if trial_id in trials)

    @override
    def get_best_trial(self, study_id: int) -> FrozenTrial:
        complete = self.get_all_trials(study_id, states=(TrialState.COMPLETE,))
        return max(complete, key=lambda trial: (trial.value, -trial.number))


class StudyMirror:
    """An Optuna study in memory that follows the ledger of a sweep.

    A sweep with previews has a second study in `storage`, of these alone, as complete trials:
    Optuna-dashboard analyzes only complete ones. `on_problem` receives a line when the ledger
    cannot be read.
    """

    def __init__(self, folder: Folder, on_problem: Callable[[str], None]) -> None:
        self.storage = _LedgerStorage()
        self.study_id = self._new_study(folder.name)
        self._previews_id: int | None = None
        self._caution = ""
        self._folder, self._on_problem = folder, on_problem
        self._lock, self._due, self._problem = threading.Lock(), 0.0, ""
        self._shown: tuple[Confirmation | None, Arm | None, dict[str, str]] | None = None
        self._importances: tuple[int, list[dict[str, Any]], str] = (-1, [], "")

    def _new_study(self, name: str) -> int:
        study_id = self.storage.create_new_study([StudyDirection.MAXIMIZE], name)
        # As `Study.set_metric_names` does, without its warning that it is experimental.
        self.storage.set_study_system_attr(study_id, "study:metric_names", [_METRIC])
        return study_id

    def follow(self) -> None:
        """Add what is new in the ledger, unless it has just been read."""
        with self._lock:
            began = time.monotonic()
            if began < self._due:
                return
            try:
                self.update(read_ledger(self._folder))
            except (LedgerError, StorageError, FileNotFoundError) as error:
                if str(error) != self._problem:
                    self._problem = str(error)
                    self._on_problem(self._problem)
            now = time.monotonic()
            self._due = now + pause_after(now - began)

    def update(self, ledger: Ledger) -> None:
        """Add what is new in a ledger, which only grows, and in the sweep's confirmation."""
        known = self.storage.trials.get(self.study_id)
        trials = dict(known or {})
        space = {
            name: _NonzeroFloats(found.low, found.high, found.log)
            if isinstance(found, FloatDistribution)
            else found
            for name, found in distributions(ledger).items()
        }
        for number, trial in ledger.trials.items():
            if number not in trials or not trials[number].state.is_finished():
                trials[number] = optuna_trial(trial, space)
                trials[number].number = trials[number]._trial_id = number
        if known is None:
            self._caution = _describe_caution(ledger)
            if _has_ended(ledger):
                # The contours of version 0.21 are of the first trials in the list, as many as are
                # complete. An open page asks only for what is new: the order never changes then.
                order = sorted(trials, key=lambda n: (trials[n].state != TrialState.COMPLETE, n))
                trials = {number: trials[number] for number in order}
        # Another thread may be reading these dictionaries, so that they are replaced whole.
        self.storage.trials = {self.study_id: trials, **self._previews(ledger, trials)}
        confirmation = read_confirmation(self._folder)
        arm = best_finalist(ledger, confirmation) if confirmation else None
        if ledger.n_ended != self._importances[0]:
            self._importances = (ledger.n_ended, *_importance_rows(ledger))
        notes = {
            "Contour and Rank": f"{self._caution}.",
            "Pruned trials": "stopped early, or previews. History, Slice and EDF show their last "
            "accuracy; where there is a switch for pruned trials, turn it off to compare trials "
            "of equal length.",
            "Importance": f"{self._importances[2]}.",
        }
        if (confirmation, arm, notes) != self._shown:  # because a verdict reads predictions
            result = _describe(self._folder, ledger, confirmation, arm)
            sections = {"Result": result, "How to read the plots": notes}
            text = "\n\n".join(f"### {title}\n{_bullets(of)}" for title, of in sections.items())
            self._annotate(self.study_id, text)
            # The page shows five of them, and cuts off long ones.
            shown = {"Contour and Rank": self._caution} | result | {"Verdict": _IN_NOTE}
            for name, text in shown.items():
                self.storage.set_study_user_attr(self.study_id, name, text)
            self._shown = (confirmation, arm, notes)

    def _annotate(self, study_id: int, text: str) -> None:
        """Set the note of a study, in Markdown."""
        name = self.storage.get_study_name_from_id(study_id)
        _package().save_note(optuna.load_study(study_name=name, storage=self.storage), text)

    def _previews(
        self, ledger: Ledger, trials: dict[int, FrozenTrial]
    ) -> dict[int, dict[int, FrozenTrial]]:
        """Return the study of the previews that have ended, if there are any, by its id."""
        ended = [n for n in sorted(ledger.trials) if ledger.trials[n].outcome == "preview"]
        if not ended:
            return {}
        if self._previews_id is None:
            self._previews_id = self._new_study(f"{self._folder.name}: previews")
            epochs, total = ledger.trials[ended[0]].planned_epochs, ledger.config["epochs"]
            text = f"accuracies after {epochs} of {total} epochs"
            self.storage.set_study_user_attr(self._previews_id, "Previews", text)
            text = f"Previews: {text}. The best trial is in the study {self._folder.name}."
            self._annotate(self._previews_id, text)
        previews = dict(self.storage.trials.get(self._previews_id, {}))
        for number in ended:
            trial_id = _PREVIEW_IDS + number
            if trial_id not in previews:
                previews[trial_id] = copy.copy(trials[number])
                previews[trial_id].state = TrialState.COMPLETE
                previews[trial_id]._trial_id = trial_id
        return {self._previews_id: previews}

    def importances(self) -> list[dict[str, Any]]:
        """Return the importances in the plot, as the dashboard expects them, if there are any."""
        with self._lock:
            return self._importances[1]


def _importance_rows(ledger: Ledger) -> tuple[list[dict[str, Any]], str]:
    """Return the importances as the dashboard expects them, and what they are of, or lack."""
    try:
        found, space = importances(ledger), distributions(ledger)
    except NothingToDrawError as nothing:
        return [], f"not shown: {nothing}"
    rows = [
        {
            "name": row.name if row.is_clear else f"{row.name} (within chance)",
            "importance": row.value,
            "distribution": type(space[row.name]).__name__,
        }
        for row in found
    ]
    return rows, "as in `sweep plot`, of previews if there are more of them"


def _has_ended(ledger: Ledger) -> bool:
    return ledger.n_ended >= n_planned(ledger)


def _describe_caution(ledger: Ledger) -> str:
    """Return what a reader must know of the contours and ranks of a dashboard that begins now."""
    if not _has_ended(ledger):
        return "Contour is right only if started after the search"
    if any(trial.preview_epochs for trial in ledger.trials.values()):
        return "complete trials only; previews: a second study"
    return "complete trials only"


def serve(
    folder: Folder,
    *,
    port: int,
    on_ready: Callable[[str], None],
    on_problem: Callable[[str], None],
) -> None:
    """Serve the dashboard of a sweep, and follow the sweep, until the process is interrupted.

    `port` 0 picks a free port. `on_ready` receives the address of the dashboard. `on_problem`
    receives a line, from another thread, when the ledger cannot be read. UsageError if
    optuna-dashboard is not installed, or the port is in use.
    """
    package = _package()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    mirror = StudyMirror(folder, on_problem)
    app = package.wsgi(mirror.storage)

    def follow_and_answer(
        environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            start_response("405 Method Not Allowed", [("Content-Type", "application/json")])
            return [_CHANGE_REFUSED]
        mirror.follow()
        if re.fullmatch("/api/studies/[0-9]+/param_importances", environ["PATH_INFO"]):
            # The dashboard's own are relative, of too few trials, too, and do not know chance.
            start_response("200 OK", [("Content-Type", "application/json")])
            return [json.dumps({"param_importances": [mirror.importances()]}).encode()]
        answer: Iterable[bytes] = app(environ, start_response)
        return answer

    try:
        server = make_server(HOST, port, follow_and_answer, _Server, _SilentHandler)
    except OSError as error:
        raise UsageError(
            f"cannot listen on port {port} of {HOST} ({error.strerror}); choose another with "
            "--port, or 0 for any that is free"
        ) from error
    with server:
        on_ready(f"http://{HOST}:{server.server_port}/dashboard/studies/{mirror.study_id}")
        server.serve_forever()


def _describe(
    folder: Folder, ledger: Ledger, confirmation: Confirmation | None, finalist: Arm | None
) -> dict[str, str]:
    """Return what the dashboard says about a sweep, by title."""
    accuracy, verdict = describe_result(folder, confirmation, finalist)
    ranked = rank_trials(ledger)
    best = "none yet"
    if ranked:
        score = percent(ranked[0].score)
        best = f"trial {ranked[0].trial.trial_id}, validation accuracy {score}"
    return {
        "Best": best,
        "Test accuracy": accuracy,
        "Verdict": verdict,
        "Network": f"{network_name(ledger.config)}, on {dataset_name(ledger.config)}",
    }


def _bullets(texts: Mapping[str, str]) -> str:
    return "\n".join(f"* **{title}:** {text}" for title, text in texts.items())


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _SilentHandler(WSGIRequestHandler):
    @override
    def log_message(self, format: str, *args: Any) -> None:
        pass
