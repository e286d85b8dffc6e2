"""Tombstones: whose rows no writer lets into the warehouse or the lake any more.

A tombstone is the keyed digest of a key: of the person, and of each row on the way to rows of theirs (a bike, whose
upkeep leads to its owner over it). It is there before the first row is deleted, and for good. The digest is computed by
the server, with a key that does not leave it: so any writer can ask, a trigger too.

Copies lie outside of the cluster. A copy that the warehouse does not know is of an erasure after the backup that it was
restored from: then nothing is written or served before the copies are replayed (``warehouse.erasure.replaying``).

What does not belong here: what a writer does with rows of erased persons (``gate``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from psycopg import sql

from warehouse.catalog.model import System
from warehouse.errors import AccessDenied, LakeUnavailable, Restored, Tampered
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


@dataclass(frozen=True)
class Copy:
    """A request's tombstones as the object store has them.

    Attributes:
        bytes: of the copy.
        key: digest of the key that they are to be read by.
    """

    request: int
    bytes: int
    key: str
    tombstones: tuple[Tombstone, ...]


def put_tombstones(connection: Connection, root: Store, request: int) -> None:
    """Write a request's tombstones to the object store, with the key's own digest that they are to be read by.

    The warehouse notes the copy first: one that it does not know is of a time after its backup.

    Raises:
        LakeUnavailable, AccessDenied: the store does not take them.
    """
    lines = [{"request": request, "key": key_digest(connection)}] + [
        {"system": each.system, "table": each.table, "column": each.column, "digest": each.digest}
        for each in read_tombstones(connection, request)
    ]
    content = "".join(f"{json.dumps(line, sort_keys=True)}\n" for line in lines).encode()
    note_copy(connection, request, len(content))
    _copies(root).put(f"{request:012d}.jsonl", content)


def key_digest(connection: Connection) -> str:
    """Of the key that this warehouse's tombstones are read by, in hexadecimal."""
    ((key,),) = connection.execute(
        "SELECT encode(sha256(inner_pad || outer_pad), 'hex') FROM platform.tombstone_key"
    ).fetchall()
    return key


def note_copy(connection: Connection, request: int, size: int) -> None:
    """The warehouse knows a copy, of so many bytes."""
    connection.execute(
        "INSERT INTO platform.tombstone_copy AS c (request, bytes) VALUES (%s, %s)"
        " ON CONFLICT (request) DO UPDATE SET bytes = excluded.bytes, noted_at = clock_timestamp()"
        " WHERE c.bytes < excluded.bytes",
        (request, size),
    )


def _copies(root: Store) -> Store:
    return root.under(*COPIES.split("/"))


def read_copies(root: Store) -> list[Copy]:
    """Every copy, the oldest request's first.

    Raises:
        Tampered: one is not as it was written.
        LakeUnavailable, AccessDenied: the store does not give them.
    """
    found: list[Copy] = []
    for request in sorted(_listed(root)):
        content = _copies(root).get(f"{request:012d}.jsonl")
        try:
            head, *lines = map(json.loads, content.splitlines())
            stones = tuple(
                Tombstone(each["system"], each["table"], each["column"], bytes.fromhex(each["digest"]).hex(), request)
                for each in lines
            )
            found.append(Copy(int(head["request"]), len(content), str(head["key"]), stones))
        except (ValueError, KeyError, TypeError):
            raise Tampered(
                f"{COPIES}/{request:012d}.jsonl is not as it was written",
                hint="Restore an earlier version of it, or another copy of the bucket. Nothing was changed.",
            ) from None
    return found


def _listed(root: Store) -> dict[int, int]:
    """Bytes of each copy, by request."""
    names = {each.path.removesuffix(".jsonl"): each.bytes for each in _copies(root).list()}
    return {int(name): size for name, size in names.items() if name.isdigit()}


def unknown_copies(connection: Connection, root: Store) -> list[int]:
    """Requests of which the object store has tombstones that this warehouse does not know; one listing.

    Whoever never erased anybody does not need the object store for it.

    Raises:
        LakeUnavailable, AccessDenied: the store does not answer, and there were erasures.
    """
    try:
        there = _listed(root)  # first: a copy is noted before it is written
    except (LakeUnavailable, AccessDenied):
        if _known(connection):
            raise
        return []
    known = _known(connection) if there else {}
    return sorted(request for request, size in there.items() if known.get(request, -1) < size)


def _known(connection: Connection) -> dict[int, int]:
    ((made,),) = connection.execute("SELECT to_regclass('platform.tombstone_copy') IS NOT NULL").fetchall()
    return dict(connection.execute("SELECT request, bytes FROM platform.tombstone_copy").fetchall()) if made else {}


def refuse_restored(connection: Connection, root: Store) -> None:
    """Nothing is written or served by a warehouse that does not know of erasures since its backup.

    Args:
        connection: of the warehouse.
        root: of the lake.

    Raises:
        Restored: it was restored, and the tombstones since were not replayed.
        LakeUnavailable, AccessDenied: nobody can say, and there were erasures.
    """
    if unknown := unknown_copies(connection, root):
        others = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise Restored(
            f"the warehouse was restored to before request {unknown[0]}{others}: who was erased since is in it again",
            hint="Nothing was done. Run `drivetrain erasure replay`; then run this again.",
        )


def replay_tombstones(connection: Connection, copies: Iterable[Copy]) -> int:
    """Add what the warehouse lacks of some copies, in the caller's transaction; returns how many.

    Raises:
        Restored: they are to be read by another key than this warehouse's.
    """
    added, key = 0, key_digest(connection)
    for copy in copies:
        if copy.key != key:
            raise Restored(
                f"the tombstones of request {copy.request} are to be read by another key than this warehouse has",
                hint="It was made anew, or is another one: nobody can tell by these whose rows it has. Restore a backup"
                " of the warehouse that wrote them (its table platform.tombstone_key), and replay there. If there is"
                f" none, file their requests anew, then move {COPIES} away. Nothing was changed.",
            )
        added += connection.execute(
            "INSERT INTO platform.tombstone (system, table_name, column_name, digest, request)"
            " SELECT s, t, c, decode(d, 'hex'), %s"
            "   FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[]) AS of (s, t, c, d) ON CONFLICT DO NOTHING",
            (copy.request, *_columns(copy.tombstones)),
        ).rowcount
    return added


def reserve_requests(connection: Connection, newest: int) -> None:
    """New requests get later numbers than one: by their own numbers, their copies would be written over others."""
    connection.execute(
        "SELECT setval(s, %(newest)s) FROM pg_get_serial_sequence('platform.erasure_request', 'id') AS s"
        " WHERE %(newest)s > coalesce(pg_sequence_last_value(s::regclass), 0)",
        {"newest": newest},
    )


def _columns(stones: Sequence[Tombstone]) -> tuple[list[str], list[str], list[str], list[str]]:
    return (
        [each.system for each in stones], [each.table for each in stones], [each.column for each in stones],
        [each.digest for each in stones],
    )  # fmt: skip


def read_replay(connection: Connection) -> bytes | None:
    """What a replay that is under way keeps to itself, sealed."""
    row = connection.execute("SELECT scope FROM platform.tombstone_replay").fetchone()
    return None if row is None else bytes(row[0])


def write_replay(connection: Connection, scope: bytes | None) -> None:
    """Keep it; None destroys it."""
    connection.execute("DELETE FROM platform.tombstone_replay")
    if scope is not None:
        connection.execute("INSERT INTO platform.tombstone_replay (scope) VALUES (%s)", (scope,))


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
    known = buried(connection, system.system)
    found: dict[str, frozenset[str]] = {}
    for subject in system.tables[table].subjects:
        target = system.target_of(subject)
        if target not in known or subject.column not in columns:
            continue
        distinct = sql.SQL("SELECT DISTINCT {column}::text AS value FROM {relation} WHERE {column} IS NOT NULL").format(
            column=sql.Identifier(subject.column), relation=relation
        )
        if values := _among(connection, system.system, target, distinct):
            found[subject.column] = found.get(subject.column, frozenset()) | values
    return found


def buried(connection: Connection, system: str) -> set[tuple[str, str]]:
    """Table and column of the keys that a system has tombstones of."""
    rows = connection.execute(
        "SELECT DISTINCT table_name, column_name FROM platform.tombstone WHERE system = %s", (system,)
    )
    return {(table, column) for table, column in rows}


def erased_among(connection: Connection, system: str, target: tuple[str, str], keys: Iterable[str]) -> frozenset[str]:
    """Which of some keys of a table and column are of erased persons. They are sent, so that the key need not leave."""
    return _among(connection, system, target, sql.SQL("SELECT unnest(%s::text[]) AS value"), [list(keys)])


def _among(
    connection: Connection, system: str, target: tuple[str, str], values: sql.Composable, sent: Sequence[object] = ()
) -> frozenset[str]:
    rows = connection.execute(
        sql.SQL(
            "SELECT v.value FROM ({values}) AS v CROSS JOIN platform.tombstone_key AS k JOIN platform.tombstone AS t"
            " ON t.system = {system} AND t.table_name = {table} AND t.column_name = {to} AND t.digest = {digest}"
        ).format(
            values=values,
            system=sql.Literal(system),
            table=sql.Literal(target[0]),
            to=sql.Literal(target[1]),
            digest=_DIGEST.format(domain=_domain(system, *target), value=sql.SQL("v.value")),
        ),
        sent or None,
    )
    return frozenset(value for (value,) in rows)
