"""The rungs of successive halving."""


def rungs(grace_period: int, reduction_factor: int, epochs: int) -> tuple[int, ...]:
    """Return the epochs after which successive halving may stop a trial of `epochs` epochs.

    The first is the grace period, and each is `reduction_factor` times the one before. The
    last epoch is no rung: the trial ends there anyway.
    """
    found = []
    epoch = grace_period
    while epoch < epochs:
        found.append(epoch)
        epoch *= reduction_factor
    return tuple(found)
