"""Sweeps in MLflow: an experiment per sweep, with a run per trial or confirmation run."""

import logging
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from typing_extensions import override

from analysis.storage.connection import mask_credentials
from sweep.results.extras import import_extra
from sweep.results.trackers.runs import TrackedRun, Tracker

# Tags by which a run is found again. The second one is written after what it is about.
_ID, _PROGRESS = "sweep.run", "sweep.progress"
_NOTE = "mlflow.note.content"  # shown as the description of a run or an experiment
_MAX_METRICS = 1000  # in one request


class MLflow(Tracker):
    """Writes to a tracking server or a database, by default to that of MLflow itself."""

    option = "--tracking-uri"

    def __init__(self, sweep: str, place: str | None) -> None:
        # MLflow reports how it is used, and tries for minutes to reach a server.
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        mlflow = import_extra("mlflow", "MLflow", "mlflow")
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        uri = place or mlflow.get_tracking_uri()
        self.where = f"MLflow experiment {sweep} at {mask_credentials(uri)}"
        self._mlflow, self._uri, self._sweep = mlflow, uri, sweep
        self._client: Any = None
        self._runs: dict[str, tuple[str, str]] = {}  # MLflow's id, and the progress, by our id

    @override
    def update(self, run: TrackedRun) -> bool:
        if self._client is None:
            self._connect()
        run_id, before = self._runs.get(run.id, ("", ""))
        if before == run.progress:
            return False
        if not run_id:
            created = self._client.create_run(
                self._experiment,
                start_time=_milliseconds(run.started),
                tags={_ID: run.id},
                run_name=run.name,
            )
            run_id = created.info.run_id
        self._write(run_id, run, int(before.split()[0]) if before else 0)
        tags = {"state": run.state, "kind": run.kind}
        if run.note:
            tags |= {"best": "true", _NOTE: run.note}
            self._client.set_experiment_tag(self._experiment, _NOTE, run.note)
        elif " best-" in before:
            tags |= {"best": "false", _NOTE: ""}
        if run.reason or before:  # a failed run may have been continued
            tags["reason"] = (run.reason or "")[:500]
        tags[_PROGRESS] = run.progress
        self._write_files(run_id, run)
        self._client.log_batch(
            run_id, tags=[self._mlflow.entities.RunTag(*tag) for tag in tags.items()]
        )
        self._runs[run.id] = (run_id, run.progress)
        return True

    def _connect(self) -> None:
        """Find the experiment and its runs, or make the experiment."""
        client = self._mlflow.MlflowClient(self._uri)
        experiment = client.get_experiment_by_name(self._sweep)
        if experiment is None:
            self._experiment = client.create_experiment(self._sweep)
        else:
            self._experiment, token = experiment.experiment_id, None
            while token != "":
                found = client.search_runs([self._experiment], page_token=token)
                for run in found:
                    if name := run.data.tags.get(_ID):
                        progress = run.data.tags.get(_PROGRESS, "")
                        self._runs[name] = (run.info.run_id, progress)
                token = found.token or ""
        self._client = client

    def _write(self, run_id: str, run: TrackedRun, n_before: int) -> None:
        """Write all but the first `n_before` epochs, and the state."""
        entities, client, n_epochs = self._mlflow.entities, self._client, len(run.metrics)
        end = _milliseconds(run.time(n_epochs))
        metrics = [
            entities.Metric(name, value, _milliseconds(run.time(number)), number)
            for number in range(n_before + 1, n_epochs + 1)
            for name, value in run.metrics[number - 1].items()
        ]
        if run.score is not None:
            metrics.append(entities.Metric("score", run.score, end, n_epochs))
        if run.test_accuracy is not None:
            # The last step counts, and of equal steps the highest value.
            mean = entities.Metric("test_accuracy_mean", run.test_accuracy, end, run.n_seeds)
            metrics.append(mean)
        if not n_before:
            values = run.parameters.items()
            parameters = [entities.Param(name, str(value)) for name, value in values]
            client.log_batch(run_id, params=parameters)
        for begin in range(0, len(metrics), _MAX_METRICS):
            client.log_batch(run_id, metrics=metrics[begin : begin + _MAX_METRICS])
        if run.has_ended:
            status = {"FAILED": "FAILED", "INTERRUPTED": "KILLED"}.get(run.state, "FINISHED")
            client.set_terminated(run_id, status, end)
        else:
            client.update_run(run_id, status="RUNNING")

    def _write_files(self, run_id: str, run: TrackedRun) -> None:
        if not run.files:
            return
        with TemporaryDirectory() as folder:
            for name, content in run.files.items():
                Path(folder, name).write_bytes(content)
            self._client.log_artifacts(run_id, folder)


def _milliseconds(seconds: float) -> int:
    return round(1000 * seconds)
