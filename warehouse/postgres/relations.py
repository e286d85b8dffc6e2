"""Facts about one relation: whether it is there, whether it has rows, who references it, how large its parts are."""

from __future__ import annotations

from typing import NamedTuple

from psycopg import sql

from warehouse.postgres.sessions import Connection

_TRUE = sql.SQL("true")
_REFERENCED_BY = """
SELECT f.conname::text, n.nspname::text, c.relname::text
  FROM pg_constraint AS f JOIN pg_class AS c ON c.oid = f.conrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE f.contype = 'f' AND f.conparentid = 0 AND f.confrelid = %s::regclass ORDER BY 1
"""
_CHANGED_BY_DELETING = """
SELECT f.conname::text, n.nspname::text, c.relname::text
  FROM pg_constraint AS f JOIN pg_class AS c ON c.oid = f.conrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE f.contype = 'f' AND f.conparentid = 0 AND f.confrelid = %s::regclass AND f.confdeltype IN ('c', 'n', 'd')
 ORDER BY 1
"""
_SIZES = """
SELECT n.nspname::text, c.relname::text, greatest(c.reltuples, 0)::bigint, pg_total_relation_size(c.oid),
       c.relkind <> 'r' OR pg_relation_size(c.oid) > 0
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


def changed_by_deleting(connection: Connection, relation: sql.Identifier) -> list[str]:
    """Foreign keys by which deleting rows of a table deletes or changes those of another, each as ``referenced_by``."""
    rows = connection.execute(_CHANGED_BY_DELETING, (relation.as_string(connection),))
    return [f"{name} of {schema}.{other}" for name, schema, other in rows]


def referenced_by(connection: Connection, relation: sql.Identifier) -> list[str]:
    """Foreign keys onto a table, each as ``name of schema.table``: while it has any, no partition leaves it."""
    rows = connection.execute(_REFERENCED_BY, (relation.as_string(connection),))
    return [f"{name} of {schema}.{other}" for name, schema, other in rows]


class PartitionSize(NamedTuple):
    """Rows of a partition (as the server estimates), bytes (with indexes and TOAST), and whether it may have rows: one
    that never had any has no page, and nobody need look into it.
    """

    rows: int
    bytes: int
    paged: bool


#: Of one that came meanwhile.
UNKNOWN_SIZE = PartitionSize(0, 0, True)


def partition_sizes(connection: Connection, parent: sql.Identifier) -> dict[tuple[str, str], PartitionSize]:
    """How large each partition of a table is, by schema and name."""
    rows = connection.execute(_SIZES, (parent.as_string(connection),))
    return {(schema, name): PartitionSize(*size) for schema, name, *size in rows}
