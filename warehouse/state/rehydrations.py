"""Which months of the lake are back in the warehouse for a while, and until when.

Like all of ``warehouse.state``, every function works on the caller's connection and commits nothing.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from warehouse.postgres.sessions import Connection


@dataclass(frozen=True)
class Rehydration:
    """One month that is back; ``bytes`` in the warehouse, with its index."""

    system: str
    table: str
    month: dt.date
    reason: str
    until: dt.datetime
    rows: int
    bytes: int


def read_rehydrations(connection: Connection, system: str | None = None, table: str | None = None) -> list[Rehydration]:
    """The months that are back; of one table, if it is named."""
    rows = connection.execute(
        "SELECT system, table_name, month, reason, until, rows, bytes FROM platform.rehydration"
        " WHERE ended_at IS NULL AND (%(system)s::text IS NULL OR system = %(system)s)"
        " AND (%(table)s::text IS NULL OR table_name = %(table)s) ORDER BY system, table_name, month",
        {"system": system, "table": table},
    )
    return [Rehydration(*row) for row in rows]


def begin_rehydration(
    connection: Connection,
    system: str,
    table: str,
    month: dt.date,
    reason: str,
    until: dt.datetime,
    rows: int,
    size: int,
) -> None:
    """Note a month that came back."""
    connection.execute(
        "INSERT INTO platform.rehydration (system, table_name, month, reason, until, rows, bytes)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (system, table, month, reason, until, rows, size),
    )


def change_until(connection: Connection, system: str, table: str, month: dt.date, until: dt.datetime) -> None:
    """A month that is back may go at another time."""
    connection.execute(
        "UPDATE platform.rehydration SET until = %s"
        " WHERE system = %s AND table_name = %s AND month = %s AND ended_at IS NULL",
        (until, system, table, month),
    )


def end_rehydration(connection: Connection, system: str, table: str, month: dt.date) -> None:
    """A month that may have been back goes."""
    connection.execute(
        "UPDATE platform.rehydration SET ended_at = clock_timestamp()"
        " WHERE system = %s AND table_name = %s AND month = %s AND ended_at IS NULL",
        (system, table, month),
    )
