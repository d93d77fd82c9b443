import pytest

import synthetic
from analysis.records.ledger import read_ledger


def test_sweeps_are_shown_side_by_side(call, add_sweep, tmp_path):
    for name, n_trials, n_seeds in (("a", 8, 4), ("b", 12, 5), ("young", 3, 0)):
        folder = add_sweep(name, n_trials=n_trials, n_running=2 if name == "young" else 0)
        if n_seeds:
            synthetic.write_confirmed(folder, read_ledger(folder), n_seeds, predictions=False)
    document = call("compare a b young --json").document
    a, b, young = document["sweeps"]
    assert [a["trials"], b["trials"], young["trials_ended"]] == [8, 12, 1]
    assert a["best"] == call("best a --json").document
    assert a["best_so_far"][-1]["val_accuracy"] == pytest.approx(a["best"]["val_accuracy"])
    assert young["best"] is None or "confirmed" not in young["best"]
    against_b, against_young = document["differences"]
    assert (against_b["sweep"], against_b["baseline"], against_b["n_seeds"]) == ("b", "a", 4)
    assert against_b["difference"] is not None
    assert against_b["paired"] is True
    assert against_young["reason"] == "the best trial of young is not confirmed"

    outcome = call("compare a b young --out so-far.svg")
    assert outcome.exit_code == 0
    heading, *rows = [line.split() for line in outcome.out.splitlines()]
    assert heading == ["a", "b", "young"]
    assert ["trials", "8/8", "12/12", "1/3"] in rows
    assert ["seeds", "4", "5", "–"] in rows
    assert "he best of b" in outcome.out
    assert "the best of young and the best of a: the best trial of young is" in outcome.out
    assert outcome.out.endswith("finish young with: sweep resume young\n")
    assert (tmp_path / "so-far.svg").read_text().count("<svg") == 1


def test_sweeps_with_other_seeds_are_compared_and_it_is_said(call, add_sweep):
    for seed, name in enumerate(("a", "b")):
        folder = add_sweep(name, n_trials=4, scheduler="none", failure_rate=0, seed=seed)
        synthetic.write_confirmed(folder, read_ledger(folder), 4, predictions=False)
    (difference,) = call("compare a b --json").document["differences"]
    assert (difference["n_seeds"], difference["paired"]) == (4, False)
    assert difference["ci95"] is not None
    assert "The runs are independent" in call("compare a b").out


def test_value_that_only_one_sweep_searched_or_has_in_its_recipe_is_shown(call, add_sweep):
    add_sweep("classic", n_trials=3, scheduler="none", failure_rate=0)
    add_sweep("decaying", n_trials=3, scheduler="none", failure_rate=0, decaying=True)
    rows = dict(
        line.split(maxsplit=1)
        for line in call("compare classic decaying").out.splitlines()[1:]
        if line.strip()
    )
    assert rows["learning_rate"].split()[0] == "0.01"
    assert rows["learning_rate"].split()[1] != "–"
    assert rows["schedule"].split() == ["constant", "linear"]
    assert "momentum" not in rows


def test_other_data_and_another_network_are_named_and_never_compared(call, add_sweep, tmp_path):
    for name in ("a", "b"):
        folder = add_sweep(name, n_trials=4, scheduler="none", failure_rate=0)
        synthetic.write_confirmed(folder, read_ledger(folder), 4, predictions=False)
    assert "network" not in call("list").out + call("best b").out
    model = f"model.py:Net@{'ab' * 32}"
    ledger = tmp_path / "storage" / "b" / "ledger.jsonl"
    text = ledger.read_text().replace('"config":', '"data": {"fingerprint": "x"}, "config":', 1)
    text = text.replace('"dataset": "mnist"', '"dataset": "/here/halves.npz"', 1)
    text = text.replace('"split": "contiguous"', '"split": "random"', 1)
    ledger.write_text(text.replace('"model": "lenet5"', f'"model": "{model}"', 1))
    confirmed = ledger.with_name("confirm.jsonl")
    confirmed.write_text(confirmed.read_text().replace('"lenet5", "trial', f'"{model}", "trial'))

    document = call("compare a b --json").document
    assert [(d["dataset"], d["model"]) for d in document["sweeps"]] == [
        ("mnist", "lenet5"),
        ("/here/halves.npz", model),
    ]
    (difference,) = document["differences"]
    assert (difference["n_seeds"], difference["difference"]) == (0, None)
    outcome = call("compare a b")
    rows = [line.split() for line in outcome.out.splitlines()]
    assert ["dataset", "mnist", "halves.npz"] in rows
    assert ["network", "lenet5", "Net@abababab"] in rows
    assert ["split", "contiguous", "random"] in rows
    assert outcome.out.splitlines()[-1].endswith(
        "their datasets differ, and accuracies on different images cannot be compared."
    )
    listed = {row["sweep"]: row for row in call("list --json").document["sweeps"]}
    assert (listed["b"]["dataset"], listed["b"]["model"]) == ("/here/halves.npz", model)
    assert "halves.npz  Net@abababab" in call("list").out
    assert "  network        Net@abababab" in call("best b").out
