"""What a live database has: tables, columns, types, keys and partitions, read from ``pg_catalog``.

One query per kind of fact for all tables at once, never one per table. Facts only: what they mean for a policy
is decided by whoever asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from warehouse.postgres.sessions import Connection

Family = Literal["base", "enum", "domain", "composite", "range", "multirange", "pseudo"]
_FAMILIES: dict[str, Family] = {
    "b": "base", "e": "enum", "d": "domain", "c": "composite", "r": "range", "m": "multirange", "p": "pseudo",
}  # fmt: skip


@dataclass(frozen=True)
class LiveType:
    """A column's type, looked through domains and arrays.

    Attributes:
        name: as ``format_type()`` spells it in the source, e.g. ``order_status`` or ``numeric(12,2)[]``.
        carrier: the same with every domain replaced by what it rests on.
        element: name of the innermost type: array element, domain base; ``carrier`` without its brackets.
        family: of the innermost type.
        builtin: the innermost type is PostgreSQL's own (schema ``pg_catalog``).
        array: the type, or the domain's base, is an array.
        nested: an array whose elements are themselves arrays, through a domain.
        type_schema, type_name: of the innermost type, unquoted; ``name`` shows them quoted, and the schema only
            where the session's search_path does not have it.
        labels: of an enum, in its sort order.
    """

    name: str
    carrier: str
    element: str
    family: Family
    builtin: bool
    array: bool
    through_domain: bool
    labels: tuple[str, ...] = ()
    nested: bool = False
    type_schema: str = "pg_catalog"
    type_name: str = ""


@dataclass(frozen=True)
class LiveColumn:
    """One column of a live table."""

    name: str
    type: LiveType
    not_null: bool
    generated: bool
    comment: str | None


@dataclass(frozen=True)
class LivePartition:
    """One partition: its name and its bound as ``pg_get_expr`` writes it (``DEFAULT`` for a default partition).

    ``level`` is 1 for a partition of the table itself, more for a partition of a partition.
    """

    schema: str
    name: str
    bound: str
    leaf: bool
    level: int = 1


@dataclass(frozen=True)
class LiveForeignKey:
    """A foreign key of a table."""

    name: str
    columns: tuple[str, ...]
    schema: str
    table: str
    referenced: tuple[str, ...]


@dataclass(frozen=True)
class LiveTable:
    """One table as the database has it.

    ``strategy`` and ``partition_columns`` are empty for a plain table; in the latter, ``""`` is an expression.
    """

    schema: str
    name: str
    columns: tuple[LiveColumn, ...]
    primary_key: tuple[str, ...] = ()
    unique_keys: tuple[tuple[str, ...], ...] = ()
    foreign_keys: tuple[LiveForeignKey, ...] = ()
    strategy: Literal["", "range", "list", "hash"] = ""
    partition_columns: tuple[str, ...] = ()
    partitions: tuple[LivePartition, ...] = field(default=(), repr=False)
    row_security: bool = False
    unlogged: bool = False
    estimated_rows: int = 0
    comment: str | None = None

    def column(self, name: str) -> LiveColumn | None:
        """The column of that name, if there is one."""
        return next((column for column in self.columns if column.name == name), None)


_TABLES = """
SELECT c.oid, n.nspname, c.relname, c.relkind, c.relrowsecurity, c.relpersistence,
       greatest(c.reltuples, 0)::bigint, obj_description(c.oid, 'pg_class'),
       coalesce(p.partstrat::text, ''),
       (SELECT array_agg(coalesce(a.attname::text, '') ORDER BY k.place)
          FROM unnest(p.partattrs::int2[]) WITH ORDINALITY AS k (attnum, place)
          LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.attnum)
  FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN pg_partitioned_table AS p ON p.partrelid = c.oid
 WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname = ANY(%(schemas)s)
   AND (%(name)s::text IS NULL OR c.relname = %(name)s::text)
 ORDER BY n.nspname, c.relname
"""

# Walks domain -> base -> element until neither applies; the last row of each walk is the innermost type. A domain's
# own type modifier holds where it declares one.
_COLUMNS = """
WITH RECURSIVE walk AS (
    SELECT a.attrelid, a.attnum, t.oid AS type, a.atttypmod AS typmod, t.typtype, t.typelem, t.typlen, t.typcategory,
           t.typbasetype, t.typtypmod, t.typnamespace, t.typname, false AS through_domain, 0 AS brackets, 0 AS depth
      FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
     WHERE a.attrelid = ANY(%(tables)s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT w.attrelid, w.attnum, t.oid, CASE WHEN w.typtype = 'd' THEN w.typtypmod ELSE w.typmod END,
           t.typtype, t.typelem, t.typlen, t.typcategory, t.typbasetype, t.typtypmod, t.typnamespace, t.typname,
           w.through_domain OR w.typtype = 'd',
           w.brackets + CASE WHEN w.typtype = 'd' THEN 0 ELSE 1 END, w.depth + 1
      FROM walk AS w
      JOIN pg_type AS t ON t.oid = CASE WHEN w.typtype = 'd' THEN w.typbasetype ELSE w.typelem END
     WHERE w.typtype = 'd' OR w.typcategory = 'A'
)
SELECT a.attrelid, a.attname, format_type(a.atttypid, a.atttypmod),
       format_type(i.type, i.typmod), i.typtype::text, i.typnamespace = 'pg_catalog'::regnamespace,
       i.brackets, i.through_domain OR i.typtype = 'd', a.attnotnull, a.attgenerated <> '',
       col_description(a.attrelid, a.attnum),
       (SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_enum AS e WHERE e.enumtypid = i.type),
       (SELECT s.nspname::text FROM pg_namespace AS s WHERE s.oid = i.typnamespace), i.typname::text
  FROM pg_attribute AS a
  JOIN LATERAL (
      SELECT * FROM walk AS w WHERE w.attrelid = a.attrelid AND w.attnum = a.attnum ORDER BY w.depth DESC LIMIT 1
  ) AS i ON true
 WHERE a.attrelid = ANY(%(tables)s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attrelid, a.attnum
"""

# Partial and expression indexes identify no row; an invalid one promises nothing.
_KEYS = """
SELECT i.indrelid, i.indisprimary,
       (SELECT array_agg(a.attname::text ORDER BY k.place)
          FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
          JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
         WHERE k.place <= i.indnkeyatts)
  FROM pg_index AS i
 WHERE i.indrelid = ANY(%(tables)s::oid[]) AND i.indisunique AND i.indisvalid AND i.indimmediate
   AND i.indpred IS NULL AND i.indexprs IS NULL
 ORDER BY i.indrelid, i.indisprimary DESC, i.indexrelid
"""

_FOREIGN_KEYS = """
SELECT f.conrelid, f.conname, n.nspname, c.relname,
       (SELECT array_agg(a.attname::text ORDER BY k.place) FROM unnest(f.conkey) WITH ORDINALITY AS k (attnum, place)
          JOIN pg_attribute AS a ON a.attrelid = f.conrelid AND a.attnum = k.attnum),
       (SELECT array_agg(a.attname::text ORDER BY k.place) FROM unnest(f.confkey) WITH ORDINALITY AS k (attnum, place)
          JOIN pg_attribute AS a ON a.attrelid = f.confrelid AND a.attnum = k.attnum)
  FROM pg_constraint AS f
  JOIN pg_class AS c ON c.oid = f.confrelid
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE f.contype = 'f' AND f.conrelid = ANY(%(tables)s::oid[]) AND f.conparentid = 0
 ORDER BY f.conrelid, f.conname
"""

_PARTITIONS = """
SELECT root.oid, n.nspname, c.relname, coalesce(pg_get_expr(c.relpartbound, c.oid), ''), t.isleaf, t.level
  FROM unnest(%(tables)s::oid[]) AS root (oid)
  CROSS JOIN LATERAL pg_partition_tree(root.oid::regclass) AS t
  JOIN pg_class AS c ON c.oid = t.relid
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE t.level > 0
 ORDER BY root.oid, c.relname
"""

_STRATEGIES: dict[str, Literal["", "range", "list", "hash"]] = {"": "", "r": "range", "l": "list", "h": "hash"}


def read_schemas(connection: Connection) -> list[str]:
    """Names of the schemas that hold a user's tables (no system schemas)."""
    rows = connection.execute(
        "SELECT DISTINCT n.nspname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%%' AND n.nspname <> 'information_schema'"
        " ORDER BY 1"
    )
    return [str(row[0]) for row in rows]


def read_tables(
    connection: Connection, schemas: Sequence[str], *, only: str | None = None
) -> dict[tuple[str, str], LiveTable]:
    """Every table of the schemas (partitioned parents, not their partitions; no views), by (schema, name).

    Args:
        connection: a canonical session.
        schemas: where to look.
        only: tables of this name and no others.
    """
    heads = connection.execute(_TABLES, {"schemas": list(schemas), "name": only}).fetchall()
    oids = {"tables": [row[0] for row in heads]}
    columns: dict[int, list[LiveColumn]] = {}
    for row in connection.execute(_COLUMNS, oids):
        columns.setdefault(row[0], []).append(_column(row))
    primary: dict[int, tuple[str, ...]] = {}
    unique: dict[int, list[tuple[str, ...]]] = {}
    for table, is_primary, names in connection.execute(_KEYS, oids):
        if is_primary:
            primary[table] = tuple(names)
        unique.setdefault(table, []).append(tuple(names))
    foreign: dict[int, list[LiveForeignKey]] = {}
    for table, name, schema, other, names, referenced in connection.execute(_FOREIGN_KEYS, oids):
        foreign.setdefault(table, []).append(LiveForeignKey(name, tuple(names), schema, other, tuple(referenced)))
    partitions: dict[int, list[LivePartition]] = {}
    parents = {"tables": [row[0] for row in heads if row[3] == "p"]}
    for table, *partition in connection.execute(_PARTITIONS, parents):
        partitions.setdefault(table, []).append(LivePartition(*partition))
    return {
        (schema, name): LiveTable(
            schema=schema,
            name=name,
            columns=tuple(columns.get(oid, ())),
            primary_key=primary.get(oid, ()),
            unique_keys=tuple(unique.get(oid, ())),
            foreign_keys=tuple(foreign.get(oid, ())),
            strategy=_STRATEGIES[strategy],
            partition_columns=tuple(keys or ()),
            partitions=tuple(partitions.get(oid, ())),
            row_security=row_security,
            unlogged=persistence == "u",
            estimated_rows=rows,
            comment=comment,
        )
        for oid, schema, name, _, row_security, persistence, rows, comment, strategy, keys in heads
    }


def read_table(connection: Connection, schema: str, name: str) -> LiveTable | None:
    """One table, or None if the schema has no such table."""
    return read_tables(connection, [schema], only=name).get((schema, name))


def _column(row: tuple[Any, ...]) -> LiveColumn:
    _, name, spelled, element, typtype, builtin, brackets, through_domain, not_null, generated, comment = row[:11]
    labels, type_schema, type_name = row[11:]
    array = brackets > 0
    return LiveColumn(
        name=name,
        type=LiveType(
            name=spelled,
            carrier=f"{element}[]" if array else element,
            element=element,
            family=_FAMILIES[typtype],
            builtin=builtin,
            array=array,
            through_domain=through_domain,
            labels=tuple(labels or ()),
            nested=brackets > 1,
            type_schema=type_schema,
            type_name=type_name,
        ),
        not_null=not_null,
        generated=generated,
        comment=comment,
    )
