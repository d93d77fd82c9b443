import pytest
import torch

from sweep.api.plan import Options, check_options
from sweep.config import Resources
from sweep.environment import n_processors
from sweep.errors import UsageError

CORES = n_processors()


@pytest.mark.parametrize(
    ("resources", "concurrency", "slots"),
    [
        (Resources(), None, CORES),
        (Resources(cpu=0.5), None, 2 * CORES),
        (Resources(cpu=CORES), None, 1),
        (Resources(), CORES, CORES),
        (Resources(cpu=0.5), 1, 1),
        (Resources(cpu=0.1, gpu=0.5), None, 2),
        (Resources(cpu=0.1, gpu=0.1), None, 10),
        (Resources(cpu=0.1, gpu=1), None, 1),
    ],
)
def test_slots_are_as_many_as_fit_on_this_machine(resources, concurrency, slots, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "NVIDIA H200")
    start = check_options(resources, Options(None, concurrency, data=None))
    assert start == f"{slots} at a time; starting Ray"


@pytest.mark.parametrize(
    ("resources", "concurrency", "message"),
    [
        (
            Resources(cpu=CORES + 1),
            None,
            f"`resources.cpu` is {CORES + 1}, but this machine has {CORES}",
        ),
        (Resources(gpu=0.5), None, "`resources.gpu` is 0.5, but this machine has 0 GPUs usable"),
        (
            Resources(cpu=0.5),
            2 * CORES + 1,
            f"`--concurrency` must be at most {2 * CORES} on this machine, "
            f"but got {2 * CORES + 1}",
        ),
        (Resources(), 1.0, "`--concurrency` must be at least 1, and an integer, but got 1.0"),
    ],
    ids=["cpu", "gpu", "concurrency", "fraction"],
)
def test_resources_that_this_machine_lacks_are_refused(
    resources, concurrency, message, monkeypatch
):
    # A card that CUDA cannot use is counted, but is none.
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError) as raised:
        check_options(resources, Options(None, concurrency, data=None))
    assert str(raised.value).startswith(message)
    joining = check_options(resources, Options("10.0.0.1:6379", None, data=None))
    assert joining == "joining Ray at 10.0.0.1:6379"
    with pytest.raises(UsageError, match="`--address` must be auto or HOST:PORT, but got 'head'"):
        check_options(resources, Options("head", None, data=None))
