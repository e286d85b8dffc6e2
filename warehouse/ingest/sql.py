"""The SQL by which ingestion reads a source."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql


def select_rows(table: sql.Composable, columns: Sequence[str], where: sql.Composable) -> sql.Composed:
    """All declared columns of the rows that ``where`` names."""
    return sql.SQL("SELECT {} FROM {} WHERE {}").format(sql.SQL(", ").join(map(sql.Identifier, columns)), table, where)


def within_month(column: str, type_name: str) -> sql.Composed:
    """Rows of one month: parameters ``lower`` and ``upper``, dates read as UTC midnights; uses an index on the column."""
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


def highest(table: sql.Composable, column: str) -> sql.Composed:
    """The highest cursor value as text; NULL in an empty table."""
    return sql.SQL("SELECT max({})::text FROM {}").format(sql.Identifier(column), table)


def _midnight(parameter: str, type_name: str) -> sql.Composed:
    placeholder = sql.Placeholder(parameter)
    if type_name.endswith("with time zone"):
        return sql.SQL("({}::date::timestamp AT TIME ZONE 'UTC')").format(placeholder)
    return sql.SQL("{}::date").format(placeholder)
