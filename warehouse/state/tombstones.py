"""Tombstones: whose rows no writer lets into the warehouse or the lake any more.

A tombstone is the keyed digest of a key: of the person, and of each row on the way to rows of theirs (a bike, whose
upkeep leads to its owner over it). It is there before the first row is deleted, and for good. The digest is computed by
the server, with a key that does not leave it: so any writer can ask, a trigger too.

What does not belong here: what a writer does with rows of erased persons (``gate``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from psycopg import sql

from warehouse.catalog.model import System
from warehouse.lake.store import Store
from warehouse.postgres.sessions import Connection

#: Copies outside of the cluster, beside the lake's tables: a warehouse that is restored has to know them.
COPIES = "_drivetrain/tombstones"

_DIGEST = sql.SQL("sha256(k.outer_pad || sha256(k.inner_pad || convert_to({domain} || ':' || {value}, 'UTF8')))")


@dataclass(frozen=True)
class Tombstone:
    """One; ``digest`` in hexadecimal."""

    system: str
    table: str
    column: str
    digest: str
    request: int


def _domain(system: str, table: str, column: str) -> sql.Literal:
    return sql.Literal(f"{system}.{table}.{column}")


def add_tombstones(connection: Connection, request: int, system: str, keys: Mapping[tuple[str, str], Set[str]]) -> int:
    """Note that nobody lets rows with these keys in any more; returns how many are new.

    Args:
        connection: of the warehouse.
        request: by which.
        system: whose.
        keys: values as text, by table and column that they are the key of.
    """
    added = 0
    for (table, column), values in sorted(keys.items()):
        added += connection.execute(
            sql.SQL(
                "INSERT INTO platform.tombstone (system, table_name, column_name, digest, request)"
                " SELECT {}, {}, {}, {}, {} FROM unnest({}::text[]) AS v (value), platform.tombstone_key AS k"
                " ON CONFLICT DO NOTHING"
            ).format(
                *map(sql.Literal, (system, table, column)),
                _DIGEST.format(domain=_domain(system, table, column), value=sql.SQL("v.value")),
                sql.Literal(request),
                sql.Placeholder(),
            ),
            (sorted(values),),
        ).rowcount
    return added


def read_tombstones(connection: Connection, request: int | None = None) -> list[Tombstone]:
    """All; of one request, if it is named."""
    rows = connection.execute(
        "SELECT system, table_name, column_name, encode(digest, 'hex'), request FROM platform.tombstone"
        " WHERE %(request)s::bigint IS NULL OR request = %(request)s ORDER BY 1, 2, 3, 4",
        {"request": request},
    )
    return [Tombstone(*row) for row in rows]


def put_tombstones(connection: Connection, root: Store, request: int) -> None:
    """Write a request's tombstones to the object store, with the key's own digest that they are to be read by.

    Raises:
        LakeUnavailable, AccessDenied: the store does not take them.
    """
    ((key,),) = connection.execute(
        "SELECT encode(sha256(inner_pad || outer_pad), 'hex') FROM platform.tombstone_key"
    ).fetchall()
    lines = [{"request": request, "key": key}] + [
        {"system": each.system, "table": each.table, "column": each.column, "digest": each.digest}
        for each in read_tombstones(connection, request)
    ]
    root.under(*COPIES.split("/")).put(
        f"{request:012d}.jsonl", "".join(f"{json.dumps(line, sort_keys=True)}\n" for line in lines).encode()
    )


def erased_values(
    connection: Connection, relation: sql.Composable, system: System, table: str, columns: Sequence[str]
) -> dict[str, frozenset[str]]:
    """Which values in a table's subject columns are of erased persons: by column, as text.

    Each distinct value is digested once. Of a system without tombstones nothing is read.

    Args:
        connection: of the warehouse, in the transaction that writes.
        relation: the rows to look at.
        system, table: whose policy says the ways to a person.
        columns: that the relation has.
    """
    known = {
        (each_table, column)
        for each_table, column in connection.execute(
            "SELECT DISTINCT table_name, column_name FROM platform.tombstone WHERE system = %s", (system.system,)
        )
    }
    found: dict[str, frozenset[str]] = {}
    for subject in system.tables[table].subjects:
        target = system.target_of(subject)
        if target not in known or subject.column not in columns:
            continue
        rows = connection.execute(
            sql.SQL(
                "SELECT v.value FROM (SELECT DISTINCT {column}::text AS value FROM {relation}"
                " WHERE {column} IS NOT NULL) AS v CROSS JOIN platform.tombstone_key AS k JOIN platform.tombstone AS t"
                " ON t.system = {system} AND t.table_name = {table} AND t.column_name = {to} AND t.digest = {digest}"
            ).format(
                column=sql.Identifier(subject.column),
                relation=relation,
                system=sql.Literal(system.system),
                table=sql.Literal(target[0]),
                to=sql.Literal(target[1]),
                digest=_DIGEST.format(domain=_domain(system.system, *target), value=sql.SQL("v.value")),
            )
        )
        values = frozenset(value for (value,) in rows)
        if values:
            found[subject.column] = found.get(subject.column, frozenset()) | values
    return found
