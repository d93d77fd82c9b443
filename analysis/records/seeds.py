"""Seeds derived from a sweep's seed."""

_TRIAL, _SAMPLER, _CONFIRMATION = 1, 2, 3


def trial_seed(sweep_seed: int, trial_id: int) -> int:
    """Return the seed of one trial, in [0, 2**32).

    The seeds of different trials and sweeps are independent; see numpy's `SeedSequence`.
    """
    return _derive(sweep_seed, _TRIAL, trial_id)


def sampler_seed(sweep_seed: int, n_trials: int) -> int:
    """Return the seed of a searcher that begins with `n_trials` finished trials.

    It depends on `n_trials` so that a resumed sweep does not repeat its first draws.
    """
    return _derive(sweep_seed, _SAMPLER, n_trials)


def confirmation_seeds(sweep_seed: int, n_seeds: int) -> list[int]:
    """Return the seeds of the confirmation's runs, none of which is a trial's.

    With a larger `n_seeds` the list begins with the same seeds.
    """
    return [_derive(sweep_seed, _CONFIRMATION, number) for number in range(n_seeds)]


def _derive(*words: int) -> int:
    import numpy as np  # slow to import, and most commands derive no seeds

    return int(np.random.SeedSequence(words).generate_state(1)[0])
