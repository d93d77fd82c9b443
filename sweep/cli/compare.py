"""Sweeps side by side: as JSON, as a table and as a picture."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any, get_args

from rich.table import Table

from analysis.formatting import (
    count,
    dataset_name,
    duration,
    interval,
    network_name,
    percent,
    percent_number,
)
from analysis.hyperparameters import DEFAULTS, format_value
from analysis.records.confirmation import read_confirmation
from analysis.records.ledger import Ledger
from analysis.results.comparison import Comparison
from analysis.results.completeness import missing_step
from analysis.results.progress import improvements
from analysis.results.side_by_side import Contender, Difference, compare_sweeps
from analysis.results.state import sweep_state
from analysis.results.verdict import describe_difference
from analysis.storage.folder import Folder
from sweep.api.storage import follow_up
from sweep.cli.tables import sweep_document
from sweep.errors import NoTrialError, UsageError
from sweep.results.best import best_document, comparison_document
from sweep.screen.layout import new_table
from sweep.screen.output import escape, open_console, say, write_file

_UNPAIRED = (
    "The runs are independent; those of sweeps with the same `--seed` are paired, "
    "which may narrow the interval."
)


def comparison_of_sweeps(
    sweeps: Sequence[tuple[Folder, Ledger]],
) -> tuple[dict[str, Any], list[str]]:
    """Return sweeps side by side as a JSON document, and their differences as sentences.

    Commands that finish or confirm the sweeps without test accuracies follow.
    """
    contenders = [
        Contender(ledger, read_confirmation(folder, ledger)) for folder, ledger in sweeps
    ]
    differences = compare_sweeps(contenders)
    document = {
        "sweeps": [_document(folder, ledger) for folder, ledger in sweeps],
        "differences": [_difference_document(difference) for difference in differences],
    }
    sentences = [_describe(difference) for difference in differences]
    for (folder, _), one in zip(sweeps, contenders, strict=True):
        step = missing_step(one.ledger, one.confirmation)
        if step is not None and not one.test_accuracies:
            verb = "finish" if step == "resume" else "confirm"
            sentences.append(f"{verb} {one.name} with: {follow_up(step, folder)}")
    return document, sentences


def print_comparison(document: Mapping[str, Any], sentences: Sequence[str]) -> None:
    """Print sweeps side by side, as a table and sentences."""
    console = open_console()
    console.print(_table(document["sweeps"]))
    console.print()
    for sentence in sentences:
        say(sentence, sys.stdout)


def draw_comparison(out: Path, ledgers: Mapping[str, Ledger]) -> None:
    """Draw the best so far of each sweep into a file, in the format that its name ends in."""
    from analysis.plots.gallery import Format, render_drawing
    from analysis.plots.results import NothingToDrawError
    from analysis.plots.sweeps_so_far import draw_sweeps_so_far

    formats: dict[str, Format] = {f".{name}": name for name in get_args(Format)}
    if (file_format := formats.get(out.suffix.lower())) is None:
        raise UsageError(
            f"`--out` must be a file that ends in one of {', '.join(formats)}, but got {out}"
        )
    try:
        picture, _ = render_drawing(
            lambda: draw_sweeps_so_far(ledgers), "Best so far, by sweep", file_format
        )
    except NothingToDrawError as error:
        raise UsageError(f"cannot draw {out}: {error}") from error
    write_file(out, picture)


def _document(folder: Folder, ledger: Ledger) -> dict[str, Any]:
    """Return what a sweep cost and found as a JSON document."""
    best, fixed = None, {}
    with suppress(NoTrialError):
        best = best_document(folder, ledger)
        trial = ledger.trials[best["trial_id"]]
        names = dict.fromkeys((*DEFAULTS, *trial.config["recipe"]))
        fixed = {name: trial.value(name) for name in names if name not in trial.hyperparameters}
    return sweep_document(folder, ledger, sweep_state(folder, ledger)) | {
        "split": ledger.config["split"],
        "best": best,
        "fixed": fixed,
        "best_so_far": [
            {
                "trial_id": finish.trial_id,
                "val_accuracy": finish.score,
                "epochs": finish.epochs,
                "elapsed_s": round(finish.seconds, 3),
            }
            for finish in improvements(ledger)
        ],
    }


def _difference_document(difference: Difference) -> dict[str, Any]:
    found = difference.comparison or Comparison(difference.sweep, difference.baseline, ())
    return {
        "sweep": difference.sweep,
        "baseline": difference.baseline,
        "n_seeds": len(found.seeds),
        **comparison_document(found),
        "paired": difference.is_paired if difference.comparison else None,
        "reason": difference.reason,
    }


def _describe(difference: Difference) -> str:
    one, other = f"the best of {difference.sweep}", f"the best of {difference.baseline}"
    if difference.comparison is None:
        return f"No difference is known between {one} and {other}: {difference.reason}."
    text = describe_difference(difference.comparison, one, other)
    has_interval = difference.comparison.interval is not None
    return f"{text} {_UNPAIRED}" if has_interval and not difference.is_paired else text


def _table(documents: Sequence[Mapping[str, Any]]) -> Table:
    """Return a table with one column per sweep."""
    best = [document["best"] or {} for document in documents]
    searched = [trial.get("hyperparameters", {}) for trial in best]
    values = [
        document["fixed"] | drawn for document, drawn in zip(documents, searched, strict=True)
    ]
    names = dict.fromkeys(chain(*searched))
    for name in chain(*values):  # of the recipes, too, where they differ
        if len({trial.get(name) for trial in values if trial}) > 1:
            names[name] = None
    columns = [_column(*both, [*names]) for both in zip(documents, values, strict=True)]
    table = new_table("", *(escape(document["sweep"]) for document in documents), left=("",))
    table.columns[0].no_wrap = True
    for column in table.columns[1:]:
        column.overflow = "fold"
    for label in columns[0]:
        table.add_row(escape(label), *(column[label] for column in columns))
    return table


def _column(
    document: Mapping[str, Any], values: Mapping[str, Any], names: Sequence[str]
) -> dict[str, str]:
    """Return what the table says about a sweep, by the label of the row."""
    so_far, best = document["best_so_far"], document["best"] or {}
    confirmed = best.get("confirmed", {})
    return {
        "dataset": dataset_name(document),
        "network": network_name(document),
        "trials": f"{document['trials_ended']}/{document['planned']}",
        "previews": str(document["previews"]),
        "stopped": str(document["stopped"]),
        "failed": str(document["failed"]),
        "epochs": str(document["epochs"]),
        "search time": duration(document["elapsed_s"]),
        "best after": count(so_far[-1]["epochs"], "epoch") if so_far else "–",
        "": "",
        "best trial": str(best.get("trial_id", "–")),
        "origin": best.get("origin", "–"),
        "repeats": str(best.get("repeats") or "–"),
        "its epochs": str(best.get("epoch", "–")),
        "split": document["split"],
        "validation": percent(best.get("val_accuracy")),
        **{name: escape(format_value(name, values.get(name))) for name in names},
        " ": "",
        "test accuracy": percent(confirmed.get("test_accuracy_mean")),
        "95 % interval": interval(confirmed.get("test_accuracy_ci95"), percent_number),
        "seeds": str(confirmed.get("n_seeds", "–")),
    }
