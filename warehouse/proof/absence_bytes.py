"""What lies in the bytes of a Parquet file besides its rows: dictionaries, statistics, and what no reader looks at.

The file's own structure is read here (Thrift's compact protocol, as the format's specification has it), and not what a
library makes of it: libraries show the rows, and it is what they do not show that may have stayed.

What does not belong here: rows, and what is looked for.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator, Set
from dataclasses import dataclass
from typing import Any, Literal, cast

import pyarrow as pa

_MAGIC = b"PAR1"
_INT32, _INT64, _FLOAT, _DOUBLE, _BYTES, _FIXED = 1, 2, 4, 5, 6, 7
_NUMBERS = {_INT32: "i", _INT64: "q", _FLOAT: "f", _DOUBLE: "d"}
_CODECS = {1: "snappy", 2: "gzip", 4: "brotli", 6: "zstd", 7: "lz4_raw"}
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3


class NotParquet(Exception):
    """A file is none, is cut off, or uses something that cannot be read here."""


@dataclass(frozen=True)
class Stored:
    """One value that is written down in a file beside its rows.

    Attributes:
        where: in what.
        group, column: of which part of the rows.
        text: the value.
    """

    where: Literal["dictionary", "statistics"]
    group: int
    column: str
    text: str


class ParquetFile:
    """The bytes of one file.

    Args:
        content: all of it.

    Raises:
        NotParquet: it is none.
    """

    def __init__(self, content: bytes) -> None:
        if len(content) < 12 or content[:4] != _MAGIC or content[-4:] != _MAGIC:
            raise NotParquet("it does not begin and end as one")
        self.content = content
        start = len(content) - 8 - struct.unpack("<I", content[-8:-4])[0]
        if start < 4:
            raise NotParquet("its footer is cut off")
        self._covered: list[tuple[int, int]] = []
        try:
            self._footer, _ = _struct(content, start)
            self._chunks = [
                (number, chunk, cast("dict[int, Any]", chunk[3]))
                for number, group in enumerate(cast("list[Any]", self._footer.get(4, [])))
                for chunk in group[1]
            ]
        except (IndexError, KeyError, struct.error, UnicodeDecodeError) as error:
            raise NotParquet("its footer cannot be read") from error

    def values(self, numbers: Set[str] = frozenset()) -> Iterator[Stored]:
        """Every value of its dictionaries, whether or not a row has it, and of its statistics.

        Args:
            numbers: columns whose dictionaries are read though they are of numbers.

        Raises:
            NotParquet: a part of it cannot be read.
        """
        try:
            for group, chunk, meta in self._chunks:
                column = ".".join(part.decode() for part in meta[3])
                kind = meta[1]
                yield from _statistics(meta.get(12), kind, group, column)
                yield from self._pages(meta, kind, group, column, kind not in _NUMBERS or column in numbers)
                yield from self._index(chunk, kind, group, column)
        except (IndexError, KeyError, struct.error, pa.ArrowInvalid, OSError) as error:
            raise NotParquet("a page of it cannot be read") from error

    def outside(self) -> bytes:
        """What lies outside of the pages that its footer names; to be asked for after ``values``."""
        rest: list[bytes] = []
        place = 0
        for start, end in sorted(self._covered):
            rest.append(self.content[place : max(start, place)])
            place = max(place, end)
        return b"\n".join([*rest, self.content[place:]])

    def unaccounted(self) -> int:
        """Bytes before the footer that nothing in it accounts for: another footer may have."""
        known = sorted(self._covered + self._indexes())
        place, lost = 4, 0
        for start, end in known:
            lost += max(start - place, 0)
            place = max(place, end)
        footer = len(self.content) - 8 - struct.unpack("<I", self.content[-8:-4])[0]
        return lost + max(footer - place, 0)

    def blooms(self) -> int:
        """Bloom filters, which say of a value that it may have been there; they are not asked."""
        return sum(14 in meta for _, _, meta in self._chunks)

    def _indexes(self) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        for _, chunk, meta in self._chunks:
            found += [(chunk[n], chunk[n] + chunk[n + 1]) for n in (4, 6) if n in chunk and n + 1 in chunk]
            if 14 in meta:
                found.append((meta[14], meta[14] + meta.get(15, 0)))
        return found

    def _pages(self, meta: dict[int, Any], kind: int, group: int, column: str, read: bool) -> Iterator[Stored]:
        start = min(meta[9], meta.get(11) or meta[9])
        end = start + meta[7]
        self._covered.append((start, end))
        place = start
        while place < end:
            header, place = _struct(self.content, place)
            page = self.content[place : place + header[3]]
            place += header[3]
            if header[1] == _DICTIONARY and read:
                for value in _plain(_unpacked(page, meta[4], header[2]), kind, header[7][1]):
                    yield Stored("dictionary", group, column, value)
            elif header[1] in (_DATA, _DATA_V2):
                of_page = header[5].get(5) if header[1] == _DATA else header[8].get(8)
                yield from _statistics(of_page, kind, group, column)

    def _index(self, chunk: dict[int, Any], kind: int, group: int, column: str) -> Iterator[Stored]:
        """First and last values by page."""
        if 6 not in chunk:
            return
        index, _ = _struct(self.content, chunk[6])
        for value in (*index.get(2, ()), *index.get(3, ())):
            if value:
                yield Stored("statistics", group, column, _text(value, kind))


def _statistics(found: Any, kind: int, group: int, column: str) -> Iterator[Stored]:
    for number in (1, 2, 5, 6):
        if found and number in found:
            yield Stored("statistics", group, column, _text(found[number], kind))


def _unpacked(page: bytes, codec: int, size: int) -> bytes:
    if codec == 0:
        return page
    if codec not in _CODECS:
        raise NotParquet(f"it is compressed in a way that is not known ({codec})")
    return pa.Codec(_CODECS[codec]).decompress(page, size).to_pybytes()  # type: ignore[reportUnknownMemberType]


def _plain(page: bytes, kind: int, count: int) -> Iterator[str]:
    """Values one after the other, as dictionaries are."""
    if kind in _NUMBERS:
        for (value,) in struct.iter_unpack("<" + _NUMBERS[kind], page):
            yield str(value)
        return
    if kind == _FIXED and count:
        size = len(page) // count
        for place in range(0, size * count, size):
            yield _text(page[place : place + size], kind)
        return
    place = 0
    while kind == _BYTES and place < len(page):
        (size,) = struct.unpack_from("<I", page, place)
        yield _text(page[place + 4 : place + 4 + size], kind)
        place += 4 + size


def _text(value: bytes, kind: int) -> str:
    if kind in _NUMBERS and len(value) == struct.calcsize("<" + _NUMBERS[kind]):
        return str(struct.unpack("<" + _NUMBERS[kind], value)[0])
    if kind == _FIXED and len(value) == 16:
        return str(uuid.UUID(bytes=value))
    return value.decode(errors="replace")


def _number(content: bytes, place: int) -> tuple[int, int]:
    shift = found = 0
    while True:
        byte = content[place]
        place += 1
        found |= (byte & 0x7F) << shift
        if byte < 0x80:
            return found, place
        shift += 7


def _signed(content: bytes, place: int) -> tuple[int, int]:
    found, place = _number(content, place)
    return (found >> 1) ^ -(found & 1), place


def _struct(content: bytes, place: int) -> tuple[dict[int, Any], int]:
    """Fields by number, and where what follows begins."""
    found: dict[int, Any] = {}
    field = 0
    while True:
        byte = content[place]
        place += 1
        if byte == 0:
            return found, place
        if byte >> 4:
            field += byte >> 4
        else:
            field, place = _signed(content, place)
        found[field], place = _value(content, place, byte & 0x0F)


def _value(content: bytes, place: int, kind: int, listed: bool = False) -> tuple[Any, int]:
    match kind:
        case 1 | 2:
            return (content[place] == 1, place + 1) if listed else (kind == 1, place)
        case 3:
            return content[place], place + 1
        case 4 | 5 | 6:
            return _signed(content, place)
        case 7:
            return struct.unpack_from("<d", content, place)[0], place + 8
        case 8:
            size, place = _number(content, place)
            return content[place : place + size], place + size
        case 9 | 10:
            byte = content[place]
            place += 1
            size, place = (byte >> 4, place) if byte >> 4 < 15 else _number(content, place)
            values: list[Any] = []
            for _ in range(size):
                value, place = _value(content, place, byte & 0x0F, listed=True)
                values.append(value)
            return values, place
        case 12:
            return _struct(content, place)
        case _:
            raise NotParquet("its footer has a type that is not known")
