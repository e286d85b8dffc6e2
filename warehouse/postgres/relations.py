"""Facts about one relation: whether it is there, whether it has rows, who references it, how large its parts are."""

from __future__ import annotations

from psycopg import sql

from warehouse.postgres.sessions import Connection

_TRUE = sql.SQL("true")
_REFERENCED_BY = """
SELECT f.conname::text, n.nspname::text, c.relname::text
  FROM pg_constraint AS f JOIN pg_class AS c ON c.oid = f.conrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE f.contype = 'f' AND f.conparentid = 0 AND f.confrelid = %s::regclass ORDER BY 1
"""
_SIZES = """
SELECT n.nspname::text, c.relname::text, greatest(c.reltuples, 0)::bigint, pg_total_relation_size(c.oid)
  FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE i.inhparent = %s::regclass
"""


def is_there(connection: Connection, relation: sql.Identifier) -> bool:
    """Whether there is a relation of the name."""
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (relation.as_string(connection),)).fetchone()
    return row is not None and bool(row[0])


def is_filled(connection: Connection, relation: sql.Identifier, condition: sql.Composable = _TRUE) -> bool:
    """Whether it has a row (that a condition names); looks for no more than one."""
    row = connection.execute(sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE {})").format(relation, condition)).fetchone()
    return row is not None and bool(row[0])


def referenced_by(connection: Connection, relation: sql.Identifier) -> list[str]:
    """Foreign keys onto a table, each as ``name of schema.table``: while it has any, no partition leaves it."""
    rows = connection.execute(_REFERENCED_BY, (relation.as_string(connection),))
    return [f"{name} of {schema}.{other}" for name, schema, other in rows]


def partition_sizes(connection: Connection, parent: sql.Identifier) -> dict[tuple[str, str], tuple[int, int]]:
    """Rows (as the server estimates) and bytes (with indexes and TOAST) of each partition, by schema and name."""
    rows = connection.execute(_SIZES, (parent.as_string(connection),))
    return {(schema, name): (count, size) for schema, name, count, size in rows}
