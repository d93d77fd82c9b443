"""A sweep in optuna-dashboard, served from its ledger to this machine alone."""

import importlib
import threading
import time
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import optuna
from optuna.storages import BaseStorage, InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from typing_extensions import override

from analysis.errors import LedgerError, StorageError
from analysis.records.ledger import Ledger, read_ledger
from analysis.results.study import distributions, optuna_trial
from analysis.storage.folder import Folder
from sweep.errors import UsageError

HOST = "127.0.0.1"

_METRIC = "validation accuracy"
_INTERVAL_S = 2.0
# Reading a ledger of 10,000 trials takes seconds; it is read again after ten times as long.
_PAUSE_PER_READING = 10
_CHANGE_REFUSED = b'{"reason": "the dashboard shows a sweep and cannot change it"}\n'


class StudyMirror:
    """An Optuna study in memory that follows the ledger of a sweep; `storage` has only this study.

    `on_problem` receives a line when the ledger cannot be read.
    """

    def __init__(self, folder: Folder, on_problem: Callable[[str], None]) -> None:
        self.storage: BaseStorage = InMemoryStorage()
        self.study_id = self.storage.create_new_study([StudyDirection.MAXIMIZE], folder.name)
        # As `Study.set_metric_names` does, without its warning that it is experimental.
        self.storage.set_study_system_attr(self.study_id, "study:metric_names", [_METRIC])
        self._folder, self._on_problem = folder, on_problem
        self._lock, self._due, self._problem = threading.Lock(), 0.0, ""

    def follow(self) -> None:
        """Add what is new in the ledger, unless it has just been read."""
        with self._lock:
            began = time.monotonic()
            if began < self._due:
                return
            try:
                self.update(read_ledger(self._folder))
            except (LedgerError, StorageError) as error:
                if str(error) != self._problem:
                    self._problem = str(error)
                    self._on_problem(self._problem)
            now = time.monotonic()
            self._due = now + max(_INTERVAL_S, _PAUSE_PER_READING * (now - began))

    def update(self, ledger: Ledger) -> None:
        """Add what is new in a ledger, which only grows."""
        space = distributions(ledger)
        shown = self.storage.get_all_trials(self.study_id)
        for number, trial in enumerate(ledger.trials.values()):
            if number >= len(shown):
                self.storage.create_new_trial(self.study_id, optuna_trial(trial, space))
            elif not shown[number].state.is_finished():
                self._advance(shown[number], optuna_trial(trial, space))

    def _advance(self, shown: FrozenTrial, now: FrozenTrial) -> None:
        find = self.storage.get_trial_id_from_study_id_trial_number
        optuna_id = find(self.study_id, shown.number)
        for epoch in now.intermediate_values.keys() - shown.intermediate_values.keys():
            accuracy = now.intermediate_values[epoch]
            self.storage.set_trial_intermediate_value(optuna_id, epoch, accuracy)
        for name, value in now.user_attrs.items():
            self.storage.set_trial_user_attr(optuna_id, name, value)
        if now.state.is_finished():
            values = None if now.value is None else [now.value]
            self.storage.set_trial_state_values(optuna_id, now.state, values)


def serve(
    folder: Folder,
    *,
    port: int,
    on_ready: Callable[[str], None],
    on_problem: Callable[[str], None],
) -> None:
    """Serve the dashboard of a sweep, and follow the sweep, until the process is interrupted.

    `port` 0 picks a free port. `on_ready` receives the address of the dashboard. `on_problem`
    receives a line, from another thread, when the ledger cannot be read.

    Raises:
        UsageError: optuna-dashboard is not installed, or the port is in use.
    """
    try:
        # An extra, without types: an import statement would need it for the type check.
        build_app = importlib.import_module("optuna_dashboard").wsgi
    except ImportError as error:
        raise UsageError(
            "the dashboard needs a package that is not installed; install it with: "
            "pip install 'optuna-dashboard>=0.17'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    mirror = StudyMirror(folder, on_problem)
    app = build_app(mirror.storage)

    def follow_and_answer(
        environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            start_response("405 Method Not Allowed", [("Content-Type", "application/json")])
            return [_CHANGE_REFUSED]
        mirror.follow()
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


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _SilentHandler(WSGIRequestHandler):
    @override
    def log_message(self, format: str, *args: Any) -> None:
        pass
