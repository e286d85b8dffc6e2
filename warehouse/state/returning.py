"""Cold to warm: a month of the lake comes back into the warehouse, row by row what it was.

What does not belong here: why it comes back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import sql

from warehouse.errors import ExportRefused
from warehouse.lake.content import NOTHING, content_on_server
from warehouse.postgres.arrow import arrow_cursor
from warehouse.postgres.relations import is_there
from warehouse.postgres.sessions import Connection, Dsn
from warehouse.state.moves import Move, bring_back, read_files
from warehouse.state.raw_store import RawTable
from warehouse.state.tiered import Tiered


def come_back(
    dsn: Dsn,
    connection: Connection,
    table: Tiered,
    raw: RawTable,
    move: Move,
    why: str,
    note: Callable[[int], None] | None = None,
) -> None:
    """Put a month of the lake into the raw table again, and let readers take it from there.

    What is kept of it in the warehouse will do; else its files are loaded. So a file that was damaged while the month
    is kept is no loss: the month's next move writes it anew.

    Args:
        dsn: of the warehouse, for the session that sends the rows.
        connection: of the warehouse; it holds the table's ingestion lock, and no transaction.
        table, raw: which.
        move: by which the month went into the lake, flipped or dropped.
        why: for the ledger.
        note: is told the month's bytes in the warehouse, index included, in the same transaction; what it raises undoes
            all of it.

    Raises:
        ExportRefused: what came is not what went. The month is in the lake as it was.
        LakeUnavailable: a file is not there.
    """
    if _kept(connection, table, move):
        _take_in(connection, table, raw, move, table.kept(move.id), why, note)
        return
    sent = sql.Identifier(table.system.raw_schema, f"back_{move.id}")
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sent))  # of a run that was cut off
    _send(dsn, table, move, connection)
    try:
        _take_in(connection, table, raw, move, sent, why, note)
    finally:
        if not connection.closed:
            connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sent))


def _kept(connection: Connection, table: Tiered, move: Move) -> bool:
    """Whether the warehouse keeps the month still, as it went."""
    relation = table.kept(move.id)
    if move.state != "flipped" or move.content is None or not is_there(connection, relation):
        return False
    columns = table.columns[: move.content.columns]
    return content_on_server(connection, relation, columns, sql.SQL("true")) == move.content


def _take_in(
    connection: Connection,
    table: Tiered,
    raw: RawTable,
    move: Move,
    sent: sql.Identifier,
    why: str,
    note: Callable[[int], None] | None,
) -> None:
    """The rows that were sent become the raw table's month, if they are what went."""
    with connection.transaction():
        if move.month in raw.months():
            there = content_on_server(connection, table.child(move.month), table.columns, sql.SQL("true"))
            if there.rows:  # the lake alone has the month, so nobody can say what these are
                raise ExportRefused(
                    f"{move.name} is in the lake, and {there.rows:,} rows of it are in {table.raw}",
                    hint="`drivetrain prove` names them. Nothing was changed.",
                )
        child = raw.begin_child()
        row = connection.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(sent))
        there = {column.name for column in row.description or ()}  # not those that were added afterwards
        columns = [(sql.Identifier(each.name), each.type) for each in raw.carriage.columns if each.name in there]
        connection.execute(
            sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {}").format(
                child,
                sql.SQL(", ").join(name for name, _ in columns),
                sql.SQL(", ").join(sql.SQL("{}::{}").format(name, kind) for name, kind in columns),
                sent,
            )
        )
        raw.refuse_erased(child)
        found = content_on_server(connection, child, table.columns, sql.SQL("true"))
        if found != move.content:
            due = move.content or NOTHING
            raise ExportRefused(
                f"{move.name}: {found.rows:,} rows ({found.hash:016x}) came back from the lake, and {due.rows:,} "
                f"({due.hash:016x}) had gone there",
                hint="It is in the lake as it was. `drivetrain prove --deep` says what else is wrong.",
            )
        raw.finish_child(move.month, known=True)
        bring_back(connection, move, why)
        if note is not None:
            whole = raw.child(move.month).as_string(connection)
            row = connection.execute("SELECT pg_total_relation_size(%s::regclass)", (whole,)).fetchone()
            note(row[0] if row else 0)


def _send(dsn: Dsn, table: Tiered, move: Move, connection: Connection) -> None:
    """The files' rows into a table of their own, with the types that Arrow has for them."""
    read: Any = pq.read_table  # type: ignore[reportUnknownMemberType]
    with arrow_cursor(dsn) as cursor:
        for file in read_files(connection, move):
            rows = read(pa.BufferReader(table.lake.store.get(file.path)))
            cursor.adbc_ingest(f"back_{move.id}", rows, mode="create_append", db_schema_name=table.system.raw_schema)
