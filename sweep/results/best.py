"""The best trial of a sweep, as a JSON document: its accuracies and the verdict on it."""

import shlex
from typing import Any

from analysis.records.confirmation import Arm, Confirmation, read_confirmation
from analysis.records.files import checkpoint_name, trial_name
from analysis.records.ledger import Ledger, Trial
from analysis.results.comparison import Comparison, summarize_arm, with_new_images
from analysis.results.selection import Selection, best_trial, describe_rule, searched_recipe
from analysis.results.verdict import decisive_comparison, describe_verdict
from analysis.storage.folder import Folder
from sweep.errors import NoTrialError


def find_best(ledger: Ledger) -> Selection:
    """Return the best trial; NoTrialError if no trial ran all its epochs."""
    if best := best_trial(ledger):
        return best
    failed = ledger.in_state("FAILED")
    if not failed:
        raise NoTrialError(
            f"no trial of {ledger.name} has run all its epochs yet; see: "
            f"{shlex.join(['sweep', 'status', ledger.name])}"
        )
    counts = f"{len(failed)} of {len(ledger.trials)} failed"
    first = f"trial {failed[0].trial_id}: {failed[0].reason}"
    raise NoTrialError(f"no trial of {ledger.name} ran all its epochs: {counts}, {first}")


def best_document(folder: Folder, ledger: Ledger) -> dict[str, Any]:
    """Return the best trial as a JSON document, with its test accuracy if it is confirmed.

    NoTrialError if no trial ran all its epochs.
    """
    best = find_best(ledger)
    checkpoint = checkpoint_name(trial_name(best.trial.trial_id))
    document = {
        "sweep": folder.name,
        "dataset": best.trial.config["dataset"],
        "model": best.trial.config["model"],
        "trial_id": best.trial.trial_id,
        "origin": best.trial.origin,
        "repeats": best.trial.repeats,
        "hyperparameters": best.trial.hyperparameters,
        "val_accuracy": best.score,
        "epoch": len(best.trial.epochs),
        "selection": describe_rule(ledger),
        "checkpoint": folder.display_path(checkpoint) if folder.exists(checkpoint) else None,
    }
    confirmation = read_confirmation(folder, ledger)
    arm = confirmation.finalist(best.trial.trial_id) if confirmation else None
    if confirmation and arm and (summary := summarize_arm(confirmation, arm.arm)):
        document["confirmed"] = {
            "test_accuracy_mean": summary.mean,
            "test_accuracy_ci95": summary.interval,
            "n_seeds": summary.n,
            "verdict": _verdict_document(folder, confirmation, arm),
            "baselines": _baseline_documents(confirmation, best.trial),
        }
    return document


def _verdict_document(folder: Folder, confirmation: Confirmation, finalist: Arm) -> dict[str, Any]:
    found = decisive_comparison(confirmation, finalist) or Comparison(finalist.arm, "", ())
    found = with_new_images(found, confirmation, folder)
    assert finalist.trial_id is not None
    return {
        "text": describe_verdict(confirmation, finalist.trial_id, folder),
        "baseline": found.baseline or None,
        **comparison_document(found),
        "ci95_new_images": found.new_images,
    }


def _baseline_documents(confirmation: Confirmation, best: Trial) -> list[dict[str, Any]]:
    return [
        {
            "arm": arm.arm,
            "title": arm.title,
            "test_accuracy_mean": summary.mean,
            "test_accuracy_ci95": summary.interval,
            "n_seeds": summary.n,
            "searched_recipe": searched_recipe(best, arm),
        }
        for arm in confirmation.in_role("baseline")
        if (summary := summarize_arm(confirmation, arm.arm))
    ]


def comparison_document(comparison: Comparison) -> dict[str, Any]:
    """Return the figures of a comparison as a JSON document."""
    return {
        "outcome": comparison.outcome,
        "difference": comparison.difference,
        "ci95": comparison.interval,
        "p": comparison.p_adjusted,
    }
