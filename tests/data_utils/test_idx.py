import gzip
import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from data_utils.idx import IdxError, IdxFile, check, decompress, from_array, to_array

ARRAY = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
DATA = bytes.fromhex("00000803 00000003 00000002 00000002") + bytes(range(12))
FILE = IdxFile("three-images", (3, 2, 2), hashlib.sha256(DATA).hexdigest())


def test_idx_file_knows_its_size() -> None:
    assert FILE.n_bytes == 28


def test_from_array_writes_header_and_values() -> None:
    assert from_array(ARRAY) == DATA


def test_to_array_is_read_only() -> None:
    array = to_array(FILE, DATA)
    np.testing.assert_array_equal(array, ARRAY)
    assert not array.flags.writeable


@given(hnp.arrays(np.uint8, hnp.array_shapes(max_dims=4)))
def test_idx_bytes_give_back_the_array(array: NDArray[np.uint8]) -> None:
    data = from_array(array)
    file = IdxFile("any", array.shape, hashlib.sha256(data).hexdigest())
    check(file, data)
    np.testing.assert_array_equal(to_array(file, data), array)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "magic number: expected 0x00000803, found an empty file"),
        (b"<html>", "magic number: expected 0x00000803, found 0x3c68746d"),
        (from_array(ARRAY.reshape(12)), "magic number: expected 0x00000803, found 0x00000801"),
        (from_array(ARRAY[:2]), "counts: expected 3 × 2 × 2, found 2 × 2 × 2"),
        (DATA[:9], "length: expected 28 bytes, found 9"),
        (DATA[:-1], "length: expected 28 bytes, found 27"),
        (DATA + b"!", "length: expected 28 bytes, found more"),
        (from_array(ARRAY[::-1]), f"SHA-256: expected {FILE.sha256[:16]}…, found [0-9a-f]{{16}}…"),
    ],
)
def test_check_names_the_first_difference(data: bytes, message: str) -> None:
    with pytest.raises(IdxError, match=f"^has the wrong {message}"):
        check(FILE, data)


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_check_finds_any_changed_byte(position: int, difference: int) -> None:
    changed = bytearray(DATA)
    changed[position] ^= difference
    with pytest.raises(IdxError):
        check(FILE, bytes(changed))


def test_decompress_undoes_gzip() -> None:
    assert decompress(FILE, gzip.compress(DATA)) == DATA


@pytest.mark.parametrize("n_lost", [1, 8, 12, 25])
def test_decompress_finds_every_cut(n_lost: int) -> None:
    with pytest.raises(IdxError, match="is a gzip file that was cut off"):
        decompress(FILE, gzip.compress(DATA)[:-n_lost])


def test_decompress_refuses_what_is_not_gzip() -> None:
    with pytest.raises(IdxError, match="is not a sound gzip file"):
        decompress(FILE, DATA)


def test_decompress_refuses_a_changed_checksum() -> None:
    packed = bytearray(gzip.compress(DATA))
    packed[-5] ^= 1
    with pytest.raises(IdxError, match="is not a sound gzip file"):
        decompress(FILE, bytes(packed))


def test_decompress_stops_at_the_size_expected() -> None:
    assert len(decompress(FILE, gzip.compress(bytes(1_000_000)))) == 29
