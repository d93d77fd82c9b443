from analysis.records.seeds import confirmation_seeds, sampler_seed, trial_seed


def test_seeds_never_change() -> None:
    # A sweep can be repeated only if these stay what they are.
    assert [trial_seed(0, 1), trial_seed(0, 2), trial_seed(7, 1)] == [
        901243215,
        3884055042,
        582607262,
    ]
    assert [sampler_seed(0, 0), sampler_seed(0, 5)] == [3141116543, 3608231367]
    assert confirmation_seeds(0, 3) == [2613022947, 3679268941, 3170341645]


def test_trial_seeds_differ_between_trials_and_sweeps() -> None:
    seeds = [trial_seed(sweep, trial) for sweep in range(5) for trial in range(1, 201)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_confirmation_seeds_of_more_runs_begin_with_those_of_fewer() -> None:
    seeds = confirmation_seeds(3, 50)
    assert len(set(seeds)) == 50
    assert all(confirmation_seeds(3, n) == seeds[:n] for n in (0, 1, 5, 49))
    assert not set(seeds) & set(confirmation_seeds(4, 50))


def test_confirmation_seeds_are_no_trial_seeds() -> None:
    trials = {trial_seed(sweep, trial) for sweep in range(3) for trial in range(1, 1001)}
    assert not trials & {seed for sweep in range(3) for seed in confirmation_seeds(sweep, 100)}


def test_sampler_seeds_differ_with_what_is_known_already() -> None:
    seeds = [sampler_seed(0, n_trials) for n_trials in range(100)]
    assert len(set(seeds)) == 100
    assert not set(seeds) & {trial_seed(0, n) for n in range(100)}
