"""How the learning rate changes from step to step."""


def schedule_factor(schedule: str, step: int, *, n_steps: int, n_warmup_steps: int) -> float:
    """Return the fraction of the learning rate to use in a step.

    It climbs to 1 in the last warm-up step. Then it stays there (`constant`), or falls by the
    same amount every step (`linear`), such that it would be 0 in the step after the last: no
    step is spent on a learning rate of 0, at either end.

    Args:
        schedule: `constant` or `linear`: what follows the warm-up.
        step: From 0 to `n_steps` - 1.
        n_steps: Of the whole run.
        n_warmup_steps: May exceed `n_steps`: then the warm-up is cut off.
    """
    if step < n_warmup_steps:
        return (step + 1) / n_warmup_steps
    if schedule == "constant":
        return 1.0
    return (n_steps - step) / (n_steps - n_warmup_steps)
