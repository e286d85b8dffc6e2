"""Read the facts about tables and their partitions from ``pg_catalog``: a handful of queries, however many tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, cast

from psycopg import sql

from warehouse.catalog.periods import Period
from warehouse.partitions import sql as queries
from warehouse.partitions.facts import (
    Bound,
    Extent,
    ForeignKey,
    Index,
    Lack,
    Part,
    PartitionedTable,
    Policy,
    Strategy,
    Surroundings,
)
from warehouse.postgres.bounds import ends, slot
from warehouse.postgres.relations import is_filled
from warehouse.postgres.sessions import Connection

_STRATEGIES: dict[str, Strategy] = {"": "", "r": "range", "h": "hash", "l": "list"}
_COMMANDS = {"*": "ALL", "r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE"}
#: Types of a partition key, as ``format_type`` spells them.
DATED = "date"
ZONED = "timestamp with time zone"
TIMES = (DATED, ZONED, "timestamp without time zone")
_CONSTRAINTS: dict[str, Literal["", "PRIMARY KEY", "UNIQUE", "other"]] = {
    "": "", "p": "PRIMARY KEY", "u": "UNIQUE", "x": "other",
}  # fmt: skip


def read_partitioned(
    connection: Connection, tables: Sequence[tuple[str, str]], *, sizes: bool = False
) -> dict[tuple[str, str], PartitionedTable]:
    """Facts about tables, by schema and name; what does not exist, or is neither table nor partitioned, is left out.

    Args:
        connection: a canonical session that may read the tables; rows hidden by row-level security must be an error
            (``sessions.connect(see_all_rows=True)``), or a default partition could look empty.
        tables: schema and name of each.
        sizes: read bytes too, which asks the file system about every partition.
    """
    heads = connection.execute(
        queries.TABLES, {"schemas": [schema for schema, _ in tables], "names": [name for _, name in tables]}
    ).fetchall()
    parents = {"tables": [head[0] for head in heads]}
    children = connection.execute(queries.PARTS, parents).fetchall()
    everything = {"tables": [head[0] for head in heads] + [child[1] for child in children]}
    surroundings: dict[int, Surroundings] = {}
    for oids, *row in connection.execute(queries.SURROUNDINGS, everything):
        surroundings.update(dict.fromkeys(oids, _surroundings(row)))
    bytes_of = dict(connection.execute(queries.SIZES, everything).fetchall()) if sizes else {}
    indexes = _indexes(connection, [head[0] for head in heads])
    lacks, attached = _index_parts(connection, indexes)
    referenced: dict[int, list[ForeignKey]] = {}
    for table, *key in connection.execute(queries.REFERENCES, parents):
        referenced.setdefault(table, []).append(ForeignKey(*key))
    elsewhere = _maintained_elsewhere(connection)
    schemas = {"schemas": sorted({head[1] for head in heads})}
    namesakes = {row[0]: frozenset(row[1]) for row in connection.execute(queries.NAMESAKES, schemas)}
    below = [(schema, name) for _, _, schema, name, _, leaf, *_ in children if not leaf]
    subs = read_partitioned(connection, below) if below else {}
    parts: dict[int, list[Part]] = {}
    for parent, oid, schema, name, bound, leaf, detaching, foreign, rows in children:
        reached = ends(bound)
        part = Part(
            oid=oid,
            schema=schema,
            name=name,
            bound_text=bound,
            surroundings=surroundings[oid],
            bound=Bound(*reached) if reached else None,
            slot=slot(bound),
            leaf=leaf,
            detaching=detaching,
            foreign=foreign,
            estimated_rows=rows,
            filled=is_filled(connection, sql.Identifier(schema, name))
            if bound == "DEFAULT" or None in (reached or ())
            else None,
            bytes=bytes_of.get(oid) or 0,
            indexes=tuple(attached.get(oid, ())),
        )
        parts.setdefault(parent, []).append(part)
    return {
        (schema, name): PartitionedTable(
            oid=oid,
            schema=schema,
            name=name,
            surroundings=surroundings[oid],
            strategy=_STRATEGIES[strategy],
            columns=tuple(columns or ()),
            zoned=kind == ZONED,
            dated=kind == DATED,
            parts=tuple(parts.get(oid, ())),
            subs=tuple(subs[part.schema, part.name] for part in parts.get(oid, ()) if not part.leaf),
            indexes=tuple(indexes.get(oid, ())),
            lacks=tuple(lacks.get(oid, ())),
            referenced_by=tuple(referenced.get(oid, ())),
            references=references,
            maintained_by=elsewhere.get((schema, name), ""),
            analysed_at=analysed_at,
            estimated_rows=rows,
            bytes=bytes_of.get(oid) or 0,
            namesakes=namesakes[schema],
            server_version=connection.info.server_version,
            role=connection.info.user,
        )
        for oid, schema, name, strategy, columns, kind, rows, analysed_at, references in heads
    }


def _indexes(connection: Connection, tables: Sequence[int]) -> dict[int, list[Index]]:
    """Indexes by the table that they are of."""
    found: dict[int, list[Index]] = {}
    for (table, name, unique, valid, attached, shape, predicate, tablespace, identity, constraint, definition,
         exclusion, timing) in connection.execute(queries.INDEXES, {"tables": tables}):  # fmt: skip
        found.setdefault(table, []).append(
            Index(
                name=name,
                unique=unique,
                shape=shape,
                predicate=predicate,
                tablespace=tablespace,
                identity=identity,
                constraint="other" if exclusion else _CONSTRAINTS[constraint],
                definition=definition,
                timing=timing,
                valid=valid,
                attached=attached,
            )
        )
    return found


def _index_parts(
    connection: Connection, indexes: Mapping[int, Sequence[Index]]
) -> tuple[dict[int, list[Lack]], dict[int, list[tuple[str, str]]]]:
    """What partitions lack, by the table at the top; and what they have (``Part.indexes``), by the partition."""
    rows = connection.execute(queries.INDEX_PARTS, {"tables": list(indexes)}).fetchall()
    lacking = {oid for _, _, oid, _, _, leaf, own, valid, *_ in rows if own is None or (leaf and not valid)}
    beside = _indexes(connection, sorted(lacking)) if lacking else {}
    lacks: dict[int, list[Lack]] = {}
    attached: dict[int, list[tuple[str, str]]] = {}
    for root, of_root, oid, schema, name, leaf, own, valid, parent_schema, parent, above, depth in rows:
        if own is None or (leaf and not valid):
            lack = Lack(
                index=next(index for index in indexes[root] if index.name == of_root),
                schema=schema,
                partition=name,
                leaf=leaf,
                parent=(parent_schema, parent),
                above=above or "",
                broken=own or "",
                beside=tuple(index for index in beside.get(oid, ()) if not index.attached),
            )
            lacks.setdefault(root, []).append(lack)
        elif depth == 1 and valid:
            attached.setdefault(oid, []).append((of_root, own))
    return lacks, attached


def _maintained_elsewhere(connection: Connection) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for (schema,) in connection.execute(queries.PARTMAN).fetchall():
        for (table,) in connection.execute(
            sql.SQL("SELECT parent_table FROM {}").format(sql.Identifier(schema, "part_config"))
        ):
            holder, _, name = str(table).partition(".")
            found[holder, name] = "pg_partman"
    return found


def _surroundings(row: Sequence[Any]) -> Surroundings:
    (owner, grants, column_grants, row_security, policies, identity, storage, comment, column_comments, statistics,
     publications, tablespace) = row  # fmt: skip
    return Surroundings(
        owner=owner,
        grants=frozenset(_tuples(grants)),
        column_grants=frozenset(_tuples(column_grants)),
        row_security=cast(Literal["off", "on", "forced"], row_security),
        policies=tuple(
            Policy(name, permissive, _COMMANDS[command], tuple(roles), using, check)
            for name, permissive, command, roles, using, check in policies or ()
        ),
        replica_identity=identity,
        storage=tuple(sorted(storage)),
        comment=comment,
        column_comments=frozenset(_tuples(column_comments)),
        statistics=frozenset(_tuples(statistics)),
        publications=frozenset(publications or ()),
        tablespace=tablespace,
    )


def _tuples(rows: Collection[Sequence[Any]] | None) -> list[Any]:
    return [tuple(row) for row in rows or ()]


def read_surroundings(connection: Connection, relation: str) -> Surroundings:
    """Those of one relation, by its quoted name."""
    row = connection.execute("SELECT %s::regclass::oid", (relation,)).fetchone()
    assert row is not None
    found = connection.execute(queries.SURROUNDINGS, {"tables": [row[0]]}).fetchone()
    assert found is not None
    return _surroundings(found[1:])


def read_extent(connection: Connection, schema: str, name: str, key_column: str, every: Period) -> Extent:
    """The times of a relation's rows, and the periods that they are in; one scan of it."""
    row = connection.execute(
        sql.SQL(
            "SELECT min(first), max(last), coalesce(array_agg(period) FILTER (WHERE usual), '{{}}'),"
            " coalesce(sum(rows) FILTER (WHERE NOT usual), 0)::bigint"
            " FROM (SELECT usual, CASE WHEN usual THEN date_trunc({every}, c)::date END AS period, count(*) AS rows,"
            " min(c) FILTER (WHERE usual) AS first, max(c) FILTER (WHERE usual) AS last"
            " FROM (SELECT {c} AS c, ({c} >= '0002-01-01' AND {c} < '9990-01-01') IS TRUE AS usual FROM {t}) AS times"
            " GROUP BY 1, 2) AS periods"
        ).format(c=sql.Identifier(key_column), t=sql.Identifier(schema, name), every=sql.Literal(every))
    ).fetchone()
    assert row is not None
    first, last, periods, odd = row
    return Extent(_utc(first), _utc(last), frozenset(periods), odd)


def _utc(value: dt.date | dt.datetime | None) -> dt.datetime | None:
    if value is None:
        return None
    if not isinstance(value, dt.datetime):
        return dt.datetime.combine(value, dt.time(), dt.UTC)
    return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
