"""The audit log: entries that are chained by their digests, so that an edit, a gap or another order shows.

The chain's newest entry is written to the object store, too: who rewrites the whole log in the database has to rewrite
that as well. Entries are made by the database's own functions (migration 0011); what is here adds those of the program,
and checks the chain by a way of its own.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from warehouse.lake.store import Store, Stored
from warehouse.postgres.sessions import Connection

_START = hashlib.sha256(b"drivetrain").digest()
#: Heads of the chain in the object store, beside the lake's tables.
HEADS = "_drivetrain/audit"


@dataclass(frozen=True)
class Entry:
    """One entry.

    Attributes:
        id: without gaps, from 1.
        by_role: who was signed in to the database.
        kind: what happened, e.g. ``request approved``.
        request: of which request, if of one.
        detail: counts and reasons; never a person's data.
        hash: SHA-256 of the previous entry's hash and of this entry.
    """

    id: int
    at: dt.datetime
    by_role: str
    kind: str
    request: int | None
    detail: Mapping[str, Any]
    hash: bytes


@dataclass(frozen=True)
class Break:
    """Where the chain does not hold.

    Attributes:
        id: of the entry, or of the one that should be there.
        message: what is wrong.
    """

    id: int
    message: str


def note(connection: Connection, kind: str, request: int | None, detail: Mapping[str, Any] | None = None) -> int:
    """Add an entry in the caller's transaction; returns its id."""
    ((made,),) = connection.execute(
        "SELECT audit.note(%s, %s, %s)", (kind, request, json.dumps(detail or {}))
    ).fetchall()
    return made


def read_audit(connection: Connection, request: int | None = None) -> list[Entry]:
    """Entries in order; of one request, if it is named."""
    rows = connection.execute(
        "SELECT id, at, by_role, kind, request, detail, hash FROM audit.event"
        " WHERE %(request)s::bigint IS NULL OR request = %(request)s ORDER BY id",
        {"request": request},
    )
    return [Entry(*row) for row in rows]


def put_head(connection: Connection, root: Store) -> int | None:
    """Write the newest entry's id and digest to the object store; returns the id, None for an empty log.

    Raises:
        LakeUnavailable, AccessDenied: the store does not take it; the next call does.
    """
    row = connection.execute("SELECT id, hash FROM audit.event ORDER BY id DESC LIMIT 1").fetchone()
    if row is None:
        return None
    number, digest = row
    root.under(*HEADS.split("/")).put(f"{number:012d}-{digest.hex()}", b"")
    return number


@contextmanager
def head_kept(connection: Connection, root: Store) -> Generator[None]:
    """Afterwards the object store has the newest entry's digest, if any was added: whatever became of the block."""
    before = _newest(connection)
    try:
        yield
    finally:
        if not connection.closed and _newest(connection) != before:
            put_head(connection, root)


def _newest(connection: Connection) -> int:
    ((newest,),) = connection.execute("SELECT coalesce(max(id), 0) FROM audit.event").fetchall()
    return newest


def verify_audit(connection: Connection, root: Store | None) -> tuple[int, list[Break]]:
    """Compute the chain anew, and hold it against what the object store has of it.

    Args:
        connection: of anybody who may read the log, in canonical settings.
        root: of the lake; None: the object store is not asked.

    Returns:
        Entries that were read, and where the chain is broken.
    """
    heads = [] if root is None else root.under(*HEADS.split("/")).list()  # first: the log grows meanwhile
    rows = connection.execute(
        "SELECT id, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), by_role, kind, request,"
        " detail::text, previous, hash FROM audit.event ORDER BY id"
    )
    breaks: list[Break] = []
    digests: dict[int, bytes] = {}
    last, expected = _START, 1
    for number, at, by_role, kind, request, detail, previous, digest in rows:
        if number != expected:
            breaks.append(Break(expected, f"entries {expected} to {number - 1} are gone"))
        elif previous != last:
            breaks.append(Break(number, "does not follow the entry before it"))
        fields = [str(number), at, by_role, kind, "" if request is None else str(request), detail]
        text = "".join(f"{len(field)}:{field}" for field in fields)
        if hashlib.sha256(previous + text.encode()).digest() != digest:
            breaks.append(Break(number, "was changed after it was written"))
        digests[number] = last = digest
        expected = number + 1
    return len(digests), breaks + _against_heads(digests, heads)


def _against_heads(digests: Mapping[int, bytes], heads: Sequence[Stored]) -> list[Break]:
    breaks: list[Break] = []
    for each in heads:
        number, _, digest = each.path.partition("-")
        if not number.isdigit():
            breaks.append(Break(0, f"{HEADS}/{each.path} is none of its heads"))
            continue
        known = digests.get(int(number))
        if known is None:
            breaks.append(Break(int(number), "is gone, and the object store has its digest"))
        elif known.hex() != digest:
            breaks.append(Break(int(number), "has another digest than the object store noted"))
    return breaks
