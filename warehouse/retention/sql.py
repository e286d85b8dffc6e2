"""SQL of rows that reached their retention."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Set

from psycopg import sql

from warehouse.catalog.periods import shifted

#: Rows that one statement deletes at a source: it is short, and others wait for none of its locks for long.
BATCH = 5_000


def earlier(column: str, type_name: str, before: dt.datetime, month: dt.date | None = None) -> sql.Composed:
    """Rows of a time before a moment; of one month, if it is given."""
    c = sql.Identifier(column)
    end = before
    parts = [sql.SQL("isfinite({})").format(c)]
    if month is not None:
        start, after = (dt.datetime.combine(day, dt.time(), dt.UTC) for day in (month, shifted("month", month, 1)))
        parts.append(sql.SQL("{} >= {}").format(c, _literal(start, type_name)))
        end = min(before, after)
    parts.append(sql.SQL("{} < {}").format(c, _literal(end, type_name)))
    return sql.SQL("({})").format(sql.SQL(" AND ").join(parts))


def _literal(moment: dt.datetime, type_name: str) -> sql.Composable:
    if type_name == "date":
        return sql.Literal(moment.date())
    return sql.Literal(moment if type_name.endswith("with time zone") else moment.replace(tzinfo=None))


def not_held(values: Mapping[str, Set[str]]) -> sql.Composed:
    """Rows that are about none of the persons who are held: ``values`` by column, as text."""
    parts = [
        sql.SQL("({c} IS NULL OR {c}::text <> ALL({v}::text[]))").format(
            c=sql.Identifier(column), v=sql.Literal(sorted(held))
        )
        for column, held in sorted(values.items())
        if held
    ]
    return sql.SQL("({})").format(sql.SQL(" AND ").join(parts)) if parts else sql.SQL("true").format()


def by_month(relation: sql.Identifier, column: str, condition: sql.Composable) -> sql.Composed:
    """Rows by month (UTC)."""
    return sql.SQL("SELECT platform_month.first, count(*) FROM {}, LATERAL (SELECT date_trunc('month',"
                   " {}::timestamptz AT TIME ZONE 'UTC')::date AS first) AS platform_month WHERE {} GROUP BY 1"
                   ).format(relation, sql.Identifier(column), condition)  # fmt: skip


def counted(relation: sql.Identifier, condition: sql.Composable) -> sql.Composed:
    """Rows that a condition names."""
    return sql.SQL("SELECT count(*) FROM {} WHERE {}").format(relation, condition)


def delete_some(relation: sql.Identifier, condition: sql.Composable) -> sql.Composed:
    """Delete a batch of the rows that a condition names, those that nobody has locked; of a partitioned table, too."""
    return sql.SQL(
        "DELETE FROM {r} AS gone USING (SELECT tableoid, ctid FROM {r} WHERE {c} LIMIT {n} FOR UPDATE SKIP LOCKED)"
        " AS old WHERE gone.tableoid = old.tableoid AND gone.ctid = old.ctid"
    ).format(r=relation, c=condition, n=sql.Literal(BATCH))
