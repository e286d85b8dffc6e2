"""What the proof asks the warehouse's ledger and tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence, Set

from psycopg import sql

#: Types that are hashed as they are; every other one as its text. What the lake keeps of a value hashes the same.
_PLAIN = {
    "smallint", "integer", "bigint", "real", "double precision", "boolean", "date", "timestamp with time zone",
    "timestamp without time zone", "bytea",
}  # fmt: skip

MOVES = """
SELECT id, month, from_tier, part, state, relation, rows, hash, columns, kept_rows, kept_hash, kept_columns, export
  FROM platform.tier_move WHERE system = %s AND table_name = %s ORDER BY month, id
"""

FILES = """
SELECT f.move, f.path, f.rows, f.bytes, f.sha256
  FROM platform.lake_file AS f JOIN platform.tier_move AS m ON m.id = f.move
 WHERE m.system = %s AND m.table_name = %s ORDER BY f.path
"""

EXPIRED = """
SELECT month, CASE WHEN counts THEN rows ELSE 0 END, CASE WHEN counts THEN hash ELSE 0 END, columns,
       state = 'begun' AND tier = 'cold'
  FROM platform.expiry
 WHERE system = %s AND table_name = %s AND month IS NOT NULL AND tier <> 'hot'
"""

#: By how much less there is of what had left the source; and whether any row went at all, or a file is being removed.
ERASED = """
SELECT month, CASE WHEN counts THEN rows ELSE 0 END, CASE WHEN counts THEN gone_hash - made_hash ELSE 0 END, columns,
       state = 'begun' AND tier = 'cold', rows + changed > 0 AND tier IN ('warm', 'cold')
  FROM platform.erased
 WHERE system = %s AND table_name = %s AND month IS NOT NULL
"""

#: Of what moves keep on one side: rows that went.
ERASED_KEPT = """
SELECT move, sum(rows)::bigint FROM platform.erased
 WHERE system = %s AND table_name = %s AND move IS NOT NULL GROUP BY move HAVING sum(rows) > 0
"""

CHUNKS = """
SELECT to_date(chunk, 'YYYY-MM'), rows, agrees, tier FROM platform.raw_content
 WHERE system = %s AND table_name = %s AND chunk ~ '^[0-9]{4}-[0-9]{2}$'
"""

#: Tables that keep what moved, by schema and pattern.
KEPT = """
SELECT c.relname::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE n.nspname = %s AND c.relname ~ %s AND c.relkind IN ('r', 'p')
"""

COLUMNS = """
SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute
 WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""


def by_month(relation: sql.Identifier, time: str, hashed: sql.Composable, months: Sequence[dt.date]) -> sql.Composed:
    """Rows of each month of a table, in one pass; of some months the sum of their hashes modulo 2^64, too."""
    month = sql.SQL("date_trunc('month', {}::timestamp)::date").format(sql.Identifier(time))
    among = sql.SQL("FILTER (WHERE {} = ANY({}::date[]))").format(month, sql.Literal(list(months)))
    return sql.SQL("SELECT {}, count(*), {} FROM {} GROUP BY 1").format(month, _sum(hashed, among), relation)


def row_hash(columns: Sequence[tuple[str, str]], there: Set[str] | None, *, cast: bool) -> sql.Composed:
    """The hash of a row: of a table's own columns, or of text and numbers that are cast to its types first.

    Args:
        columns: names and types.
        there: those of them that the relation has; NULL stands for the others. None: all.
        cast: whether the relation has other types.
    """
    parts: list[sql.Composable] = []
    for name, kind in columns:
        part = sql.SQL("{}").format(sql.Identifier(name) if there is None or name in there else sql.NULL)
        if cast:
            part += sql.SQL("::{}").format(sql.SQL(kind))  # type: ignore[arg-type]  # format_type() output
        parts.append(part if kind in _PLAIN else part + sql.SQL("::text"))
    return sql.SQL("hash_record_extended(ROW({}), 0)").format(sql.SQL(", ").join(parts))


def amount(relation: sql.Composable, hashed: sql.Composable) -> sql.Composed:
    """Rows of a relation and the sum of their hashes modulo 2^64."""
    return sql.SQL("SELECT count(*), {} FROM {}").format(_sum(hashed), relation)


def _sum(hashed: sql.Composable, among: sql.Composable = sql.SQL("")) -> sql.Composed:
    return sql.SQL(
        "mod(mod(coalesce(sum({}) {}, 0), 18446744073709551616) + 18446744073709551616, 18446744073709551616)"
    ).format(hashed, among)
