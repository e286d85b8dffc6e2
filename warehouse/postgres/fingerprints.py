"""Count and content fingerprint of a set of rows, computed where the rows are.

The fingerprint of a set is the exact sum of a 64-bit hash of each row's text, so it does not depend on order and sees a
doubled row. The row's text is ``ROW(columns)::text`` under the session settings of ``sessions.CANONICAL``; the hash is
PostgreSQL's ``hashtextextended``, which hash partitioning keeps stable across versions. Two sets that differ agree by
accident with probability 2^-64 per comparison; it is no defence against somebody who builds a collision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from psycopg import sql

from warehouse.postgres.sessions import Connection


@dataclass(frozen=True)
class Fingerprint:
    """``rows`` counted and the sum of their hashes, as a decimal string."""

    rows: int
    digest: str

    def __add__(self, other: Fingerprint) -> Fingerprint:
        return Fingerprint(self.rows + other.rows, str(int(self.digest) + int(other.digest)))

    def __sub__(self, other: Fingerprint) -> Fingerprint:
        return Fingerprint(self.rows - other.rows, str(int(self.digest) - int(other.digest)))


EMPTY = Fingerprint(0, "0")

_GROUPED = sql.SQL(
    "SELECT {group}, count(*), coalesce(sum(hashtextextended(ROW({columns})::text, 0)), 0)::text"
    " FROM {table} WHERE {where} GROUP BY 1"
)

#: Buckets of the key's hash by which two large tables are compared piece by piece.
BUCKETS = 1024


def bucket_of(key: Sequence[str]) -> sql.Composed:
    """SQL expression: bucket number 0..BUCKETS-1 of a row, from its key."""
    return sql.SQL("(hashtextextended(ROW({})::text, 1) & {})::int").format(
        sql.SQL(", ").join(map(sql.Identifier, key)), sql.Literal(BUCKETS - 1)
    )


def month_of(column: str, type_name: str) -> sql.Composed:
    """SQL expression: first day of the row's UTC month as text, ``2024-01-01``; NULL or ``infinity`` where that is."""
    if type_name.endswith("with time zone"):
        return sql.SQL("date_trunc('month', {} AT TIME ZONE 'UTC')::date::text").format(sql.Identifier(column))
    return sql.SQL("date_trunc('month', {})::date::text").format(sql.Identifier(column))


#: One group for all rows.
WHOLE: Final = sql.SQL("0")


def fingerprints(
    connection: Connection,
    table: sql.Composable,
    columns: Sequence[str],
    *,
    group: sql.Composable = WHOLE,
    where: sql.Composable | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> dict[Any, Fingerprint]:
    """Fingerprints of a table's rows by group, in one scan.

    Args:
        connection: a canonical session (``sessions.connect``).
        table: qualified name.
        columns: which columns make up a row's content, in order.
        group: SQL expression that names a row's group.
        where: restricts the rows.
        parameters: of ``where``.
    """
    query = _GROUPED.format(
        group=group,
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
        table=table,
        where=where if where is not None else sql.SQL("true"),
    )
    rows = connection.execute(query, parameters)
    return {key: Fingerprint(count, digest) for key, count, digest in rows}


def total(groups: Mapping[Any, Fingerprint]) -> Fingerprint:
    """The fingerprint of the union of disjoint groups."""
    result = EMPTY
    for part in groups.values():
        result = result + part
    return result
