"""The facts of a report about search and confirmation, as its template reads them."""

from collections.abc import Iterator, Sequence
from typing import Any

from analysis.formatting import count, percent, percent_number
from analysis.hyperparameters import DEFAULTS, format_value, without_idle_extras
from analysis.records.confirmation import Confirmation
from analysis.records.files import MODEL_FILE, earlier_model_name
from analysis.records.ledger import Ledger
from analysis.records.predictions import load_predictions
from analysis.records.seeds import trial_seed
from analysis.results.budget import describe_budget, n_planned
from analysis.results.comparison import Comparison, compare_arms, summarize_arm, with_new_images
from analysis.results.selection import (
    best_finalist,
    best_first,
    best_trial,
    describe_baseline,
    describe_origin,
    describe_rule,
    origin_in_words,
    trial_accuracy,
)
from analysis.results.statistics import McNemar, mcnemar
from analysis.results.verdict import (
    decisive_comparison,
    describe_comparison,
    describe_others,
    describe_verdict,
)
from analysis.storage.folder import Folder
from analysis.yaml_text import yaml_text

Row = tuple[str, str]


def find_verdict(
    folder: Folder, ledger: Ledger, confirmation: Confirmation | None
) -> dict[str, str]:
    """Return the verdict on the sweep.

    The dictionary has the `text`, a sentence on the `others`, which are the other baselines, a
    `note` on how to read it, and the `outcome` of the best trial against its reference, which is
    `none` where they are not compared.
    """
    best, outcome, note, others = best_trial(ledger), "none", "", ""
    if best is None:
        text = "No trial has run all its epochs, so there is no best trial."
    elif confirmation is None:
        text = (
            f"Not confirmed yet. The best of {count(len(ledger.trials), 'trial')} is trial "
            f"{best.trial.trial_id}, with {percent(best.score)} on the validation "
            "images."
        )
        note = (
            "The trial was chosen by this accuracy, which is therefore too optimistic. The trial "
            "has not been compared with a baseline. "
        )
    else:
        text = describe_verdict(confirmation, best.trial.trial_id, folder)
        decisive = decisive_comparison(confirmation, best_finalist(ledger, confirmation))
        outcome = decisive.outcome if decisive and not decisive.has_turned else "none"
        others = describe_others(confirmation, best.trial.trial_id)
    if ledger.n_ended < (planned := n_planned(ledger)):
        note += f"The search is not finished: {ledger.n_ended:,} of {planned:,} trials have ended."
    elif (early := describe_budget(ledger)) is not None:
        note += f"{early[:1].upper()}{early[1:]}."
    return {"text": text, "others": others, "outcome": outcome, "note": note.rstrip()}


def arm_rows(ledger: Ledger, confirmation: Confirmation) -> Iterator[dict[str, Any]]:
    """Yield one row per arm, in their order; `summary` is None if no run has finished."""
    finalist = best_finalist(ledger, confirmation)
    reference = confirmation.reference_of(finalist) if finalist else None
    for arm in confirmation.arms.values():
        summary = summarize_arm(confirmation, arm.arm)
        role = "reference" if arm == reference != finalist else arm.role
        n_finished, n_seeds = summary.n if summary else 0, len(confirmation.seeds)
        seeds = f"{n_finished}" if n_finished == n_seeds else f"{n_finished} of {n_seeds}"
        yield {"arm": arm, "role": role, "seeds": seeds, "summary": summary}


def arm_notes(ledger: Ledger, confirmation: Confirmation) -> Iterator[str]:
    """Yield what each baseline has; see `describe_baseline`."""
    best = best_trial(ledger)
    for arm in confirmation.in_role("baseline"):
        yield f"“{arm.title}”: {describe_baseline(arm, best.trial if best else None)}."


def comparison_rows(
    folder: Folder, ledger: Ledger, confirmation: Confirmation
) -> Iterator[dict[str, Any]]:
    """Yield one row per finalist and baseline.

    `networks` is the first seed that both arms share, with a comparison of its two networks
    image by image, or None without predictions. It is one seed only: all seeds are tested on
    the same images, so that pooling them would count each image several times.
    """
    decisive = decisive_comparison(confirmation, best_finalist(ledger, confirmation))
    verdict = (decisive.finalist, decisive.baseline) if decisive else None
    seeds = confirmation.ordered_seeds(ledger.config["seed"])
    for compared in compare_arms(confirmation):
        comparison = with_new_images(compared, confirmation, folder)
        yield {
            "finalist": confirmation.arms[comparison.finalist].title,
            "baseline": confirmation.arms[comparison.baseline].title,
            "comparison": comparison,
            "is_verdict": (comparison.finalist, comparison.baseline) == verdict,
            "finding": describe_comparison(confirmation, comparison),
            "networks": _compare_networks(folder, confirmation, comparison, seeds),
        }


def _compare_networks(
    folder: Folder, confirmation: Confirmation, comparison: Comparison, seeds: Sequence[int]
) -> tuple[int, McNemar] | None:
    seed = next((seed for seed in seeds if seed in comparison.seeds), None)
    if seed is None:
        return None
    finalist, baseline = (
        load_predictions(folder, arm, seed, confirmation.test_accuracies(arm)[seed])
        for arm in (comparison.finalist, comparison.baseline)
    )
    if finalist is None or baseline is None or len(finalist.labels) != len(baseline.labels):
        return None
    return seed, mcnemar(finalist.correct, baseline.correct)


def trial_table(ledger: Ledger) -> tuple[list[str], list[list[str]]]:
    """Return the heads of the table of trials, and its rows, the best trial first."""
    trials = best_first(ledger)
    names = list(dict.fromkeys(name for trial in trials for name in trial.hyperparameters))
    rows = []
    for trial in trials:
        accuracy = trial_accuracy(trial)
        rows.append(
            [
                str(trial.trial_id),
                "–" if accuracy is None else percent_number(accuracy),
                "unfinished" if trial.state == "RUNNING" else trial.outcome,
                *(format_value(name, trial.value(name)) for name in names),
                str(len(trial.epochs)),
                f"{trial.seconds:.1f}" if trial.epochs else "–",
                trial.origin if trial.repeats is None else f"repeats {trial.repeats}",
            ]
        )
    return ["Trial", "Accuracy (%)", "State", *names, "Epochs", "Seconds", "Origin"], rows


def describe_best(ledger: Ledger) -> dict[str, Any] | None:
    """Return the best trial, None if no trial ran all its epochs.

    The dictionary describes the trial, and has a `config` that trains it again, with the
    sweep's file `model_file` if the network is the user's own. All of it is from the trial's own
    config: the sweep's may have changed since.
    """
    best = best_trial(ledger)
    if best is None:
        return None
    trial = best.trial
    config = dict(trial.config)
    searched = {k: v for k, v in trial.hyperparameters.items() if k in config["space"]}
    fixed = {k: v for k, v in config["recipe"].items() if k not in searched}
    others = without_idle_extras(
        {k: value for k, value in {**DEFAULTS, **fixed}.items() if k not in searched}
    )
    # With one trial, only the first initial point is trained.
    config |= {"trials": 1, "recipe": fixed, "initial_points": [searched], "scheduler": "none"}
    config["model"], _, digest = trial.config["model"].partition("@")
    is_earlier = digest not in ledger.config["model"]
    return {
        "trial_id": trial.trial_id,
        "accuracy": percent(best.score),
        "origin": origin_in_words(trial),
        "surprise": describe_origin(ledger),
        "rule": describe_rule(ledger),
        "searched": [(k, format_value(k, value)) for k, value in searched.items()],
        "fixed": [(k, format_value(k, value)) for k, value in others.items()],
        "config": yaml_text(config),
        "model_file": digest and (earlier_model_name(digest) if is_earlier else MODEL_FILE),
        "seed": trial.seed,
        "config_seed": trial_seed(config["seed"], 1),
    }
