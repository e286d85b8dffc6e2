"""Read what ``pgoutput`` writes: PostgreSQL's logical replication messages, protocol version 1.

Source of the formats: PostgreSQL documentation, "Logical Replication Message Formats". Values stay bytes, as the server
sent them: in the format that ``COPY`` would send them in, binary or text.

What does not belong here: what becomes of a change.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from struct import Struct
from typing import Final

_H, _I = Struct("!h"), Struct("!i")
_BEGIN, _COMMIT, _TRUNCATE = Struct("!qqI"), Struct("!bqqq"), Struct("!ib")


class Unchanged:
    """The value of a column that was not changed and is too large to be in the log (TOAST)."""

    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED: Final = Unchanged()
#: None is NULL.
Value = bytes | None | Unchanged
Row = tuple[Value, ...]


@dataclass(frozen=True)
class Begin:
    """A transaction's changes follow.

    Attributes:
        lsn: of its commit.
        xid: of the transaction, 32 bits.
    """

    lsn: int
    xid: int


@dataclass(frozen=True)
class Commit:
    """They were all.

    Attributes:
        end: where the next record begins.
        at: when, in microseconds since 2000-01-01 UTC.
    """

    end: int
    at: int


@dataclass(frozen=True)
class Relation:
    """What a table is like from here on.

    Attributes:
        id: by which changes name it.
        columns: names in order.
        key: those of the replica identity.
        identity: ``d`` default, ``n`` nothing, ``f`` whole row, ``i`` index.
    """

    id: int
    schema: str
    name: str
    identity: str
    columns: tuple[str, ...]
    key: tuple[str, ...]


@dataclass(frozen=True)
class Insert:
    """A row came."""

    relation: int
    new: Row


@dataclass(frozen=True)
class Update:
    """A row changed; ``old`` is there if its key did, or if the identity is the whole row."""

    relation: int
    old: Row | None
    new: Row


@dataclass(frozen=True)
class Delete:
    """A row went: its key, the other values NULL; or the whole row."""

    relation: int
    old: Row


@dataclass(frozen=True)
class Truncate:
    """All rows of some tables went."""

    relations: tuple[int, ...]


Message = Begin | Commit | Relation | Insert | Update | Delete | Truncate


def parse(data: bytes) -> Message | None:
    """One message; None for those that say nothing of rows (types, origins).

    Raises:
        ValueError: no such message, or a part of one.
    """
    kind = data[:1]
    try:
        if kind == b"I":
            return Insert(_I.unpack_from(data, 1)[0], _row(data, 6)[0])
        if kind == b"U":
            relation, at, old = _I.unpack_from(data, 1)[0], 5, None
            if data[at : at + 1] in (b"K", b"O"):
                old, at = _row(data, at + 1)
            return Update(relation, old, _row(data, at + 1)[0])
        if kind == b"D":
            return Delete(_I.unpack_from(data, 1)[0], _row(data, 6)[0])
        if kind == b"B":
            lsn, _, xid = _BEGIN.unpack_from(data, 1)
            return Begin(lsn, xid)
        if kind == b"C":
            _, _, end, at = _COMMIT.unpack_from(data, 1)
            return Commit(end, at)
        if kind == b"R":
            return _relation(data)
        if kind == b"T":
            count, _ = _TRUNCATE.unpack_from(data, 1)
            return Truncate(Struct(f"!{count}i").unpack_from(data, 6))
    except (IndexError, ValueError, struct.error) as error:
        raise ValueError(f"a replication message of kind {kind!r} is not whole") from error
    if kind in (b"Y", b"O", b"M"):
        return None
    raise ValueError(f"a replication message of kind {kind!r} is not known")


def _row(data: bytes, at: int) -> tuple[Row, int]:
    """A tuple's values, and where it ends."""
    (count,) = _H.unpack_from(data, at)
    at += 2
    values: list[Value] = []
    unpack = _I.unpack_from
    for _ in range(count):
        kind = data[at]
        at += 1
        if kind == 0x62 or kind == 0x74:  # b, t: the carriage knows which
            (size,) = unpack(data, at)
            at += 4
            values.append(data[at : at + size])
            at += size
        elif kind == 0x6E:  # n
            values.append(None)
        elif kind == 0x75:  # u
            values.append(UNCHANGED)
        else:
            raise ValueError(kind)
    if at > len(data):
        raise ValueError("short")
    return tuple(values), at


def _relation(data: bytes) -> Relation:
    (number,) = _I.unpack_from(data, 1)
    schema, at = _text(data, 5)
    name, at = _text(data, at)
    identity = chr(data[at])
    (count,) = _H.unpack_from(data, at + 1)
    at += 3
    columns: list[str] = []
    key: list[str] = []
    for _ in range(count):
        flags = data[at]
        column, at = _text(data, at + 1)
        at += 8  # type and its modifier
        columns.append(column)
        if flags & 1:
            key.append(column)
    return Relation(number, schema, name, identity, tuple(columns), tuple(key))


def _text(data: bytes, at: int) -> tuple[str, int]:
    end = data.index(0, at)
    return data[at:end].decode(), end + 1
