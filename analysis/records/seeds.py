"""Seeds that follow from the sweep's own."""

_TRIAL, _SAMPLER, _CONFIRMATION = 1, 2, 3


def trial_seed(sweep_seed: int, trial_id: int) -> int:
    """Returns the seed of one trial, in [0, 2**32).

    Seeds of different trials, or of different sweeps, are unrelated; see numpy's
    `SeedSequence` for how.
    """
    return _derive(sweep_seed, _TRIAL, trial_id)


def sampler_seed(sweep_seed: int, n_trials: int) -> int:
    """Returns the seed of the searcher that begins with `n_trials` trials already known.

    A sweep that goes on must not draw again what it drew at its beginning.
    """
    return _derive(sweep_seed, _SAMPLER, n_trials)


def confirmation_seeds(sweep_seed: int, n_seeds: int) -> list[int]:
    """Returns the seeds of the confirmation's runs, which no trial has.

    With a larger `n_seeds` the list begins with the same seeds.
    """
    return [_derive(sweep_seed, _CONFIRMATION, number) for number in range(n_seeds)]


def _derive(*words: int) -> int:
    import numpy as np  # slow to import, and most commands derive no seeds

    return int(np.random.SeedSequence(words).generate_state(1)[0])
