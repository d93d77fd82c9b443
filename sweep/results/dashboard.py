"""Sweeps in optuna-dashboard, served from their ledgers to this machine alone."""

import copy
import json
import re
import textwrap
import threading
import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from typing_extensions import override

from analysis.errors import LedgerError, StorageError
from analysis.formatting import mean_accuracy, percent
from analysis.plots.importance import importances
from analysis.plots.results import NothingToDrawError
from analysis.records.confirmation import MIN_SEEDS, Confirmation, read_confirmation
from analysis.records.ledger import Ledger, Trial, read_ledger
from analysis.records.sweeps import pause_after
from analysis.results.comparison import summarize_arm
from analysis.results.selection import best_finalist, rank_trials
from analysis.results.state import SweepState, state_at_rest, state_in_words
from analysis.results.study import distributions, optuna_trial
from analysis.results.verdict import decisive_comparison
from analysis.storage.folder import Folder
from sweep.errors import UsageError
from sweep.results.extras import import_extra
from sweep.results.note import result_note

HOST = "127.0.0.1"

_STRIDE = 10_000_000  # between the ids of trials of two studies
_METRIC = "validation accuracy"
_OUTCOMES = {
    "better": "beats",
    "worse": "is worse than",
    "open": "no evidence that it beats",
    "few": "too few seeds to compare it with",
}
_CHANGE_REFUSED = b'{"reason": "the dashboard shows a sweep and cannot change it"}\n'


def _package() -> Any:
    return import_extra("optuna_dashboard", "the dashboard", "dashboard")


class _NonzeroFloats(FloatDistribution):
    """A distribution that shows 0 as almost 0: the page leaves out what is exactly 0."""

    @override
    def to_internal_repr(self, param_value_in_external_repr: Any) -> float:
        return super().to_internal_repr(param_value_in_external_repr) or 1e-12


class _LedgerStorage(InMemoryStorage):
    """Studies whose trials have the ledger's numbers; Optuna's own are positions from 0.

    `trials` maps a study's id to its trials by number. Other threads read it, so a study's dict
    is replaced, never changed. A trial's id is its study's, times `_STRIDE`, plus its number.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trials: dict[int, dict[int, FrozenTrial]] = {}

    @override
    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        trials = self.trials.get(study_id, {}).values()
        return [trial for trial in trials if states is None or trial.state in states]

    @override
    def get_trial(self, trial_id: int) -> FrozenTrial:
        study_id, number = divmod(trial_id, _STRIDE)
        return self.trials[study_id][number]

    @override
    def get_best_trial(self, study_id: int) -> FrozenTrial:
        complete = self.get_all_trials(study_id, states=(TrialState.COMPLETE,))
        return max(complete, key=lambda trial: (trial.value, -trial.number))


class StudyMirror:
    """An Optuna study in memory that follows the ledger of a sweep.

    Optuna-dashboard analyzes complete trials, and its contours (of version 0.21) are right only
    if a study has no others. So a sweep with others has a second study in `storage`: its
    previews, or else the trials that ran all their epochs, as complete trials. `on_problem`
    receives a line when the ledger cannot be read.
    """

    def __init__(
        self,
        folder: Folder,
        on_problem: Callable[[str], None],
        storage: _LedgerStorage | None = None,
    ) -> None:
        self.storage = storage or _LedgerStorage()
        self.study_id = self._new_study(folder.name)
        self._alike_id: int | None = None
        self._alike_kind: tuple[str, int] = ("", 0)
        self._folder, self._on_problem = folder, on_problem
        self._lock, self._due, self._problem = threading.Lock(), 0.0, ""
        self._described: tuple[Any, ...] = ()
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
        confirmation = read_confirmation(self._folder, ledger)
        is_running = self._folder.is_locked()
        is_searching = is_running and ledger.has_open_session
        state = "running" if is_running else state_at_rest(ledger, confirmation)
        trials = dict(self.storage.trials.get(self.study_id, {}))
        space = {
            name: _NonzeroFloats(found.low, found.high, found.log)
            if isinstance(found, FloatDistribution)
            else found
            for name, found in distributions(ledger).items()
        }
        for number in sorted(ledger.trials):
            if number not in trials or not trials[number].state.is_finished():
                shown = _shown_trial(ledger.trials[number], space, is_searching=is_searching)
                shown.number, shown._trial_id = number, self.study_id * _STRIDE + number
                trials[number] = shown
        self.storage.trials[self.study_id] = trials
        self._update_alike(ledger, trials)
        if ledger.n_ended != self._importances[0]:
            self._importances = (ledger.n_ended, *_importance_rows(ledger))
        described = (state, self._importances, confirmation)
        if described != self._described:  # because a verdict reads predictions
            self._describe(ledger, state, confirmation, is_searching=is_searching)
            self._described = described

    def _update_alike(self, ledger: Ledger, trials: dict[int, FrozenTrial]) -> None:
        """Add what is new to the study of the trials of equal length, if there are others."""
        ended = [ledger.trials[n] for n in sorted(trials) if ledger.trials[n].state != "RUNNING"]
        kinds = [(trial.outcome, trial.planned_epochs) for trial in ended]
        if self._alike_id is None:
            found = [kind for kind in kinds if kind[0] == "preview"]
            found = found or [kind for kind in kinds if kind[0] == "complete"]
            if not found or len(set(kinds)) == 1:
                return
            self._alike_kind = kind, epochs = found[0]
            name = {"preview": "previews", "complete": "complete trials"}[kind]
            self._alike_id = self._new_study(f"{self._folder.name}: {name}")
            total = ledger.config["epochs"]
            which = f"{name}: {epochs} epochs"
            which += f" instead of {total}" if kind == "preview" else ""
            where = f"the study {self._folder.name}"
            self._annotate(self._alike_id, f"Only {which}. All trials and the result: {where}.")
            about = {"Trials": which, "Timeline, result": where}
            for key, text in about.items():
                self.storage.set_study_user_attr(self._alike_id, key, text)
        # An open page asks only for what is new at the end, so that the order never changes.
        alike = dict(self.storage.trials.get(self._alike_id, {}))
        for trial, of_kind in zip(ended, kinds, strict=True):
            if of_kind == self._alike_kind and (number := trial.trial_id) not in alike:
                alike[number] = copy.copy(trials[number])
                alike[number].state = TrialState.COMPLETE
                alike[number]._trial_id = self._alike_id * _STRIDE + number
        self.storage.trials[self._alike_id] = alike

    def _describe(
        self,
        ledger: Ledger,
        state: SweepState,
        confirmation: Confirmation | None,
        *,
        is_searching: bool,
    ) -> None:
        """Say in the study of the sweep what its result is, and how to read the plots."""
        plots, alike = {"Importance": self._importances[2]}, ""
        if self._alike_id is not None:
            alike = f"see the study {self.storage.get_study_name_from_id(self._alike_id)}"
            plots["Contour, Rank, EDF"] = f"{alike}; here they mix trials of different lengths"
            plots["Pruned trials"] = "stopped early, or previews; shown with their last accuracy"
        if (are_open := ledger.in_state("RUNNING")) and not is_searching:
            plots["Waiting trials"] = "interrupted; `sweep resume` continues them"
        bullets = "\n".join(f"* **{title}:** {text}." for title, text in plots.items())
        note = result_note(self._folder, ledger, confirmation, state)
        self._annotate(self.study_id, f"{note}\n\n### How to read the plots\n{bullets}")
        best, accuracy = "none yet", "not confirmed"
        if ranked := rank_trials(ledger):
            score = percent(ranked[0].score)
            best = f"trial {ranked[0].trial.trial_id}, validation accuracy {score}"
        arm = best_finalist(ledger, confirmation) if confirmation else None
        if confirmation and arm and (summary := summarize_arm(confirmation, arm.arm)):
            accuracy = mean_accuracy(summary.mean, summary.interval, summary.n)
        verdict = "no verdict"
        if confirmation and (decisive := decisive_comparison(confirmation, arm)):
            outcome = "few" if len(decisive.seeds) < MIN_SEEDS else decisive.outcome
            verdict = f"{_OUTCOMES[outcome]} {confirmation.arms[decisive.baseline].title}"
        about = {  # The page shows five of them, and cuts off long ones.
            "Sweep": state_in_words(ledger, state),
            "Best": best,
            "Test accuracy": accuracy,
            "Verdict": f"{verdict}; see the Note (icon at the left)",
            "Contour, Rank": alike or ("not right yet" if are_open else "of all trials"),
        }
        for key, text in about.items():
            self.storage.set_study_user_attr(self.study_id, key, text)

    def _annotate(self, study_id: int, text: str) -> None:
        """Set the note of a study, in Markdown."""
        name = self.storage.get_study_name_from_id(study_id)
        _package().save_note(optuna.load_study(study_name=name, storage=self.storage), text)

    @property
    def study_ids(self) -> tuple[int | None, ...]:
        """The ids of its studies."""
        return self.study_id, self._alike_id

    def importances(self) -> list[dict[str, Any]]:
        """Return the importances in the plot, as the dashboard expects them.

        Without importances one bar of length 0 says why.
        """
        with self._lock:
            return self._importances[1]


def _shown_trial(
    trial: Trial, space: Mapping[str, BaseDistribution], *, is_searching: bool
) -> FrozenTrial:
    """Return a trial as the page shows it best; `is_searching` says whether a driver runs it."""
    shown = optuna_trial(trial, space)
    if trial.state == "RUNNING" and not is_searching:
        shown.state, shown.user_attrs["outcome"] = TrialState.WAITING, "interrupted"
        # Of a waiting trial the page shows these.
        shown.system_attrs["fixed_params"] = shown.params
    if shown.value is not None:
        shown.value = round(shown.value, 6)
    shown.user_attrs |= {"planned epochs": trial.planned_epochs, "seed": trial.seed}
    if trial.epochs:
        last = trial.epochs[-1]
        shown.user_attrs |= {"training loss": last.train_loss, "validation loss": last.val_loss}
        shown.user_attrs["seconds"] = round(trial.seconds, 3)
    return shown


def _importance_rows(ledger: Ledger) -> tuple[list[dict[str, Any]], str]:
    """Return the importances as the dashboard expects them, and what they are of, or lack."""
    try:
        found, space = importances(ledger), distributions(ledger)
    except NothingToDrawError as nothing:
        why = "<br>".join(textwrap.wrap(f"not shown: {nothing}", 20))
        row = {"name": why, "importance": 0.0, "distribution": "FloatDistribution"}
        return [row], f"not shown: {nothing}"
    rows = [
        {
            "name": row.name if row.is_clear else f"{row.name} (within chance)",
            "importance": row.value,
            "distribution": type(space[row.name]).__name__,
        }
        for row in found
    ]
    return rows, "as in `sweep plot`, of previews if there are more of them"


def serve(
    folders: Sequence[Folder],
    *,
    port: int,
    on_ready: Callable[[str], None],
    on_problem: Callable[[str], None],
) -> None:
    """Serve the dashboard of sweeps, and follow them, until the process is interrupted.

    `port` 0 picks a free port. `on_ready` receives the address of the first sweep. `on_problem`
    receives a line, from another thread, when the ledger cannot be read. UsageError if
    optuna-dashboard is not installed, or the port is in use.
    """
    package = _package()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = _LedgerStorage()
    mirrors = [StudyMirror(folder, on_problem, storage) for folder in folders]
    app = package.wsgi(storage)

    def follow_and_answer(
        environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            start_response("405 Method Not Allowed", [("Content-Type", "application/json")])
            return [_CHANGE_REFUSED]
        for mirror in mirrors:
            mirror.follow()
        asked = re.fullmatch("/api/studies/([0-9]+)/param_importances", environ["PATH_INFO"])
        found = [mirror for mirror in mirrors if asked and int(asked[1]) in mirror.study_ids]
        if found:
            # The dashboard's own are relative, of too few trials, too, and do not know chance.
            start_response("200 OK", [("Content-Type", "application/json")])
            return [json.dumps({"param_importances": [found[0].importances()]}).encode()]
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
        on_ready(f"http://{HOST}:{server.server_port}/dashboard/studies/{mirrors[0].study_id}")
        server.serve_forever()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _SilentHandler(WSGIRequestHandler):
    @override
    def log_message(self, format: str, *args: Any) -> None:
        pass
