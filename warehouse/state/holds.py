"""Legal holds: what must be kept for a court or an authority, whatever its age.

A hold is of a person's rows, of a table, of a system or of everything. Whoever deletes looks here in the transaction
that deletes, with the holds standing still: one that is placed meanwhile waits, and then finds the rows gone or kept.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from warehouse.postgres.sessions import Connection


@dataclass(frozen=True)
class Hold:
    """One hold that stands.

    Attributes:
        system: None: all systems.
        table: None: all of the system.
        subject: the person's key as text; None: whoever it is about.
        until: when it ends by itself; None: when it is released.
    """

    id: int
    system: str | None
    table: str | None
    subject: str | None = field(repr=False)
    reason: str
    placed_by: str
    placed_at: dt.datetime
    until: dt.datetime | None


def read_holds(connection: Connection, system: str) -> list[Hold]:
    """The holds of a system, with those of all systems."""
    return [hold for hold in read_all_holds(connection) if hold.system in (None, system)]


def read_all_holds(connection: Connection) -> list[Hold]:
    """Every hold that stands, oldest first."""
    rows = connection.execute(
        "SELECT id, system, table_name, subject, reason, placed_by, placed_at, until FROM platform.legal_hold"
        " WHERE released_at IS NULL AND (until IS NULL OR until > clock_timestamp()) ORDER BY id"
    )
    return [Hold(*row) for row in rows]


def place_hold(
    connection: Connection,
    system: str | None,
    table: str | None,
    subject: str | None,
    reason: str,
    until: dt.datetime | None = None,
) -> int:
    """As a requester or an approver; returns the hold's number."""
    ((made,),) = connection.execute(
        "SELECT platform.place_hold(%s, %s, %s, %s, %s)", (system, table, subject, reason, until)
    ).fetchall()
    return made


def release_hold(connection: Connection, hold: int, why: str) -> None:
    """As an approver."""
    connection.execute("SELECT platform.release_hold(%s, %s)", (hold, why))


def holds_changed(connection: Connection, system: str) -> dt.datetime | None:
    """When a hold of a system was last placed or released, or ended by itself; None: never."""
    row = connection.execute(
        "SELECT max(greatest(placed_at, released_at, CASE WHEN until <= clock_timestamp() THEN until END))"
        " FROM platform.legal_hold WHERE system IS NULL OR system = %s",
        (system,),
    ).fetchone()
    return row[0] if row else None


def keep_holds_still(connection: Connection) -> None:
    """Until the transaction ends, nobody places or releases one."""
    connection.execute("LOCK TABLE platform.legal_hold IN SHARE MODE")
