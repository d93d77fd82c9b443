"""Sweeps in Weights & Biases: a group per sweep, with a run per trial or confirmation run."""

import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from typing_extensions import override

from sweep.errors import UsageError
from sweep.results.extras import import_extra
from sweep.results.trackers.runs import TrackedRun, Tracker

_TAGS = {"best", "failed", "interrupted", "stopped"}


class WeightsAndBiases(Tracker):
    """Writes to the server, or offline if W&B is set to, into files for `wandb sync`.

    The ids of the runs are ours, so that a run that exists continues. A file beside the runs
    records what was written, because W&B cannot tell offline, and only slowly online.
    """

    option = "--out"

    def __init__(self, sweep: str, place: str | None) -> None:
        self._wandb = import_extra("wandb", "W&B", "wandb")
        own = {"root_dir": place} if place is not None else {}
        try:  # else W&B would write to a temporary folder
            Path(place or ".").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot write to `--out` {place}: {error.strerror}") from error
        # This machine and its code are not those that trained.
        self._settings = self._wandb.Settings(
            silent=True,
            console="off",
            disable_code=True,
            disable_git=True,
            save_code=False,
            x_disable_machine_info=True,
            x_disable_meta=True,
            x_disable_stats=True,
            **own,
        )
        settings = self._wandb.setup(self._settings).settings
        if settings.mode == "disabled":
            raise UsageError("W&B is disabled; set WANDB_MODE to online or offline")
        self._sweep, self._project = sweep, settings.project or "lenet-sweep"
        self._needs_login = settings.mode in ("online", "shared")
        self.where = f"W&B group {sweep} in project {self._project}"
        if not self._needs_login:
            self.where += f"; upload: wandb sync {settings.wandb_dir}/offline-run-*"
        self._file = Path(settings.wandb_dir) / f"sweep-{settings.mode}-{self._project}.json"
        self._progress: dict[str, str] = {}
        with contextlib.suppress(FileNotFoundError, ValueError):
            found = json.loads(self._file.read_text())
            # It was a list, which begins with the number of epochs.
            self._progress = {k: v if isinstance(v, str) else str(v[0]) for k, v in found.items()}
        self._open: dict[str, Any] = {}

    @override
    def update(self, run: TrackedRun) -> bool:
        before = self._progress.get(run.id, "0")
        if before == run.progress:
            return False
        n_before = int(before.split()[0])
        mirrored = self._open.get(run.id) or self._begin(run)
        for number in range(max(n_before + 1, mirrored.starting_step), len(run.metrics) + 1):
            # The time of the training, not that of the mirroring.
            values = run.metrics[number - 1] | {"_timestamp": run.time(number)}
            mirrored.log(values, step=number)
        seconds = sum(values["seconds"] for values in run.metrics)
        about: dict[str, Any] = {"state": run.state, "reason": run.reason or ""}
        about |= {"training_seconds": seconds, "score": run.score}
        about["test_accuracy_mean"] = run.test_accuracy
        mirrored.summary.update(
            {name: value for name, value in about.items() if value is not None}
        )
        if run.note or " best-" in before:
            mirrored.notes = run.note
        tags = {*(mirrored.tags or ())} - _TAGS
        own = {run.state.lower()} & _TAGS | ({"best"} if run.note else set())
        mirrored.tags = tuple(sorted(tags | own))
        for name, content in run.files.items():
            path = Path(mirrored.dir, "sweep", name)  # W&B has a config.yaml of its own
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
            mirrored.save(path, base_path=mirrored.dir, policy="now")
        self._progress[run.id] = run.progress
        if run.has_ended:
            self._open.pop(run.id).finish(exit_code=int(run.has_failed))
            self._save()
        return True

    @override
    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].finish()
            self._save()

    def _begin(self, run: TrackedRun) -> Any:
        if self._needs_login and not self._wandb.login(prompt=False):
            raise UsageError("not logged in to W&B; type: wandb login, or set WANDB_MODE=offline")
        self._needs_login = False
        self._open[run.id] = self._wandb.init(
            project=self._project,
            group=self._sweep,
            id=run.id,
            name=run.name,
            job_type=run.kind,
            config=run.parameters | {"started": f"{datetime.fromtimestamp(run.started, UTC)}"},
            resume="allow",
            reinit="create_new",
            settings=self._settings,
        )
        return self._open[run.id]

    def _save(self) -> None:
        """Save what was written of the runs that are not open."""
        done = {name: text for name, text in self._progress.items() if name not in self._open}
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(done))
