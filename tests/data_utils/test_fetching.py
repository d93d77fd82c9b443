import hashlib
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from data_utils.errors import DataError
from data_utils.fetching import read_or_fetch
from data_utils.sources import Progress, SourceError

CONTENTS = {"a": b"1", "b": b"22", "c": b"333"}
FILES = {name: hashlib.sha256(data).hexdigest() for name, data in CONTENTS.items()}
SILENT = Progress()


@dataclass
class Supply:
    """A source that has some of the files and records which ones it was asked for."""

    names: str
    fault: str = "out of stock"
    asked: list[str] = field(default_factory=list)

    def __call__(
        self, files: Mapping[str, str], progress: Progress
    ) -> Iterator[tuple[str, bytes]]:
        self.asked.append("".join(files))
        for name in files:
            if name not in self.names:
                raise SourceError(self.fault)
            yield name, CONTENTS[name]


def fill(folder: Path, **changed: bytes) -> None:
    """Write all files; `changed` gives some of them other contents."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in (CONTENTS | changed).items():
        (folder / name).write_bytes(data)


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file under a folder: contents and time of change."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(p.relative_to(folder)): (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


@pytest.mark.parametrize("path", ["", "MNIST/raw"])
def test_complete_folder_is_not_changed(tmp_path: Path, path: str) -> None:
    fill(tmp_path / path)
    before = state(tmp_path)
    supply = Supply("abc")
    assert read_or_fetch(tmp_path, FILES, [supply], SILENT) == CONTENTS
    assert supply.asked == []
    assert state(tmp_path) == before


def test_fetched_files_are_saved(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "mnist"
    assert read_or_fetch(folder, FILES, [Supply("abc")], SILENT) == CONTENTS
    assert read_or_fetch(folder, FILES, [], SILENT) == CONTENTS
    assert sorted(state(folder)) == list(FILES)


def test_each_source_is_asked_only_for_missing_files(tmp_path: Path) -> None:
    fill(tmp_path / "MNIST/raw")
    for name in "bc":
        (tmp_path / "MNIST/raw" / name).unlink()
    first, second = Supply("b"), Supply("abc")
    assert read_or_fetch(tmp_path, FILES, [first, second], SILENT) == CONTENTS
    assert (first.asked, second.asked) == (["bc"], ["c"])
    assert sorted(state(tmp_path)) == ["MNIST/raw/a", "b", "c"]


def test_error_names_the_failure_of_every_source_and_the_missing_files(tmp_path: Path) -> None:
    lines: list[str] = []
    sources = [Supply("ab", "mirror: no answer"), Supply("", "index: not found")]
    with pytest.raises(DataError) as caught:
        read_or_fetch(tmp_path, FILES, sources, Progress(lines.append))
    assert str(caught.value) == (
        "MNIST could not be fetched (mirror: no answer; index: not found).\n"
        f"Put these files, with or without .gz, into {tmp_path}: c."
    )
    assert lines == ["mirror: no answer", "index: not found"]
    assert sorted(state(tmp_path)) == ["a", "b"]  # kept for the next attempt


def test_bad_file_is_set_aside(tmp_path: Path) -> None:
    fill(tmp_path, b=b"bad")
    lines: list[str] = []
    supply = Supply("abc")
    assert read_or_fetch(tmp_path, FILES, [supply], Progress(lines.append)) == CONTENTS
    assert supply.asked == ["b"]
    assert sorted(state(tmp_path)) == ["a", "b", "b.bad", "c"]
    assert (tmp_path / "b.bad").read_bytes() == b"bad"
    assert len(lines) == 1
    assert lines[0].startswith(f"{tmp_path / 'b'} has the wrong SHA-256: ")
    assert lines[0].endswith("; renamed to b.bad")


def test_good_copy_behind_a_bad_one_is_used(tmp_path: Path) -> None:
    fill(tmp_path / "MNIST/raw")
    (tmp_path / "b").write_bytes(b"bad")
    supply = Supply("abc")
    assert read_or_fetch(tmp_path, FILES, [supply], SILENT) == CONTENTS
    assert supply.asked == []


@pytest.mark.parametrize("given", ["", "MNIST/raw"])
def test_torchvisions_bad_file_is_never_changed(tmp_path: Path, given: str) -> None:
    fill(tmp_path / "MNIST/raw", b=b"bad")
    before = state(tmp_path)
    supply = Supply("abc")
    with pytest.raises(DataError) as caught:
        read_or_fetch(tmp_path / given, FILES, [supply], SILENT)
    assert str(caught.value).startswith(f"{tmp_path / 'MNIST/raw/b'} has the wrong SHA-256")
    assert state(tmp_path) == before
    assert supply.asked == []


def test_bad_file_in_a_read_only_folder_is_never_changed(tmp_path: Path) -> None:
    fill(tmp_path, b=b"bad")
    before = state(tmp_path)
    tmp_path.chmod(0o555)
    with pytest.raises(DataError) as caught:
        read_or_fetch(tmp_path, FILES, [Supply("abc")], SILENT)
    assert str(caught.value).startswith(f"{tmp_path / 'b'} has the wrong SHA-256")
    assert state(tmp_path) == before


def test_nothing_is_fetched_into_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    supply = Supply("abc")
    with pytest.raises(DataError, match="cannot be written to"):
        read_or_fetch(tmp_path, FILES, [supply], SILENT)
    assert supply.asked == []


def test_nothing_is_written_without_sources(tmp_path: Path) -> None:
    folder = tmp_path / "mnist"
    with pytest.raises(DataError) as caught:
        read_or_fetch(folder, FILES, [], SILENT)
    assert str(caught.value) == (
        f"MNIST is not complete in {folder}.\n"
        f"Put these files, with or without .gz, into {folder}: a, b, c."
    )
    assert not folder.exists()
    fill(folder, b=b"bad")
    with pytest.raises(DataError, match="wrong SHA-256"):
        read_or_fetch(folder, FILES, [], SILENT)
    assert sorted(state(folder)) == ["a", "b", "c"]


def test_only_one_of_two_processes_fetches(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import hashlib, sys, time
        from pathlib import Path
        from data_utils.fetching import read_or_fetch
        from data_utils.sources import Progress

        folder, name = Path(sys.argv[1]), sys.argv[2]

        def fetch(files, progress):
            (folder / f"fetched-{name}").touch()
            time.sleep(0.5)
            yield "a", b"1"

        (folder / f"ready-{name}").touch()
        while len(list(folder.glob("ready-*"))) < 2:
            time.sleep(0.01)
        files = {"a": hashlib.sha256(b"1").hexdigest()}
        assert read_or_fetch(folder / "mnist", files, [fetch], Progress()) == {"a": b"1"}
        """
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    processes = [subprocess.Popen([*command, name]) for name in ("one", "two")]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    assert len(list(tmp_path.glob("fetched-*"))) == 1
