"""How a raw table is laid out: columns, enum types, key, what its parent is partitioned by, and what is attached.

What does not belong here: rows, and the locks that a change takes (``warehouse.state.raw_store``).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence

from psycopg import sql

from warehouse.errors import CatalogMismatch
from warehouse.postgres.carriage import Carriage
from warehouse.postgres.sessions import Connection

#: Constant for every row, so that one default child takes them all; an expression, because a type may have no ordering.
_WHOLE = sql.SQL("LIST (({column} IS NULL))")
_BY_MONTH = sql.SQL("RANGE ({column})")
_BOUND = re.compile(r"FOR VALUES FROM \('(\d{4}-\d{2}-\d{2})")


def strategy(column: str, month_column: str | None) -> sql.Composed:
    """What the parent is partitioned by: the months of a column, or nothing in truth, for which any ``column`` does."""
    if month_column is not None:
        return _BY_MONTH.format(column=sql.Identifier(month_column))
    return _WHOLE.format(column=sql.Identifier(column))


def column_list(carriage: Carriage) -> sql.Composed:
    """Names and types, as CREATE TABLE takes them."""
    return sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(column.name), column.type) for column in carriage.columns
    )


def key_of(connection: Connection, relation: sql.Identifier) -> set[str]:
    """Columns of its primary key."""
    row = connection.execute(
        "SELECT array(SELECT a.attname::text FROM pg_attribute AS a WHERE a.attrelid = i.indrelid"
        " AND a.attnum = ANY(i.indkey::int2[]))"
        " FROM pg_index AS i WHERE i.indisprimary AND i.indrelid = %s::regclass",
        (relation.as_string(connection),),
    ).fetchone()
    return set(row[0] if row else ())


def children(connection: Connection, relation: sql.Identifier) -> dict[str, str]:
    """What is attached to a parent, and its bounds, by name."""
    return dict(
        connection.execute(
            "SELECT c.relname::text, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits AS i"
            " JOIN pg_class AS c ON c.oid = i.inhrelid WHERE i.inhparent = %s::regclass",
            (relation.as_string(connection),),
        ).fetchall()
    )


def _left(connection: Connection, where: str) -> str | None:
    """How many months are no more at the source, or in the lake, if any: they would be lost with the raw table."""
    row = connection.execute(
        "SELECT count(DISTINCT month) FROM platform.tier_move"
        " WHERE 'raw_' || system || '.' || table_name = %s AND state NOT IN ('undone', 'expired')",
        (where,),
    ).fetchone()
    count = row[0] if row else 0
    return f"{count} month{' has' if count == 1 else 's have'} left its source" if count else None


def refused(connection: Connection, where: str, message: str, restore: str) -> CatalogMismatch:
    """A change under which old and new rows cannot share the raw table, with what can be done about it.

    Args:
        connection: of the warehouse.
        where: the raw table.
        message: what changed.
        restore: how to go back, where the rows cannot be had anew.
    """
    if (left := _left(connection, where)) is not None:
        return CatalogMismatch(f"{message}; {left}, and its rows are only here", hint=restore)
    return CatalogMismatch(message, hint=f"Drop {where} in the warehouse (and rebuild dbt), then ingest it again.")


def column_changes(
    connection: Connection, relation: sql.Identifier, where: str, carriage: Carriage
) -> list[sql.Composed]:
    """What ALTER TABLE has to do to the parent's columns to make them the policy's.

    Raises:
        CatalogMismatch: a column's type differs, or one left the policy of which months that left their source have
            values.
    """
    live: dict[str, str] = dict(
        connection.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            (relation.as_string(connection),),
        ).fetchall()
    )
    changes: list[sql.Composed] = []
    for column in carriage.columns:
        kind = live.get(column.name)
        if kind is None:
            changes.append(sql.SQL("ADD COLUMN {} {}").format(sql.Identifier(column.name), column.type))
        elif kind.replace('"', "") != column.type_name.replace('"', ""):
            raise refused(
                connection,
                where,
                f"{where}.{column.name}: is {kind} in the warehouse and {column.type_name} at the source",
                "Give it its type again at the source, or declare what is new there as a column of another name.",
            )
    gone = sorted(set(live) - set(carriage.names))
    if gone and (left := _left(connection, where)) is not None:
        raise CatalogMismatch(
            f"{where}.{gone[0]}: left the policy; {left} with values of it",
            hint="Declare it again. If the source has dropped it, add it there again; it may be empty.",
        )
    for name in gone:
        # A column that left the policy must not linger with old (perhaps personal) values; views that still
        # read it make this fail loudly.
        changes.append(sql.SQL("DROP COLUMN {}").format(sql.Identifier(name)))
    return changes


def check_layout(connection: Connection, relation: sql.Identifier, where: str, month_column: str | None) -> None:
    """The parent is kept whole or by month of the policy's time column, as the policy says.

    Raises:
        CatalogMismatch: it is not.
    """
    row = connection.execute(
        "SELECT p.partstrat = 'r', array(SELECT a.attname::text FROM pg_attribute AS a"
        " WHERE a.attrelid = p.partrelid AND a.attnum = ANY(p.partattrs::int2[]))"
        " FROM pg_partitioned_table AS p WHERE p.partrelid = %s::regclass",
        (relation.as_string(connection),),
    ).fetchone()
    if row is None:
        raise CatalogMismatch(
            f"{where}: the warehouse has something else of that name, which is no raw table",
            hint="Is it a part of another raw table? Declare the table under another name, with source.",
        )
    by_month, columns = row
    if by_month != (month_column is not None):
        raise refused(
            connection,
            where,
            f"{where}: the warehouse keeps this table {'by month' if by_month else 'whole'},"
            " its policy now says otherwise",
            "Restore the policy.",
        )
    if by_month and columns != [month_column]:
        raise refused(
            connection,
            where,
            f"{where}: the warehouse keeps this table by month of {columns[0]!r},"
            f" its policy now names {month_column!r}",
            "Restore the policy.",
        )


def ensure_enum(connection: Connection, schema: str, name: str, labels: Sequence[str]) -> None:
    """Create the enum, or add the labels that it lacks at their places; a label that went away stays."""
    run = connection.execute
    relation = sql.Identifier(schema, name)
    have = [
        str(row[0])
        for row in run(
            "SELECT e.enumlabel FROM pg_enum AS e JOIN pg_type AS t ON t.oid = e.enumtypid"
            " JOIN pg_namespace AS n ON n.oid = t.typnamespace WHERE n.nspname = %s AND t.typname = %s"
            " ORDER BY e.enumsortorder",
            (schema, name),
        )
    ]
    exists = run("SELECT to_regtype(%s) IS NOT NULL", (relation.as_string(connection),)).fetchone()
    if exists is None or not exists[0]:
        run(sql.SQL("CREATE TYPE {} AS ENUM ({})").format(relation, sql.SQL(", ").join(map(sql.Literal, labels))))
        return
    for place, label in enumerate(labels):
        if label in have:
            continue
        following = next((other for other in labels[place + 1 :] if other in have), None)
        position = sql.SQL("BEFORE {}").format(sql.Literal(following)) if following else sql.SQL("")
        run(sql.SQL("ALTER TYPE {} ADD VALUE {} {}").format(relation, sql.Literal(label), position))
        have.append(label)


def month_bounds(month: dt.date, carriage: Carriage, month_column: str | None) -> tuple[sql.Literal, sql.Literal]:
    """Where a month's child begins and ends."""
    upper = (month.replace(day=28) + dt.timedelta(days=4)).replace(day=1)
    zone = "+00" if any(c.name == month_column and "with time zone" in c.type_name for c in carriage.columns) else ""
    lower_text, upper_text = (day.isoformat() + (f" 00:00:00{zone}" if zone else "") for day in (month, upper))
    return sql.Literal(lower_text), sql.Literal(upper_text)


def month_of_bound(bound: str) -> dt.date | None:
    """First day of the month that a child is for, from its bound as the server prints it."""
    found = _BOUND.match(bound)
    return dt.date.fromisoformat(found[1]) if found else None
