"""How far change capture has come, by system and table.

Every function writes on the caller's connection and commits nothing: a position stands if and only if the rows do.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from warehouse.errors import SourceInterrupted
from warehouse.postgres.sessions import Connection
from warehouse.postgres.visibility import Seen


@dataclass(frozen=True)
class Slot:
    """A system's replication slot as the platform knows it.

    Attributes:
        name: of the slot.
        server: cluster and timeline that it is of.
        advanced_to: position that the slot was told.
        read_at: when the log was last read to its end.
        committed_at: at the source, of the last transaction that was read.
    """

    name: str
    server: str
    advanced_to: int
    read_at: dt.datetime | None = None
    committed_at: dt.datetime | None = None


@dataclass(frozen=True)
class Position:
    """How far one table is.

    Attributes:
        applied: all transactions that end up to here are in the warehouse.
        snapshot: what the last comparison saw, as ``pg_current_snapshot`` says.
        compare: why the table has to be compared before more is applied; None: it need not.
    """

    applied: int
    snapshot: str | None
    compare: str | None


def lsn_text(lsn: int) -> str:
    """``16/B374D848``, as PostgreSQL writes a position."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def lsn_number(text: str) -> int:
    """The number of such a text."""
    upper, _, lower = text.partition("/")
    return (int(upper, 16) << 32) + int(lower, 16)


def lock_capture(connection: Connection, system: str) -> bool:
    """Take a system's capture for this session, if nobody else has it."""
    ((taken,),) = connection.execute(
        "SELECT pg_try_advisory_lock(hashtextextended('drivetrain capture ' || %s, 0))", (system,)
    ).fetchall()
    return taken


def read_slot(connection: Connection, system: str) -> Slot | None:
    """The slot; None: there is none yet."""
    row = connection.execute(
        "SELECT slot, server, advanced_to::text, read_at, committed_at FROM platform.capture WHERE system = %s",
        (system,),
    ).fetchone()
    return None if row is None else Slot(row[0], row[1], lsn_number(row[2]), row[3], row[4])


def write_slot(connection: Connection, system: str, slot: Slot) -> None:
    """Note where a slot is."""
    connection.execute(
        "INSERT INTO platform.capture (system, slot, server, advanced_to, read_at, committed_at)"
        " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (system) DO UPDATE SET slot = excluded.slot,"
        " server = excluded.server, advanced_to = excluded.advanced_to, read_at = excluded.read_at,"
        " committed_at = coalesce(excluded.committed_at, capture.committed_at)",
        (system, slot.name, slot.server, lsn_text(slot.advanced_to), slot.read_at, slot.committed_at),
    )


def known_captures(connection: Connection) -> set[str]:
    """Systems of which a slot is known."""
    ((made,),) = connection.execute("SELECT to_regclass('platform.capture') IS NOT NULL").fetchall()
    return {system for (system,) in connection.execute("SELECT system FROM platform.capture")} if made else set()


def read_positions(connection: Connection, system: str) -> dict[str, Position]:
    """The tables that are captured."""
    rows = connection.execute(
        "SELECT table_name, applied::text, snapshot, compare FROM platform.capture_table WHERE system = %s", (system,)
    )
    return {name: Position(lsn_number(applied), snapshot, why) for name, applied, snapshot, why in rows}


def keep_positions(connection: Connection, system: str, tables: Collection[str]) -> None:
    """These tables are captured, and no others: a new one is to be compared first."""
    connection.execute(
        "DELETE FROM platform.capture_table WHERE system = %s AND table_name <> ALL(%s)", (system, list(tables))
    )
    connection.execute(
        "INSERT INTO platform.capture_table (system, table_name, compare)"
        " SELECT %s, t, 'it was not captured before' FROM unnest(%s::text[]) AS t ON CONFLICT DO NOTHING",
        (system, list(tables)),
    )


def write_applied(
    connection: Connection, system: str, tables: Collection[str], applied: int, visible: str | None
) -> None:
    """All transactions up to a position are in the warehouse; no position ever goes back.

    Args:
        connection: in the transaction that applies them.
        system, tables: whose.
        applied: the position.
        visible: a snapshot that has seen all of them, as ``pg_current_snapshot`` says; None: they are of nobody.
    """
    connection.execute(
        "UPDATE platform.capture_table SET applied = %(to)s::pg_lsn, visible = coalesce(%(visible)s, visible)"
        " WHERE system = %(system)s AND table_name = ANY(%(tables)s) AND applied < %(to)s::pg_lsn",
        {"system": system, "tables": list(tables), "to": lsn_text(applied), "visible": visible},
    )


def refuse_older(connection: Connection, system: str, table: str, seen: str | None) -> None:
    """A table is not compared with an earlier moment than it was captured at.

    Args:
        connection: of the warehouse, with the table's lock.
        system, table: which.
        seen: of the snapshot to compare with, as ``pg_current_snapshot`` says; None: it cannot tell.

    Raises:
        SourceInterrupted: the snapshot has not seen what was applied already.
    """
    row = connection.execute(
        "SELECT visible FROM platform.capture_table WHERE system = %s AND table_name = %s AND compare IS NULL",
        (system, table),
    ).fetchone()
    if row is None or row[0] is None or (seen is not None and Seen.of(seen).covers(Seen.of(row[0]))):
        return
    raise SourceInterrupted(
        f"{system}.{table}: later changes were captured already than this snapshot of the source has seen",
        hint="Run again, with a new snapshot; of the primary, for a replica's cannot tell what it has not seen.",
    )


def demand_comparison(connection: Connection, system: str, why: str, tables: Collection[str] | None = None) -> None:
    """Nothing more is applied to tables (all, if none are named) before they were compared."""
    connection.execute(
        "UPDATE platform.capture_table SET compare = %(why)s"
        " WHERE system = %(system)s AND (%(tables)s::text[] IS NULL OR table_name = ANY(%(tables)s))",
        {"system": system, "why": why, "tables": None if tables is None else list(tables)},
    )


def note_compared(connection: Connection, system: str, table: str, seen: str | None) -> None:
    """The whole table was compared and loaded, if it is captured at all (``refuse_older`` was asked).

    Args:
        connection: in the transaction that records the comparison.
        system, table: which.
        seen: which transactions the snapshot has seen, as ``pg_current_snapshot`` says; None: it cannot tell.
    """
    connection.execute(
        "UPDATE platform.capture_table SET snapshot = %(seen)s, compare = NULL"
        " WHERE system = %(system)s AND table_name = %(table)s AND %(seen)s::text IS NOT NULL",
        {"system": system, "table": table, "seen": seen},
    )


def forget_capture(connection: Connection, system: str) -> None:
    """Nothing of a system is captured any more."""
    with connection.transaction():
        connection.execute("DELETE FROM platform.capture_table WHERE system = %s", (system,))
        connection.execute("DELETE FROM platform.capture WHERE system = %s", (system,))
