"""Erase persons from a raw table: in one transaction per month rows, models' feed, contents and record.

What does not belong here: which rows (``marking``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from psycopg import sql

from warehouse.erasure.marking import Marking, column_types, unquoted
from warehouse.erasure.passing import Found, Passing
from warehouse.erasure.remnants import restate, swept
from warehouse.lake.columns import LakeColumn
from warehouse.lake.content import NOTHING, Content, content_on_server
from warehouse.postgres.relations import is_filled, is_there
from warehouse.postgres.sessions import Connection, translated
from warehouse.state.content import WHOLE_CHUNK
from warehouse.state.erased import begin_erased, end_erased, read_erased
from warehouse.state.raw_store import RawTable

_TRUE = sql.SQL("true")


def months_of(raw: RawTable) -> Sequence[dt.date | None]:
    """The months that a raw table has; None: it is not kept by month."""
    if raw.month_column is not None:
        return sorted(raw.months())
    return [None] if is_there(raw.connection, raw.child(None)) else []


def look_warm(raw: RawTable, marking: Marking) -> list[Found]:
    """Rows of a raw table, by month."""
    counted = ((month, count_rows(raw.connection, raw.child(month), marking)) for month in months_of(raw))
    return [Found("warm", month, rows) for month, rows in counted if rows]


def count_rows(connection: Connection, relation: sql.Identifier, marking: Marking) -> int:
    """Such rows of a relation."""
    condition = marking.condition(column_types(connection, relation))
    row = connection.execute(sql.SQL("SELECT count(*) FROM {} WHERE {}").format(relation, condition)).fetchone()
    assert row is not None
    return row[0]


def erase_warm(passing: Passing) -> None:
    """Take every such row out of a raw table, or the persons out of the row."""
    for month in months_of(passing.raw):
        _erase_month(passing, month)
    begun = read_erased(passing.warehouse, passing.run.system, passing.run.table)
    begun = [each for each in begun if each.tier == "warm" and not each.done]
    if begun:
        restate(passing.warehouse, sql.Identifier(passing.table.system.raw_schema, passing.table.name))
    for each in begun:
        _end(passing, each.id, each.month)


def _erase_month(passing: Passing, month: dt.date | None) -> None:
    connection, child = passing.warehouse, passing.raw.child(month)
    types = column_types(connection, child)
    condition = passing.marking.condition(types)
    with translated(passing.table.where), unquoted(passing.table.where), connection.transaction():
        if not is_filled(connection, child, condition):
            return
        passing.permitted()
        made = passing.marking.select(child, types) if passing.marking.replacement is not None else None
        passing.tell(child, condition, made, WHOLE_CHUNK if month is None else f"{month:%Y-%m}")
        gone, became = take_rows(connection, child, passing.table.columns, passing.marking)
        begin_erased(connection, passing.run, month, "warm", gone, became)


def _end(passing: Passing, erased: int, month: dt.date | None) -> None:
    """What went leaves the pages and the statistics too; what is left is counted."""
    child = passing.raw.child(month)
    left = 0
    if is_there(passing.warehouse, child):
        with translated(passing.table.where):
            swept(passing.warehouse, child)
            left = count_rows(passing.warehouse, child, passing.marking)
    with passing.warehouse.transaction():
        end_erased(passing.warehouse, erased, {"looked_for": "rows in the warehouse", "left": left})


def take_rows(
    connection: Connection, relation: sql.Identifier, columns: Sequence[LakeColumn], marking: Marking
) -> tuple[Content, Content]:
    """Delete or change the rows, in the caller's transaction.

    Returns:
        What they amounted to, and what became of those that stay.
    """
    types = column_types(connection, relation)
    condition = marking.condition(types)
    gone = content_on_server(connection, relation, columns, condition)
    if marking.replacement is None:
        connection.execute(sql.SQL("DELETE FROM {} WHERE {}").format(relation, condition))
        return gone, NOTHING
    became = content_on_server(connection, marking.select(relation, types), columns, _TRUE)
    assignments = [
        sql.SQL("{} = {}").format(sql.Identifier(name), value) for name, value in marking.assignments(types).items()
    ]
    if assignments:
        connection.execute(
            sql.SQL("UPDATE {} SET {} WHERE {}").format(relation, sql.SQL(", ").join(assignments), condition)
        )
    return gone, became
