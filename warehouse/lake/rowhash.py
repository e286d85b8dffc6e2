"""PostgreSQL's ``hash_record_extended`` of whole columns, in numpy: what a server says of rows, said of a file.

The server hashes the rows that it stores, this module those that a Parquet file gives back: where both sums agree,
nothing was lost, doubled or altered between them, by whatever carried it. PostgreSQL's hash functions are Bob Jenkins'
lookup3 (``src/common/hashfn.c``); it keeps their values for ever, because hash partitions are stored by them. A
record's hash combines its columns' as ``h = h * 31 + column``, with 0 for NULL
(``src/backend/utils/adt/rowtypes.c``), modulo 2^64.

What does not belong here: which column is hashed as what (``warehouse.lake.columns``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

#: How a column's values are hashed: as an integer of 32 bits or less, of 64, as a float8, or by their bytes.
Kind = Literal["int4", "int8", "float8", "bytes"]

U4 = NDArray[np.uint32]
U8 = NDArray[np.uint64]

_START = 0x9E3779B9 + 3923095
#: Rows at a time: what the dozen temporaries of a hash need stays in the processor's cache.
_BLOCK = 16_384


def sum_of_hashes(columns: Sequence[pa.Array[Any]], kinds: Sequence[Kind]) -> int:
    """The sum of ``hash_record_extended(ROW(columns), 0)`` over all rows, modulo 2^64.

    Args:
        columns: of equal length; integers, floats, booleans, dates and times as Arrow has them, else bytes or text.
        kinds: of each column.
    """
    rows = len(columns[0])
    total = 0
    for start in range(0, rows, _BLOCK):
        count = min(_BLOCK, rows - start)
        record = np.zeros(count, np.uint64)
        for column, kind in zip(columns, kinds, strict=True):
            record *= np.uint64(31)
            record += _hashes(column.slice(start, count), kind)
        total += int(record.sum(dtype=np.uint64))
    return total % 2**64


def _hashes(column: pa.Array[Any], kind: Kind) -> U8:
    """Of each value; 0 for NULL."""
    if kind == "bytes":
        hashed = _of_bytes(column)
    elif kind == "int4":
        hashed = _of_words(_values(column).astype(np.int32).view(np.uint32))
    elif kind == "int8":
        hashed = _of_int8(_values(column).astype(np.int64, copy=False))
    else:
        hashed = _of_float8(_values(column).astype(np.float64))
    if column.null_count:
        hashed[np.asarray(column.is_null())] = 0
    return hashed


def _values(column: pa.Array[Any]) -> NDArray[Any]:
    """The values as numpy has them; 0 for NULL."""
    filled: Any = column.fill_null(0) if column.null_count else column
    return filled.to_numpy(zero_copy_only=False)


def _of_int8(values: NDArray[np.int64]) -> U8:
    """``hashint8extended``: equal to that of an int4 of the same value."""
    low = values.astype(np.uint32)
    high = (values >> np.int64(32)).astype(np.uint32)
    return _of_words(low ^ np.where(values >= 0, high, ~high))


def _of_float8(values: NDArray[np.float64]) -> U8:
    """``hashfloat8extended``: zeros of either sign are 0, NaNs of any payload one."""
    values[np.isnan(values)] = np.nan
    words = values.view(np.uint32).reshape(-1, 2)
    a, b, c = (np.full(len(values), (_START + 8) % 2**32, np.uint32) for _ in range(3))
    a += words[:, 0]
    b += words[:, 1]
    hashed = _final(a, b, c)
    hashed[values == 0] = 0
    return hashed


def _of_words(words: U4) -> U8:
    """``hash_uint32_extended``."""
    a, b, c = (np.full(len(words), (_START + 4) % 2**32, np.uint32) for _ in range(3))
    a += words
    return _final(a, b, c)


def _of_bytes(column: pa.Array[Any]) -> U8:
    """``hash_any_extended`` of each value's bytes: values of one length together."""
    binary: Any = column.cast(pa.large_binary())
    _, offsets_buffer, data_buffer = binary.buffers()
    count = len(binary)
    offsets: NDArray[np.int64] = np.frombuffer(offsets_buffer, np.int64, count + 1, binary.offset * 8)
    data: NDArray[np.uint8] = np.frombuffer(data_buffer or b"", np.uint8)
    lengths = np.diff(offsets)
    hashed = np.empty(count, np.uint64)
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        padded = np.zeros((len(rows), -(-int(length) // 12) * 12), np.uint8)
        if length:
            padded[:, :length] = data[offsets[rows][:, None] + np.arange(length)]
        hashed[rows] = _of_blocks(padded, int(length))
    return hashed


def _of_blocks(padded: NDArray[np.uint8], length: int) -> U8:
    """``hash_any_extended`` of values of one length, with zeros up to a multiple of 12 bytes."""
    a, b, c = (np.full(len(padded), (_START + length) % 2**32, np.uint32) for _ in range(3))
    whole = length // 12
    words = padded.view("<u4") if length else np.zeros((len(padded), 0), np.uint32)
    for block in range(whole):
        a += words[:, 3 * block]
        b += words[:, 3 * block + 1]
        c += words[:, 3 * block + 2]
        _mix(a, b, c)
    if length % 12:
        a += words[:, 3 * whole]
        b += words[:, 3 * whole + 1]
        c += words[:, 3 * whole + 2] << np.uint32(8)  # the lowest byte is the length's
    return _final(a, b, c)


def _rotated(x: U4, bits: int) -> U4:
    return (x << np.uint32(bits)) | (x >> np.uint32(32 - bits))


def _mix(a: U4, b: U4, c: U4) -> None:
    for x, y, z, bits in ((a, c, b, 4), (b, a, c, 6), (c, b, a, 8), (a, c, b, 16), (b, a, c, 19), (c, b, a, 4)):
        x -= y
        x ^= _rotated(y, bits)
        y += z


def _final(a: U4, b: U4, c: U4) -> U8:
    for x, y, bits in ((c, b, 14), (a, c, 11), (b, a, 25), (c, b, 16), (a, c, 4), (b, a, 14), (c, b, 24)):
        x ^= y
        x -= _rotated(y, bits)
    return (b.astype(np.uint64) << np.uint64(32)) | c
