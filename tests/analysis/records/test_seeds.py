from analysis.records.seeds import confirmation_seeds, sampler_seed, trial_seed


def test_seeds_never_change():
    # A sweep can be repeated only while these numbers stay the same.
    trials = [trial_seed(0, 1), trial_seed(0, 2), trial_seed(7, 1)]
    assert trials == [901243215, 3884055042, 582607262]
    assert [sampler_seed(0, 0), sampler_seed(0, 5)] == [3141116543, 3608231367]
    assert confirmation_seeds(0, 3) == [2613022947, 3679268941, 3170341645]


def test_seeds_of_trials_samplers_and_runs_all_differ():
    seeds = [trial_seed(sweep, trial) for sweep in range(3) for trial in range(1, 501)]
    seeds += [sampler_seed(sweep, n_trials) for sweep in range(3) for n_trials in range(100)]
    seeds += [seed for sweep in range(3) for seed in confirmation_seeds(sweep, 50)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_seeds_of_more_runs_begin_with_those_of_fewer():
    seeds = confirmation_seeds(3, 50)
    assert all(confirmation_seeds(3, n) == seeds[:n] for n in (0, 1, 5, 49))
