"""What a sweep cost, what failed, and where it ran: the last tables of the report."""

import json
import shlex
import statistics

from analysis.formatting import duration, percent
from analysis.records.confirmation import Confirmation
from analysis.records.files import CONFIG_FILE, ENVIRONMENT_FILE, MODEL_FILE
from analysis.records.ledger import Ledger
from analysis.report.facts import Row
from analysis.results.completeness import confirm_command, missing_step
from analysis.results.cost import describe_shortened, search_cost
from analysis.results.selection import best_trial
from analysis.results.state import failed_runs, failed_trials
from analysis.storage.folder import Folder
from analysis.yaml_text import yaml_text

_MOST_ROWS = 20  # of failures, and of notices


def cost_rows(ledger: Ledger, confirmation: Confirmation | None) -> list[Row]:
    """Return what search and confirmation cost."""
    cost = search_cost(ledger)
    planned = cost.epochs + cost.epochs_saved
    saved = f"{cost.epochs_saved:,} of {planned:,}"
    if cost.epochs_saved:
        saved += f", {percent(cost.epochs_saved / planned, 0)}: {describe_shortened(ledger)}"
    rows = [
        ("Search: epochs trained", f"{cost.epochs:,}"),
        ("Search: epochs saved", saved),
        ("Search: core time", _core_time(ledger, cost.slot_seconds)),
        ("Search: elapsed time without pauses", duration(cost.elapsed_s)),
    ]
    if cost.utilization is not None:
        rows.append(("Search: utilization, without start and end", percent(cost.utilization, 0)))
    speeds = [e.images_per_s for trial in ledger.trials.values() for e in trial.epochs]
    if speeds:
        speed = f"{statistics.median(speeds):,.0f} images/s per slot (median epoch)"
        rows.append(("Search: training speed", speed))
    if confirmation is not None:
        epochs = [epoch for run in confirmation.runs.values() for epoch in run.epochs]
        seconds = sum(epoch.seconds for epoch in epochs)
        rows += [
            ("Confirmation: runs", f"{len(confirmation.runs):,}"),
            ("Confirmation: epochs trained", f"{len(epochs):,}"),
            ("Confirmation: core time", _core_time(ledger, seconds)),
        ]
    return rows


def failure_rows(ledger: Ledger, confirmation: Confirmation | None) -> list[Row]:
    """Return the failed trials and runs with their reasons, 20 rows at most."""
    return _shortened([*failed_trials(ledger), *failed_runs(confirmation)])


def notice_rows(ledger: Ledger, confirmation: Confirmation | None) -> list[Row]:
    """Return the notices that are not about a failed trial, 20 rows at most."""
    failed = {trial.trial_id for trial in ledger.in_state("FAILED")}
    rows = [("search", n.text) for n in ledger.notices if n.trial_id not in failed]
    if confirmation is not None:
        rows += [("confirmation", notice.text) for notice in confirmation.notices]
    return _shortened(rows)


def environment_rows(folder: Folder) -> list[Row]:
    """Return where the sweep ran; `environment.json` may have any content."""
    if not folder.exists(ENVIRONMENT_FILE):
        return []
    try:
        recorded = json.loads(folder.read(ENVIRONMENT_FILE))
    except (ValueError, RecursionError):
        recorded = None
    if not isinstance(recorded, dict):
        return [(ENVIRONMENT_FILE, "is damaged")]
    rows = []
    for name, value in recorded.items():
        items = value.items() if isinstance(value, dict) else [(name, value)]
        rows += [_environment_row(*item) for item in items if item[1] is not None]
    return rows


def resolved_config(folder: Folder, ledger: Ledger) -> str:
    """Return the sweep's config as YAML: the text of its file, or else the ledger's."""
    if folder.exists(CONFIG_FILE):
        return folder.read(CONFIG_FILE).decode("utf-8", "replace")
    return yaml_text(ledger.config | {"model": ledger.config["model"].partition("@")[0]})


def commands(ledger: Ledger, confirmation: Confirmation | None) -> dict[str, str]:
    """Return the next commands with their purposes."""
    name = shlex.quote(ledger.name)
    save = f"search again; first save the config below as {CONFIG_FILE}"
    if "@" in ledger.config["model"]:
        save += f", and beside it the sweep's {MODEL_FILE}"
    found = {
        f"sweep run --config {CONFIG_FILE} --concurrency 1": save,
        f"sweep plot {name}": "draw these plots again, from the sweep's files",
        f"sweep report {name}": "write this page again",
    }
    if (confirm := confirm_command(ledger, confirmation)) is not None:
        is_begun = missing_step(ledger, confirmation) == "resume"
        test = "test the best trial on fresh seeds, against the baselines"
        found = {confirm: "finish the sweep" if is_begun else test} | found
    if best_trial(ledger):
        found[f"sweep export {name} --out model"] = "export the best network"
    return found


def _environment_row(name: str, value: object) -> Row:
    if name.endswith("_bytes") and isinstance(value, int):
        return name.removesuffix("_bytes"), f"{value / 2**30:.1f} GiB"
    return name, value if isinstance(value, str) else json.dumps(value)


def _core_time(ledger: Ledger, slot_seconds: float) -> str:
    cores = float(ledger.config.get("resources", {}).get("cpu", 1))
    seconds = slot_seconds * cores
    return f"{seconds:,.0f} core-seconds ({duration(seconds)})"


def _shortened(rows: list[Row]) -> list[Row]:
    if len(rows) <= _MOST_ROWS:
        return rows
    return [*rows[:_MOST_ROWS], ("and others", f"{len(rows) - _MOST_ROWS:,} more in the ledger")]
