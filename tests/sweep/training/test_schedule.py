import pytest

from sweep.training.schedule import schedule_factor


@pytest.mark.parametrize(
    ("schedule", "n_warmup_steps", "factors"),
    [
        ("constant", 0, [1, 1, 1, 1, 1, 1]),
        ("constant", 2, [1 / 2, 1, 1, 1, 1, 1]),
        ("linear", 0, [1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]),
        ("linear", 2, [1 / 2, 1, 1, 3 / 4, 2 / 4, 1 / 4]),
        ("linear", 6, [1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1]),
        ("linear", 12, [1 / 12, 2 / 12, 3 / 12, 4 / 12, 5 / 12, 6 / 12]),
    ],
)
def test_schedule_factor_climbs_then_falls(
    schedule: str, n_warmup_steps: int, factors: list[float]
):
    assert factors == [
        schedule_factor(schedule, step, n_steps=6, n_warmup_steps=n_warmup_steps)
        for step in range(6)
    ]
