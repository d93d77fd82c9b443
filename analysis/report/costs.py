"""What a sweep cost, what went wrong, and where it ran: the report's last tables."""

import json
import shlex
import statistics

from analysis.records.confirmation import Confirmation
from analysis.records.files import CONFIG_FILE, ENVIRONMENT_FILE
from analysis.records.ledger import Ledger
from analysis.report.facts import Row, show
from analysis.results.cost import search_cost
from analysis.results.selection import rank_trials
from analysis.results.verdict import missing_step
from analysis.storage.folder import Folder
from analysis.yaml_text import yaml_text

_MOST = 20  # of failures, and of notices


def cost_rows(ledger: Ledger, confirmation: Confirmation | None) -> list[Row]:
    """Returns what search and confirmation cost."""
    cost = search_cost(ledger)
    planned = cost.epochs + cost.epochs_saved
    saved = f"{cost.epochs_saved:,} epochs"
    if cost.epochs_saved:
        saved += f", {100 * cost.epochs_saved / planned:.0f} % of the {planned:,} without it"
    rows = [
        ("Search: epochs trained", f"{cost.epochs:,}"),
        ("Search: saved by early stopping", saved),
        ("Search: core time", _core_time(ledger, cost.slot_seconds)),
        ("Search: time from start to end, pauses left out", duration(cost.elapsed_s)),
    ]
    if cost.utilization is not None:
        rows.append(("Search: slots' time spent training", f"{100 * cost.utilization:.0f} %"))
    speeds = [e.images_per_s for trial in ledger.trials.values() for e in trial.epochs]
    if speeds:
        speed = f"{statistics.median(speeds):,.0f} images/s in each slot (median epoch)"
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
    """Returns what failed and why, at most 20 lines and one that counts the others."""
    rows = [
        (f"trial {t.trial_id}", t.reason or "no reason given") for t in ledger.in_state("FAILED")
    ]
    if confirmation is not None:
        rows += [
            (f"{confirmation.arms[run.arm].title}, seed {run.seed}", run.reason or "")
            for run in confirmation.runs.values()
            if run.state == "FAILED"
        ]
    return _shortened(rows)


def notice_rows(ledger: Ledger, confirmation: Confirmation | None) -> list[Row]:
    """Returns the notices that are not about a failed trial, at most 20 and their number."""
    failed = {trial.trial_id for trial in ledger.in_state("FAILED")}
    rows = [("search", n.text) for n in ledger.notices if n.trial_id not in failed]
    if confirmation is not None:
        rows += [("confirmation", notice.text) for notice in confirmation.notices]
    return _shortened(rows)


def environment_rows(folder: Folder) -> list[Row]:
    """Returns where the sweep ran, from `environment.json`, whatever it holds."""
    if not folder.exists(ENVIRONMENT_FILE):
        return []
    try:
        recorded = json.loads(folder.read(ENVIRONMENT_FILE))
    except (ValueError, RecursionError):
        return [(ENVIRONMENT_FILE, "is damaged")]
    if not isinstance(recorded, dict):
        return [(ENVIRONMENT_FILE, "is damaged")]
    rows = []
    for name, value in recorded.items():
        if isinstance(value, dict):
            rows += [_environment_row(inner, item) for inner, item in value.items()]
        elif value is not None:
            rows.append(_environment_row(name, value))
    return rows


def resolved_config(folder: Folder, ledger: Ledger) -> str:
    """Returns the sweep's config as YAML: its file's text, or else what the ledger has."""
    if folder.exists(CONFIG_FILE):
        return folder.read(CONFIG_FILE).decode("utf-8", "replace")
    return yaml_text(ledger.config)


def commands(ledger: Ledger, confirmation: Confirmation | None) -> dict[str, str]:
    """Returns commands with what each is for, in the order in which one needs them."""
    name = shlex.quote(ledger.name)
    todo = {}
    if (confirm := confirm_command(ledger, confirmation)) is not None:
        todo[confirm] = "test the best trial on fresh seeds, against the baselines"
    todo[f"sweep run --config {CONFIG_FILE} --concurrency 1"] = (
        "search again, with the config below as the file"
    )
    todo[f"sweep plot {name}"] = "draw these pictures again, from the sweep's files"
    todo[f"sweep report {name}"] = "write this page again"
    if rank_trials(ledger):
        todo[f"sweep export {name} --out model"] = "the best model's weights, to use elsewhere"
    return todo


def confirm_command(ledger: Ledger, confirmation: Confirmation | None) -> str | None:
    """Returns the command that trains what the verdict lacks; None if it lacks nothing."""
    step = missing_step(ledger, confirmation)
    return None if step is None else f"sweep {step} {shlex.quote(ledger.name)}"


def duration(seconds: float) -> str:
    """Returns a time in its two largest units."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02d} min"


def _environment_row(name: str, value: object) -> Row:
    if name.endswith("_bytes") and isinstance(value, int):
        return name.removesuffix("_bytes"), f"{value / 2**30:.1f} GiB"
    return name, show(value)


def _core_time(ledger: Ledger, slot_seconds: float) -> str:
    cores = float(ledger.config.get("resources", {}).get("cpu", 1))
    seconds = slot_seconds * cores
    return f"{seconds:,.0f} core-seconds ({duration(seconds)})"


def _shortened(rows: list[Row]) -> list[Row]:
    if len(rows) <= _MOST:
        return rows
    return [*rows[:_MOST], ("and others", f"{len(rows) - _MOST:,} more in the ledger")]
