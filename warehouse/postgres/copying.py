"""COPY from one server straight into another: blocks of bytes, never rows as Python objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Any

from psycopg import sql

from warehouse.errors import SourceInterrupted
from warehouse.postgres.carriage import Format
from warehouse.postgres.sessions import Connection

_BLOCK = 64 * 1024
_FORMATS: dict[Format, sql.SQL] = {"binary": sql.SQL("BINARY"), "text": sql.SQL("TEXT")}


@dataclass(frozen=True)
class Copied:
    """What one COPY moved: rows, and bytes on the wire."""

    rows: int
    bytes: int


def copy_across(
    source: Connection,
    query: sql.Composable,
    target: Connection,
    into: sql.Composable,
    *,
    format: Format,
    parameters: Mapping[str, Any] | None = None,
    frozen: bool = False,
) -> Copied:
    """Copy a query's rows into a table of another server.

    Args:
        source: session that runs ``query``.
        query: a SELECT; its columns in the order of ``into``.
        target: session inside the transaction that the rows belong to.
        into: ``table (columns)``.
        format: see ``carriage``.
        parameters: of ``query``; bound on the client, since COPY takes none.
        frozen: every snapshot sees the rows, even one that is older than they are. Only into a table that was
            created in the same transaction.

    Raises:
        SourceInterrupted: both sides counted different rows (PostgreSQL takes a truncated binary stream for whole).
    """
    options = _FORMATS[format]
    freeze = sql.SQL(", FREEZE" if frozen else "")
    moved = 0
    with source.cursor() as reader, target.cursor() as writer:
        text = sql.SQL("COPY ({}) TO STDOUT (FORMAT {})").format(query, options)
        with (
            reader.copy(text, parameters) as blocks,
            writer.copy(sql.SQL("COPY {} FROM STDIN (FORMAT {}{})").format(into, options, freeze)) as sink,
        ):
            # psycopg gives a row at a time; handing on larger blocks halves the time.
            gathered = bytearray()
            for block in blocks:
                gathered += block
                if len(gathered) >= _BLOCK:
                    moved += len(gathered)
                    sink.write(bytes(gathered))
                    gathered.clear()
            moved += len(gathered)
            sink.write(bytes(gathered))
        if reader.rowcount != writer.rowcount:
            raise SourceInterrupted(f"the source sent {reader.rowcount} rows and {writer.rowcount} arrived")
        return Copied(writer.rowcount, moved)


_COUNT, _SIZE = Struct("!h"), Struct("!i")
_HEADER, _TRAILER = b"PGCOPY\n\xff\r\n\0" + bytes(8), _COUNT.pack(-1)
#: The backslash first: it is in the others' place.
_ESCAPED = {b"\\": b"\\\\", b"\t": b"\\t", b"\n": b"\\n", b"\r": b"\\r"}


def copy_rows(
    target: Connection, into: sql.Composable, rows: Iterable[Sequence[bytes | None]], format: Format
) -> Copied:
    """Copy rows into a table whose values are there already as the server wrote them.

    Args:
        target: session inside the transaction that the rows belong to.
        into: ``table (columns)``.
        rows: values in the order of ``into``, in that format; None is NULL.
        format: see ``carriage``.
    """
    moved = 0
    with target.cursor() as writer:
        with writer.copy(sql.SQL("COPY {} FROM STDIN (FORMAT {})").format(into, _FORMATS[format])) as sink:
            for block in _blocks(rows, format):
                moved += len(block)
                sink.write(block)
        return Copied(writer.rowcount, moved)


def _blocks(rows: Iterable[Sequence[bytes | None]], format: Format) -> Iterator[bytes]:
    """The rows as COPY reads them. Source: PostgreSQL documentation, COPY, "File Formats"."""
    gathered = bytearray(_HEADER if format == "binary" else b"")
    for row in rows:
        if format == "binary":
            gathered += _COUNT.pack(len(row))
            for value in row:
                gathered += _SIZE.pack(-1) if value is None else _SIZE.pack(len(value)) + value
        else:
            gathered += b"\t".join([b"\\N" if value is None else _escaped(value) for value in row]) + b"\n"
        if len(gathered) >= _BLOCK:
            yield bytes(gathered)
            gathered.clear()
    yield bytes(gathered + (_TRAILER if format == "binary" else b""))


def _escaped(value: bytes) -> bytes:
    for sign, escaped in _ESCAPED.items():
        if sign in value:
            value = value.replace(sign, escaped)
    return value
