"""The SQL by which ingestion reads a source."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from psycopg import sql

from warehouse.postgres.bounds import Span


def select_rows(table: sql.Composable, columns: Sequence[str], where: sql.Composable) -> sql.Composed:
    """All declared columns of the rows that ``where`` names."""
    return sql.SQL("SELECT {} FROM {} WHERE {}").format(sql.SQL(", ").join(map(sql.Identifier, columns)), table, where)


def within_month(column: str, type_name: str) -> sql.Composed:
    """Rows of one month, by an index on the column: parameters ``lower`` and ``upper``, dates read as UTC midnights."""
    return sql.SQL("{c} >= {lower} AND {c} < {upper}").format(
        c=sql.Identifier(column), lower=_midnight("lower", type_name), upper=_midnight("upper", type_name)
    )


def since_month(column: str, type_name: str) -> sql.Composed:
    """Rows not before ``lower``."""
    return sql.SQL("{} >= {}").format(sql.Identifier(column), _midnight("lower", type_name))


def before_month(column: str, type_name: str) -> sql.Composed:
    """Rows before ``upper``."""
    return sql.SQL("{} < {}").format(sql.Identifier(column), _midnight("upper", type_name))


def since_cursor(column: str, type_name: str) -> sql.Composed:
    """Rows whose cursor is at or past ``since``, less ``lookback`` where the cursor is a time."""
    since = sql.SQL("%(since)s::{}").format(sql.SQL(type_name))  # type: ignore[arg-type]  # format_type() output
    if type_name.startswith(("timestamp", "date")):
        since = sql.SQL("({} - %(lookback)s::interval)").format(since)
    return sql.SQL("{} >= {}").format(sql.Identifier(column), since)


def within_spans(column: str, type_name: str, spans: Sequence[Span]) -> sql.Composed:
    """Rows whose time is in one of the spans."""
    zone = dt.UTC if type_name.endswith("with time zone") else None
    c = sql.Identifier(column)
    parts = [
        sql.SQL("({c} >= {start} AND {c} < {end})").format(
            c=c, start=sql.Literal(span.start.replace(tzinfo=zone)), end=sql.Literal(span.end.replace(tzinfo=zone))
        )
        for span in spans
    ]
    return sql.SQL("({})").format(sql.SQL(" OR ").join(parts))


def hold_still(table: sql.Composable) -> sql.Composed:
    """Lock a table and its partitions against everything but rows, until the transaction ends.

    A query rather than LOCK TABLE, which a role that may read only some columns is refused.
    """
    return sql.SQL("SELECT FROM {} LIMIT 0").format(table)


#: Which of a table and its partitions were truncated, rewritten or put in place after the transaction's snapshot: to it
#: they are empty. The catalog tells what was then, the functions what is now. Parameter ``name``.
REMADE = """
WITH now AS (
    SELECT %(name)s::regclass::oid AS oid UNION SELECT relid::oid FROM pg_partition_tree(%(name)s::regclass)
)
SELECT now.oid::regclass::text
  FROM now LEFT JOIN pg_class AS c ON c.oid = now.oid
 WHERE c.oid IS NULL OR (c.relkind = 'r' AND c.relfilenode IS DISTINCT FROM pg_relation_filenode(now.oid))
 ORDER BY 1
"""


def highest(table: sql.Composable, column: str) -> sql.Composed:
    """The highest cursor value as text; NULL in an empty table."""
    return sql.SQL("SELECT max({})::text FROM {}").format(sql.Identifier(column), table)


def _midnight(parameter: str, type_name: str) -> sql.Composed:
    placeholder = sql.Placeholder(parameter)
    if type_name.endswith("with time zone"):
        return sql.SQL("({}::date::timestamp AT TIME ZONE 'UTC')").format(placeholder)
    return sql.SQL("{}::date").format(placeholder)
