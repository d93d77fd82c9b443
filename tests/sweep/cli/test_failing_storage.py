"""A storage that fails while a sweep runs: nothing that was finished is lost."""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

FULL = "the disk is full: free some space"
ADVICE = "every finished epoch is kept; continue with: sweep resume mine"
SEARCH = ("run", "--name", "mine", "--search-only")


def _mount(*arguments: str | Path) -> None:
    """Mount something, if this process may."""
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"cannot mount: {done.stderr.strip()}")


@dataclass(frozen=True)
class SmallDisk:
    """A disk in memory, mounted at `path`."""

    path: Path

    def fill_until_the_end_of(self, driver: Any) -> None:
        """Fill the disk, and keep it full: files that are replaced free their space."""
        deadline = time.monotonic() + 60
        while driver.process.poll() is None:
            assert time.monotonic() < deadline, "it continues on a full disk"
            with contextlib.suppress(OSError), (self.path / "ballast").open("ab", 0) as ballast:
                while ballast.write(bytes(4096)):
                    pass
            time.sleep(0.02)

    def enlarge(self) -> None:
        (self.path / "ballast").unlink(missing_ok=True)
        _mount("-o", "remount,size=64m", self.path)


@pytest.fixture
def mount_disk(tmp_path: Path) -> Iterator[Callable[[str], SmallDisk]]:
    """Make an empty disk; takes a size as `mount` does."""
    path = tmp_path / "disk"
    path.mkdir()

    def mount(size: str) -> SmallDisk:
        _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", path)
        return SmallDisk(path)

    yield mount
    subprocess.run(["umount", "--lazy", path], capture_output=True, check=False)


@pytest.mark.long
@pytest.mark.parametrize(
    ("options", "file", "record"),
    [
        (("--search-only",), "ledger.jsonl", '"val_accuracy"'),
        (
            ("--epochs", "1", "--set", "confirm={top_k: 1, seeds: 1}"),
            "confirm.jsonl",
            '"test_accuracy"',
        ),
    ],
)
def test_disk_that_fills_costs_the_epochs_in_flight(
    options, file, record, start_driver, finish, mount_disk, brief
):
    disk = mount_disk("16m")
    driver = start_driver("run", "--name", "mine", *brief, *options, storage=disk.path)
    driver.wait_for_record(record, file)
    disk.fill_until_the_end_of(driver)
    driver.ends(4, f"error: .*{FULL}", ADVICE)
    before = driver.epochs()
    assert driver.ledger.truncated_bytes == 0
    disk.enlarge()
    finish(driver, before)
    assert not list((disk.path / "mine").rglob("*.part"))


# Lock, config, environment and ledger take one page each.
@pytest.mark.parametrize(
    ("n_pages", "advice"),
    [
        (1, "; choose another folder with --storage"),
        pytest.param(2, "; choose another folder with --storage", marks=pytest.mark.long),
        pytest.param(3, "\nthere is no sweep mine to continue", marks=pytest.mark.long),
    ],
)
def test_disk_that_cannot_store_a_ledger_begins_no_sweep(
    n_pages, advice, start_driver, mount_disk, brief, call
):
    disk = mount_disk(str(n_pages * os.sysconf("SC_PAGE_SIZE")))
    driver = start_driver(*SEARCH, *brief, storage=disk.path)
    driver.ends(4, *f"error: .*{FULL}{advice}".split("\n"))
    assert call("list --json --storage", disk.path).document == {"sweeps": []}


@pytest.mark.parametrize("command", ["plot", "report"])
def test_plots_on_a_full_disk_leave_the_sweep_as_it_is(command, mount_disk, add_sweep, call):
    made = add_sweep("made", n_trials=6, epochs=4)
    disk = mount_disk("64k")
    shutil.copytree(made.path, disk.path / "made")
    outcome = call(command, "made", "--storage", disk.path)
    assert (outcome.exit_code, outcome.out) == (4, "")
    (line,) = outcome.err.splitlines()
    assert line.startswith(f"error: storage {disk.path}/made/")
    assert line.endswith(FULL)
    assert not list((disk.path / "made").rglob("*.part"))
    assert (disk.path / "made" / "ledger.jsonl").read_bytes() == made.read("ledger.jsonl")


@pytest.fixture
def image_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk in a file, whose file system turns read-only when told that it is broken."""
    image, path = tmp_path / "image", tmp_path / "disk"
    path.mkdir()
    with image.open("wb") as file:
        file.truncate(64 * 2**20)
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("there is no mkfs.ext4")
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    _mount("-o", "loop", image, path)
    yield path
    subprocess.run(["umount", "--lazy", path], capture_output=True, check=False)


@pytest.mark.long
def test_disk_that_turns_read_only_costs_the_epochs_in_flight(
    start_driver, finish, image_disk, brief
):
    driver = start_driver(*SEARCH, *brief, storage=image_disk)
    driver.wait_for_record('"val_accuracy"')
    _mount("-o", "remount,abort", image_disk)  # as the kernel does after a disk error
    driver.ends(4, "error: .*Read-only file system", ADVICE)
    before = driver.epochs()
    # Only what the disk has stored by now is left, as after a loss of power.
    image, copy = image_disk.with_name("image"), image_disk.with_name("copy")
    shutil.copyfile(image, copy)
    subprocess.run(["umount", "--lazy", image_disk], check=True)
    _mount("-o", "loop", copy, image_disk)
    finish(driver, before)
