from sweep.results.trackers.runs import tracked_runs


def test_trial_of_an_own_network_has_its_fixed_arguments_and_its_file(make_sweep):
    folder, _ = make_sweep(n_trials=2)
    ledger = folder.read("ledger.jsonl")
    folder.write("ledger.jsonl", ledger.replace(b'"recipe": {', b'"recipe": {"model.width": 3, '))
    folder.write("model.py", b"# a network")
    runs = list(tracked_runs(folder, is_running=False))
    assert [run.parameters["model.width"] for run in runs] == [3, 3]
    (best,) = (run for run in runs if run.note)
    assert best.files["model.py"] == b"# a network"
