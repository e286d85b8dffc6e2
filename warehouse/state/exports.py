"""Copies that persons asked for: begun, made, fetched, removed; who may do what, the database decides (migration 0014).

Every function works on the caller's connection. No record says whose a copy is: its request does, by keyed digest.

What does not belong here: what is in a copy (``warehouse.erasure.portability``), and its bytes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from psycopg import sql

from warehouse.postgres.sessions import Connection

Why = Literal["expired", "erased", "unfinished"]

_COLUMNS = sql.SQL(
    "id, request, path, begun_at, made_by, made_at, encode(sha256, 'hex'), bytes, rows, files, expires_at, fetched_at,"
    " fetched_by, fetches, removed_at, removed_why"
)


@dataclass(frozen=True)
class Export:
    """One copy.

    Attributes:
        path: in the object store; None: it was written to a file, and is not kept.
        made_at: None: it was cut off, and something of it may be there.
        fetches: how often it was fetched; ``fetched_at`` and ``fetched_by`` are of the last time.
    """

    id: int
    request: int
    path: str | None
    begun_at: dt.datetime
    made_by: str
    made_at: dt.datetime | None
    sha256: str | None
    bytes: int | None
    rows: int | None
    files: int | None
    expires_at: dt.datetime | None
    fetched_at: dt.datetime | None
    fetched_by: str | None
    fetches: int
    removed_at: dt.datetime | None
    removed_why: Why | None

    @property
    def kept(self) -> bool:
        """Whether something of it may be in the object store."""
        return self.path is not None and self.removed_at is None


@dataclass(frozen=True)
class Amount:
    """What a copy amounts to."""

    sha256: bytes
    bytes: int
    rows: int
    files: int


def begin_export(connection: Connection, request: int, path: str | None) -> int:
    """As the operator: something is about to be written there; returns its number."""
    ((made,),) = connection.execute("SELECT platform.begin_export(%s, %s)", (request, path)).fetchall()
    return made


def end_export(connection: Connection, export: int, amount: Amount, valid_for: dt.timedelta) -> None:
    """As the operator: it is there whole, and with that the request is over."""
    connection.execute(
        "SELECT platform.end_export(%s, %s, %s, %s, %s, %s)",
        (export, amount.sha256, amount.bytes, amount.rows, amount.files, valid_for),
    )


def note_fetched(connection: Connection, export: int) -> None:
    """As a requester: it is about to be handed over."""
    connection.execute("SELECT platform.fetch_export(%s)", (export,))


def note_removed(connection: Connection, export: int, why: Why) -> None:
    """As the operator: nothing of it is there any more."""
    connection.execute("SELECT platform.remove_export(%s, %s)", (export, why))


def read_exports(connection: Connection, request: int | None = None) -> list[Export]:
    """All, oldest first; of one request, if it is named."""
    rows = connection.execute(
        sql.SQL(
            "SELECT {} FROM platform.export WHERE %(request)s::bigint IS NULL OR request = %(request)s ORDER BY id"
        ).format(_COLUMNS),
        {"request": request},
    )
    return [Export(*row) for row in rows]


def exports_about(connection: Connection, persons: Mapping[str, Collection[bytes]]) -> list[Export]:
    """Those of which something may be in the object store, or that are being made, of any of some persons.

    Args:
        connection: anybody's who may read them.
        persons: keyed digests of their keys, by system.
    """
    pairs = [(system, digest) for system, digests in persons.items() for digest in digests]
    rows = connection.execute(
        sql.SQL(
            "SELECT {} FROM platform.export WHERE removed_at IS NULL AND (path IS NOT NULL OR made_at IS NULL)"
            " AND request IN (SELECT request FROM platform.erasure_subject"
            " JOIN unnest(%s::text[], %s::bytea[]) AS asked (system, person) USING (system, person)) ORDER BY id"
        ).format(_COLUMNS),
        ([system for system, _ in pairs], [digest for _, digest in pairs]),
    )
    return [Export(*row) for row in rows]
