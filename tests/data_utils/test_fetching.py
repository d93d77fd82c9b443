import hashlib
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from data_utils.errors import DataError
from data_utils.fetching import read_or_fetch
from data_utils.idx import IdxFile
from data_utils.progress import SILENT, Progress
from data_utils.sources import SourceError


def idx_file(name: str, *values: int) -> tuple[IdxFile, bytes]:
    data = bytes.fromhex("00000801") + len(values).to_bytes(4, "big") + bytes(values)
    return IdxFile(name, (len(values),), hashlib.sha256(data).hexdigest()), data


CONTENTS = dict([idx_file("a", 1), idx_file("b", 2, 2), idx_file("c", 3, 3, 3)])
FILES = tuple(CONTENTS)
ALL = list(CONTENTS.values())


@dataclass
class Supply:
    """A source that has some files, and remembers what it was asked for."""

    names: str
    fault: str = "out of stock"
    asked: list[str] = field(default_factory=list)

    def fetch(
        self, files: Sequence[IdxFile], progress: Progress
    ) -> Iterator[tuple[IdxFile, bytes]]:
        self.asked.append("".join(file.name for file in files))
        for file in files:
            if file.name not in self.names:
                raise SourceError(self.fault)
            yield file, CONTENTS[file]


def fill(folder: Path, names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file, data in CONTENTS.items():
        if file.name in names:
            (folder / file.name).write_bytes(data)


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file under a folder: contents and time of change."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(p.relative_to(folder)): (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


@pytest.mark.parametrize("place", ["", "MNIST/raw"])
def test_read_or_fetch_leaves_a_complete_folder_alone(tmp_path: Path, place: str) -> None:
    fill(tmp_path / place, "abc")
    before = state(tmp_path)
    supply = Supply("abc")
    assert read_or_fetch(tmp_path, FILES, [supply], SILENT) == ALL
    assert supply.asked == []
    assert state(tmp_path) == before


def test_read_or_fetch_keeps_what_it_fetched(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "mnist"
    assert read_or_fetch(folder, FILES, [Supply("abc")], SILENT) == ALL
    assert {name: data for name, (data, _) in state(folder).items()} == {
        file.name: data for file, data in CONTENTS.items()
    }
    assert read_or_fetch(folder, FILES, [], SILENT) == ALL


def test_read_or_fetch_asks_only_for_what_is_missing(tmp_path: Path) -> None:
    fill(tmp_path / "MNIST/raw", "a")
    first, second = Supply("b"), Supply("abc")
    assert read_or_fetch(tmp_path, FILES, [first, second], SILENT) == ALL
    assert (first.asked, second.asked) == (["bc"], ["c"])
    assert sorted(state(tmp_path)) == ["MNIST/raw/a", "b", "c"]


def test_read_or_fetch_keeps_what_came_before_every_source_failed(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        read_or_fetch(tmp_path, FILES, [Supply("a")], SILENT)
    assert sorted(state(tmp_path)) == ["a"]


def test_read_or_fetch_sets_a_bad_file_aside(tmp_path: Path) -> None:
    fill(tmp_path, "abc")
    (tmp_path / "b").write_bytes(b"bad")
    lines: list[str] = []
    supply = Supply("abc")
    assert read_or_fetch(tmp_path, FILES, [supply], Progress(lines.append)) == ALL
    assert supply.asked == ["b"]
    assert sorted(state(tmp_path)) == ["a", "b", "b.bad", "c"]
    assert (tmp_path / "b.bad").read_bytes() == b"bad"
    assert lines == [
        f"{tmp_path / 'b'} has the wrong magic number: expected 0x00000801, found 0x626164; "
        "it is now b.bad"
    ]


def test_read_or_fetch_uses_a_good_copy_behind_a_bad_one(tmp_path: Path) -> None:
    fill(tmp_path / "MNIST/raw", "abc")
    (tmp_path / "b").write_bytes(b"bad")
    supply = Supply("abc")
    assert read_or_fetch(tmp_path, FILES, [supply], SILENT) == ALL
    assert supply.asked == []


@pytest.mark.parametrize("given", ["", "MNIST/raw"])
def test_read_or_fetch_never_touches_torchvisions_bad_file(tmp_path: Path, given: str) -> None:
    fill(tmp_path / "MNIST/raw", "abc")
    bad = tmp_path / "MNIST/raw/b"
    bad.write_bytes(b"bad")
    before = state(tmp_path)
    supply = Supply("abc")
    with pytest.raises(DataError) as caught:
        read_or_fetch(tmp_path / given, FILES, [supply], SILENT)
    assert str(caught.value).startswith(f"{bad} has the wrong magic number")
    assert state(tmp_path) == before
    assert supply.asked == []


def test_read_or_fetch_names_the_bad_file_of_a_read_only_folder(tmp_path: Path) -> None:
    fill(tmp_path, "abc")
    (tmp_path / "b").write_bytes(b"bad")
    before = state(tmp_path)
    tmp_path.chmod(0o555)
    with pytest.raises(DataError) as caught:
        read_or_fetch(tmp_path, FILES, [Supply("abc")], SILENT)
    assert str(caught.value).startswith(f"{tmp_path / 'b'} has the wrong magic number")
    assert state(tmp_path) == before


def test_read_or_fetch_does_not_fetch_what_it_cannot_keep(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    supply = Supply("abc")
    with pytest.raises(DataError, match="cannot be written to"):
        read_or_fetch(tmp_path, FILES, [supply], SILENT)
    assert supply.asked == []


def test_read_or_fetch_without_sources_writes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "mnist"
    with pytest.raises(DataError) as caught:
        read_or_fetch(folder, FILES, [], SILENT)
    assert str(caught.value) == (
        f"MNIST is not complete in {folder}.\n"
        f"Get a, b and c (with or without .gz) by other means and put it all into {folder}."
    )
    assert not folder.exists()
    fill(folder, "abc")
    (folder / "b").write_bytes(b"bad")
    with pytest.raises(DataError, match="wrong magic number"):
        read_or_fetch(folder, FILES, [], SILENT)
    assert sorted(state(folder)) == ["a", "b", "c"]


def test_read_or_fetch_tells_why_every_source_failed_and_what_to_do(tmp_path: Path) -> None:
    lines: list[str] = []
    sources = [Supply("ab", "mirror: no answer"), Supply("", "index: not found")]
    with pytest.raises(DataError) as caught:
        read_or_fetch(tmp_path, FILES, sources, Progress(lines.append))
    assert str(caught.value) == (
        "MNIST could not be fetched (mirror: no answer; index: not found).\n"
        f"Get c (with or without .gz) by other means and put it all into {tmp_path}."
    )
    assert lines == ["mirror: no answer", "index: not found"]


def test_read_or_fetch_in_two_processes_fetches_once(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import hashlib, sys, time
        from pathlib import Path
        from data_utils.fetching import read_or_fetch
        from data_utils.idx import IdxFile
        from data_utils.progress import SILENT

        scratch, name = Path(sys.argv[1]), sys.argv[2]
        data = bytes.fromhex("00000801 00000001 07")
        file = IdxFile("a", (1,), hashlib.sha256(data).hexdigest())

        def wait_for_both():
            while len(list(scratch.glob("ready-*"))) < 2:
                time.sleep(0.01)

        class Slow:
            def fetch(self, files, progress):
                (scratch / f"fetched-{name}").touch()
                time.sleep(0.5)
                yield file, data

        (scratch / f"ready-{name}").touch()
        wait_for_both()
        assert read_or_fetch(scratch / "mnist", [file], [Slow()], SILENT) == [data]
        """
    )
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "a").write_bytes(b"bad")
    command = [sys.executable, "-c", script, str(tmp_path)]
    processes = [subprocess.Popen([*command, name]) for name in ("one", "two")]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    assert len(list(tmp_path.glob("fetched-*"))) == 1
    assert sorted(path.name for path in (tmp_path / "mnist").iterdir()) == ["a", "a.bad"]
