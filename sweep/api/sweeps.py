"""Sweeps from Python: `sweep.run` and `sweep.open`, and the `Sweep` that they return."""

import json
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.records.confirmation import read_confirmation
from analysis.records.files import REPORT_FILE
from analysis.records.ledger import Ledger, read_ledger
from analysis.results.tables import epochs_table, runs_table, trials_table
from analysis.storage.folder import Folder
from sweep.api import work
from sweep.api.plan import Options, plan_sweep
from sweep.api.storage import Storage, find_sweep, storage_folder
from sweep.config.messages import suggest
from sweep.driver.resume import extend, plan_confirmation
from sweep.driver.signals import Interrupted
from sweep.errors import ClusterError, UsageError
from sweep.results.best import best_document

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Sweep:
    """A sweep in a storage. Everything is read from its files when it is asked for.

    Make one with `sweep.run` or `sweep.open`. The methods raise what the commands print as an
    error: `UsageError`, `DataError`, `ClusterError`, `NoTrialError` (see `sweep.errors`),
    `StorageError` and `LedgerError` (see `analysis.errors`). FileNotFoundError if the sweep has
    been moved or deleted since.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def __repr__(self) -> str:
        return f"<sweep {self.name} in {self._folder.storage}>"

    @property
    def name(self) -> str:
        """The name of the sweep."""
        return self._folder.name

    @property
    def trials(self) -> "pd.DataFrame":
        """One row per trial, indexed by `trial_id`: see `analysis.results.tables.trials_table`."""
        return trials_table(self._ledger()).set_index("trial_id")

    @property
    def epochs(self) -> "pd.DataFrame":
        """One row per epoch of a trial: see `analysis.results.tables.epochs_table`."""
        return epochs_table(self._ledger())

    @property
    def runs(self) -> "pd.DataFrame":
        """One row per confirmation run: see `analysis.results.tables.runs_table`."""
        return runs_table(read_confirmation(self._folder, self._ledger()))

    @property
    def best(self) -> dict[str, Any]:
        """The best trial, as `sweep best --json` prints it; NoTrialError without one."""
        return best_document(self._folder, self._ledger())

    @property
    def verdict(self) -> dict[str, Any] | None:
        """How the best trial compares with its baseline, as in `best`; None if not confirmed."""
        confirmed = self.best.get("confirmed", {})
        verdict: dict[str, Any] | None = confirmed.get("verdict")
        return verdict

    @property
    def plots(self) -> list[str]:
        """The names of the plots of the sweep."""
        from analysis.plots.gallery import list_plots
        from analysis.plots.results import read_results

        return [plot.name for plot in list_plots(read_results(self._folder))]

    def plot(self, name: str, ax: "Axes | None" = None) -> "Figure":
        """Draw a plot, one of `plots`. A notebook shows the figure that is returned.

        With `ax` it is drawn into these axes, if it has only one, with its title and legend. Make
        them with `layout="constrained"`, so that nothing is cut off.
        UsageError if there is no such plot, the sweep lacks what it shows, or the plot has several
        axes, which do not fit into `ax`.
        """
        from analysis.plots.gallery import draw, list_plots
        from analysis.plots.results import NothingToDrawError, read_results
        from analysis.plots.style import SeveralAxesError

        results = read_results(self._folder)
        plots = {plot.name: plot for plot in list_plots(results)}
        if name not in [*plots]:  # it may not be hashable
            raise UsageError(f"there is no plot {name!r}{suggest(str(name), plots)}")
        try:
            return draw(plots[name], results, ax)
        except SeveralAxesError:
            raise UsageError(
                f"{name} has several axes, which do not fit into `ax`; draw it without"
            ) from None
        except NothingToDrawError as nothing:
            raise UsageError(f"{name} is not drawn: {nothing}") from nothing

    def report(self) -> str:
        """Write the report of the sweep, and return the path or URI of the HTML page."""
        from analysis.report.page import write_report

        write_report(self._folder)
        return self._folder.display_path(REPORT_FILE)

    def resume(
        self,
        *,
        trials: int | None = None,
        time_budget: str | None = None,
        accept_changes: bool = False,
        address: str | None = None,
        concurrency: int | None = None,
        data: str | os.PathLike[str] | None = None,
    ) -> "Sweep":
        """Finish what was interrupted, as `sweep resume` does.

        More `trials`, or another `time_budget` from now, extend the sweep.
        """
        ledger = self._ledger()
        config = extend(ledger, trials, time_budget)
        with _as_python_errors():
            options = Options(address, concurrency, data)
            work.continue_sweep(
                self._folder, ledger, config, options, accept_changes=accept_changes
            )
        return self

    def confirm(
        self,
        *,
        top_k: int | None = None,
        seeds: int | None = None,
        until_decided: bool = False,
        max_seeds: int | None = None,
        address: str | None = None,
        concurrency: int | None = None,
        data: str | os.PathLike[str] | None = None,
    ) -> "Sweep":
        """Train finalists and baselines with fresh seeds and test them, as `sweep confirm` does.

        `until_decided` adds seeds until the verdict is clear, up to `max_seeds`, by default the
        config's, or 20.
        """
        ledger = self._ledger()
        plan = plan_confirmation(
            self._folder, ledger, top_k, seeds, max_seeds, until_decided=until_decided
        )
        with _as_python_errors():
            work.confirm_sweep(self._folder, ledger, plan, Options(address, concurrency, data))
        return self

    def _ledger(self) -> Ledger:
        return read_ledger(self._folder)


def open(name: str | None = None, *, storage: Storage = None) -> Sweep:
    """Return a sweep, by default the newest in `storage`.

    `storage` is a folder or a URI, by default `$SWEEP_STORAGE` or `./runs`. UsageError if there is
    no such sweep.
    """
    if not isinstance(name, str | None):
        raise UsageError(f"a sweep is opened by its name, not by {name!r}; `storage` is a folder")
    folder, _ = find_sweep(storage, name)
    return Sweep(folder)


def run(
    *,
    preset: str | None = None,
    config: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    dataset: str | os.PathLike[str] | None = None,
    name: str | None = None,
    trials: int | None = None,
    time_budget: str | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    search_only: bool = False,
    from_sweep: str | None = None,
    storage: Storage = None,
    address: str | None = None,
    concurrency: int | None = None,
    data: str | os.PathLike[str] | None = None,
) -> Sweep:
    """Search for the best hyperparameters and confirm them, as `sweep run` does.

    Progress is printed on standard error. Ctrl-C, or the stop button of a notebook, ends the
    sweep cleanly with KeyboardInterrupt; `sweep.open(name).resume()` continues it. SIGTERM and
    SIGHUP end it with ClusterError, but not the process. Only if Ray dies does the process end.
    One sweep runs at a time in a process. What other threads print meanwhile is lost.

    Args:
        preset: `quick`, `classic` (the default) or `best`.
        config: A config file that overrides the preset.
        settings: Single keys of the config, such as `{"recipe.momentum": 0.95}`.
        dataset: A name or a path, as in a config.
        name: Of the new sweep; by default that of the preset or the config file, and the time.
        trials: Number of trials.
        time_budget: Time after which no trial starts, such as `30m`.
        epochs: Epochs of a trial.
        seed: Seed of the search and its trials.
        from_sweep: An earlier sweep in the storage, whose trials the searcher learns from.
        search_only: Search without confirmation.
        storage: A folder or a URI, by default `$SWEEP_STORAGE` or `./runs`.
        address: A Ray cluster, `auto` or HOST:PORT; by default Ray is started here.
        concurrency: Trials at a time, by default as many as fit.
        data: Folder of the dataset's files, by default the user's cache.
    """
    path = (str, os.PathLike)
    given: dict[str, tuple[object, Any]] = {
        "settings": (settings, Mapping),
        "config": (config, path),
        "dataset": (dataset, path),
        "preset": (preset, str),
        "name": (name, str),
        "from_sweep": (from_sweep, str),
        "address": (address, str),
    }
    for argument, (value, kind) in given.items():
        if value is not None and not isinstance(value, kind):
            of = f"of type {type(value).__name__}"
            raise UsageError(f"`{argument}` cannot be {of}; see `help(sweep.run)`")
    if isinstance(dataset, os.PathLike):
        dataset = str(Path(dataset).expanduser().absolute())
    pairs = (settings or {}).items()
    name, resolved = plan_sweep(
        name,
        preset=preset,
        path=None if config is None else Path(config),
        search_only=search_only,
        settings=[
            f"{key}={json.dumps(value, default=_plain, ensure_ascii=False)}"
            for key, value in pairs
        ],
        trials=trials,
        time_budget=time_budget,
        epochs=epochs,
        seed=seed,
        dataset=dataset,
    )
    folder = storage_folder(storage)
    earlier = None if from_sweep is None else find_sweep(storage, from_sweep)[1]
    with _as_python_errors():
        options = Options(address, concurrency, data)
        work.start_sweep(folder, name, resolved, options, earlier)
    return Sweep(folder.child(name))


def _plain(value: Any) -> Any:
    """Return numbers of NumPy as those of Python, and a path as a text; else UsageError."""
    if isinstance(value, os.PathLike):
        return str(Path(value).expanduser().absolute())
    try:
        return value.tolist()
    except AttributeError:
        raise UsageError(f"a setting cannot be a {type(value).__name__}") from None


@contextmanager
def _as_python_errors() -> Iterator[None]:
    """Raise KeyboardInterrupt after SIGINT, and ClusterError after another signal."""
    try:
        yield
    except Interrupted as interrupted:
        if interrupted.signal_number == signal.SIGINT:
            raise KeyboardInterrupt from None
        raise ClusterError(f"the sweep was ended by {interrupted}") from None
