"""What the raw schemas hold, by month or whole: rows, fingerprint, and whether the source had the same.

Like the ledger's, every function works on the caller's connection and commits nothing: a count stands if and only if
the rows that it counts do.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from warehouse.postgres.fingerprints import Fingerprint
from warehouse.postgres.sessions import Connection

#: The chunk of a table that is not kept by month.
WHOLE_CHUNK = "whole"


@dataclass(frozen=True)
class Content:
    """One chunk of a raw table.

    Attributes:
        held: what the warehouse holds of it.
        agrees: whether the source had the same when they were last compared; None: not compared.
    """

    held: Fingerprint
    agrees: bool | None


def read_content(connection: Connection, system: str, table: str) -> dict[str, Content]:
    """The chunks known of a table."""
    rows = connection.execute(
        "SELECT chunk, rows, digest, agrees FROM platform.raw_content WHERE system = %s AND table_name = %s",
        (system, table),
    )
    return {chunk: Content(Fingerprint(count, digest), agrees) for chunk, count, digest, agrees in rows}


def agreed_as_of(connection: Connection, system: str, table: str, chunk: str) -> dt.datetime | None:
    """The source's moment when a chunk was last found equal to it; None: it never was, or differed since."""
    row = connection.execute(
        "SELECT agreed_as_of FROM platform.raw_content WHERE system = %s AND table_name = %s AND chunk = %s AND agrees",
        (system, table, chunk),
    ).fetchone()
    return None if row is None else row[0]


def record_content(
    connection: Connection, system: str, table: str, chunks: Mapping[str, Content], as_of: dt.datetime
) -> None:
    """Note chunks as they are now; ``as_of`` is the source's moment that they were compared with."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO platform.raw_content AS c (system, table_name, chunk, rows, digest, agrees, agreed_as_of)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (system, table_name, chunk) DO UPDATE"
            " SET rows = excluded.rows, digest = excluded.digest, agrees = excluded.agrees,"
            " agreed_as_of = coalesce(excluded.agreed_as_of, c.agreed_as_of)",
            [
                (system, table, chunk, c.held.rows, c.held.digest, c.agrees, as_of if c.agrees else None)
                for chunk, c in sorted(chunks.items())
            ],
        )


def amend_content(connection: Connection, system: str, table: str, chunk: str, held: Fingerprint) -> None:
    """A chunk has other rows from now on, and has them at the source too: whether both agreed stays as it was."""
    connection.execute(
        "UPDATE platform.raw_content SET rows = %s, digest = %s WHERE system = %s AND table_name = %s AND chunk = %s",
        (held.rows, held.digest, system, table, chunk),
    )


def forget_content(connection: Connection, system: str, table: str, chunks: Iterable[str]) -> None:
    """Drop chunks that the table no longer has."""
    connection.execute(
        "DELETE FROM platform.raw_content WHERE system = %s AND table_name = %s AND chunk = ANY(%s)",
        (system, table, list(chunks)),
    )


def count_rows(connection: Connection, system: str, table: str) -> int:
    """Rows of the whole raw table."""
    row = connection.execute(
        "SELECT coalesce(sum(rows), 0)::bigint FROM platform.raw_content WHERE system = %s AND table_name = %s",
        (system, table),
    ).fetchone()
    return row[0] if row else 0
