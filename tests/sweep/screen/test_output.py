import os
from pathlib import Path

import pytest

from full_disk import file_size_limit
from sweep.errors import UsageError
from sweep.screen.output import write_file


def test_file_is_written_whole_or_not_at_all(tmp_path):
    file, new = tmp_path / "trials.csv", tmp_path / "new.csv"
    file.write_bytes(b"before")
    for target in (file, new):
        with file_size_limit(100), pytest.raises(UsageError, match=f"^cannot write {target}: "):
            write_file(target, bytes(1000))
    assert list(tmp_path.iterdir()) == [file]
    assert file.read_bytes() == b"before"
    write_file(file, b"after")
    assert file.read_bytes() == b"after"


def test_link_and_device_are_written_to_and_not_replaced(tmp_path):
    file, link = tmp_path / "trials.csv", tmp_path / "link"
    link.symlink_to(file)
    write_file(link, b"contents")
    assert link.is_symlink()
    assert file.read_bytes() == b"contents"
    reader, writer = os.pipe()
    write_file(Path(f"/dev/fd/{writer}"), b"more")
    assert os.read(reader, 4) == b"more"
    os.close(reader)
    os.close(writer)
