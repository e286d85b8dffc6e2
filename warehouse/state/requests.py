"""Requests of persons: filed, confirmed, planned, approved, carried out; who may say what, the database decides.

Every function works on the caller's connection, as the officer or the operator who is signed in there. A role's limits
and the declared transitions are held by the database's own functions (migration 0011), and so is the audit log: an
entry commits with what it tells of.

What does not belong here: what has to be done for a request (``warehouse.erasure``).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from psycopg import sql

from warehouse.canonical import canonical
from warehouse.errors import RequestRefused
from warehouse.postgres.sessions import Connection

RequestKind = Literal["erasure", "restriction", "export"]
State = Literal[
    "received", "verifying", "scoping", "planned", "awaiting_approval", "approved", "restricting", "executing",
    "retry_wait", "rebuilding", "verifying_erasure", "completed", "completed_with_retention",
    "completed_pending_backup_expiry", "denied", "revoked", "blocked_hold", "failed_needs_operator",
]  # fmt: skip
#: States after which nothing is to be done.
ENDED = ("completed", "completed_with_retention", "denied", "revoked")
DENIALS = (
    "suspected_fraud", "insufficient_verification", "no_match", "claim_not_covered", "outside_jurisdiction",
    "too_many_requests", "other",
)  # fmt: skip

_COLUMNS = sql.SQL(
    "id, kind, law, reference, received_at, confirm_by, due_at, latest_at, extended_at, state, reason, requested_by,"
    " changed_at"
)


@dataclass(frozen=True)
class Deadlines:
    """Until when a request has to be confirmed and answered, and until when at the latest, if it is extended."""

    confirm_by: dt.datetime | None
    due_at: dt.datetime
    latest_at: dt.datetime


@dataclass(frozen=True)
class Request:
    """One request; what the person is looked for by, and which rows, are encrypted, and not read along."""

    id: int
    kind: RequestKind
    law: str
    reference: str
    received_at: dt.datetime
    confirm_by: dt.datetime | None
    due_at: dt.datetime
    latest_at: dt.datetime
    extended_at: dt.datetime | None
    state: State
    reason: str | None
    requested_by: str
    changed_at: dt.datetime


@dataclass(frozen=True)
class Plan:
    """What a request demands, sealed by its digest."""

    id: int
    request: int
    document: Mapping[str, Any]
    sha256: str
    made_by: str
    made_at: dt.datetime


@dataclass(frozen=True)
class Approval:
    """Who let a plan be carried out, and until when."""

    plan: int
    sha256: str
    approved_by: str
    approved_at: dt.datetime
    expires_at: dt.datetime


@dataclass(frozen=True)
class Person:
    """One whom a request is about: by a keyed digest of the key, as an officer confirmed."""

    system: str
    digest: bytes = field(repr=False)
    matched: tuple[str, ...]
    confirmed_by: str


def file_request(
    connection: Connection,
    kind: RequestKind,
    law: str,
    received_at: dt.datetime,
    deadlines: Deadlines,
    identifiers: bytes,
    digests: Sequence[bytes],
    reference: str = "",
) -> int:
    """As a requester; returns the request's number.

    Args:
        connection: the officer's.
        kind: what the person asks for.
        law: under which.
        received_at: when the person asked.
        deadlines: that follow from it.
        identifiers: encrypted.
        digests: of each identifier, keyed.
        reference: the officer's own.
    """
    ((made,),) = connection.execute(
        "SELECT platform.file_request(%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (kind, law, reference, received_at, deadlines.confirm_by, deadlines.due_at, deadlines.latest_at, identifiers,
         list(digests)),
    ).fetchall()  # fmt: skip
    return made


def confirm_person(connection: Connection, request: int, system: str, digest: bytes, matched: Sequence[str]) -> None:
    """As a requester: the request, which is being verified, is about this person."""
    connection.execute("SELECT platform.confirm_subject(%s, %s, %s, %s)", (request, system, digest, list(matched)))


def move_request(connection: Connection, request: int, state: State, detail: Mapping[str, Any] | None = None) -> None:
    """Take a request to another state, if that is declared for the role of who is signed in."""
    connection.execute("SELECT platform.move_request(%s, %s, %s)", (request, state, json.dumps(detail or {})))


def extend_request(connection: Connection, request: int, why: str) -> None:
    """Once, before it is due: with notice to the person."""
    connection.execute("SELECT platform.extend_request(%s, %s)", (request, why))


def deny_request(connection: Connection, request: int, reason: str, note: str = "") -> None:
    """As an approver, for one of ``DENIALS``."""
    connection.execute("SELECT platform.deny_request(%s, %s, %s)", (request, reason, note))


def revoke_request(connection: Connection, request: int, why: str) -> None:
    """The person, or whoever filed it, takes it back; only before anything was deleted."""
    connection.execute("SELECT platform.revoke_request(%s, %s)", (request, why))


def approve_request(connection: Connection, request: int, sha256: str, valid_for: dt.timedelta) -> None:
    """As an approver who did not file it: the newest plan, by its digest in hexadecimal."""
    connection.execute("SELECT audit.approve(%s, %s, %s)", (request, bytes.fromhex(sha256), valid_for))


def seal_plan(connection: Connection, request: int, document: Mapping[str, Any]) -> Plan:
    """As the operator: note what the request demands."""
    text = canonical(document).decode()
    connection.execute(
        "INSERT INTO platform.erasure_plan (request, document, canonical, sha256) VALUES (%s, %s, %s, %s)",
        (request, text, text, hashlib.sha256(text.encode()).digest()),
    )
    plan = read_plan(connection, request)
    assert plan is not None
    return plan


def read_request(connection: Connection, request: int) -> Request:
    """One.

    Raises:
        RequestRefused: there is none of that number.
    """
    row = connection.execute(
        sql.SQL("SELECT {} FROM platform.erasure_request WHERE id = %s").format(_COLUMNS), (request,)
    ).fetchone()
    if row is None:
        raise RequestRefused(
            f"there is no request {request}", hint="`drivetrain erasure status` lists those there are."
        )
    return Request(*row)


def read_requests(connection: Connection) -> list[Request]:
    """All, oldest first."""
    rows = connection.execute(sql.SQL("SELECT {} FROM platform.erasure_request ORDER BY id").format(_COLUMNS))
    return [Request(*row) for row in rows]


def read_persons(connection: Connection, request: int) -> list[Person]:
    """Whom a request is about."""
    rows = connection.execute(
        "SELECT system, person, matched, confirmed_by FROM platform.erasure_subject WHERE request = %s ORDER BY 1, 2",
        (request,),
    )
    return [Person(system, digest, tuple(matched), by) for system, digest, matched, by in rows]


def has_open_request(connection: Connection, system: str, digests: Sequence[bytes]) -> bool:
    """Whether a request that is not over is about a person, by any of the digests of the person's key."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM platform.erasure_subject AS s"
        " JOIN platform.erasure_request AS r ON r.id = s.request"
        " WHERE s.system = %s AND s.person = ANY(%s) AND r.state <> ALL(%s))",
        (system, list(digests), list(ENDED)),
    ).fetchone()
    return row is not None and bool(row[0])


def read_plan(connection: Connection, request: int) -> Plan | None:
    """The newest plan of a request."""
    row = connection.execute(
        "SELECT id, request, document, encode(sha256, 'hex'), made_by, made_at FROM platform.erasure_plan"
        " WHERE request = %s ORDER BY id DESC LIMIT 1",
        (request,),
    ).fetchone()
    return None if row is None else Plan(*row)


def read_approval(connection: Connection, plan: Plan) -> Approval | None:
    """Of a plan, by its digest: the newest."""
    row = connection.execute(
        "SELECT plan, encode(sha256, 'hex'), approved_by, approved_at, expires_at FROM audit.approval"
        " WHERE plan = %s AND sha256 = %s ORDER BY id DESC LIMIT 1",
        (plan.id, bytes.fromhex(plan.sha256)),
    ).fetchone()
    return None if row is None else Approval(*row)


def write_scope(connection: Connection, request: int, sealed: bytes | None) -> None:
    """As the operator: keep which rows are the person's, encrypted; None destroys it, when all is done."""
    connection.execute("UPDATE platform.erasure_request SET scope = %s WHERE id = %s", (sealed, request))


def read_scope(connection: Connection, request: int) -> bytes | None:
    """As the operator: what ``write_scope`` kept."""
    row = connection.execute("SELECT scope FROM platform.erasure_request WHERE id = %s", (request,)).fetchone()
    return None if row is None else row[0]


def write_mentions(connection: Connection, request: int, mentions: Sequence[Mapping[str, Any]]) -> None:
    """As the operator: rows of others that somebody has to read, by place and key."""
    connection.execute(
        "UPDATE platform.erasure_request SET mentions = %s WHERE id = %s", (json.dumps(list(mentions)), request)
    )


def read_mentions(connection: Connection, request: int) -> list[dict[str, Any]]:
    """What ``write_mentions`` noted."""
    row = connection.execute("SELECT mentions FROM platform.erasure_request WHERE id = %s", (request,)).fetchone()
    return [] if row is None else row[0]


def read_digests(connection: Connection, request: int) -> list[str]:
    """As the operator: the keyed digests of what a person is looked for by, in hexadecimal."""
    row = connection.execute(
        "SELECT identifier_digests FROM platform.erasure_request WHERE id = %s", (request,)
    ).fetchone()
    return [] if row is None else sorted(bytes(each).hex() for each in row[0])


def certify(connection: Connection, request: int, number: str, content: bytes) -> None:
    """As the operator: keep a signed certificate for good."""
    connection.execute("SELECT audit.certify(%s, %s, %s)", (request, number, content))


def read_certificates(connection: Connection, request: int) -> list[tuple[str, bytes]]:
    """Number and file of each, the newest last."""
    rows = connection.execute(
        "SELECT number, content FROM audit.certificate WHERE request = %s ORDER BY issued_at, number", (request,)
    )
    return [(number, bytes(content)) for number, content in rows]
