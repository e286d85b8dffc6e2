"""Legal holds: what must be kept for a court or an authority, whatever its age.

A hold is of a person's rows, of a table, of a system or of everything. Whoever deletes looks here in the transaction
that deletes, with the holds standing still: one that is placed meanwhile waits, and then finds the rows gone or kept.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from warehouse.postgres.sessions import Connection


@dataclass(frozen=True)
class Hold:
    """One hold that was not released.

    Attributes:
        table: None: all of the system.
        subject: the person's key as text; None: whoever it is about.
    """

    id: int
    table: str | None
    subject: str | None
    reason: str


def read_holds(connection: Connection, system: str) -> list[Hold]:
    """The holds of a system, with those of all systems."""
    rows = connection.execute(
        "SELECT id, table_name, subject, reason FROM platform.legal_hold"
        " WHERE released_at IS NULL AND (system IS NULL OR system = %s) ORDER BY id",
        (system,),
    )
    return [Hold(*row) for row in rows]


def holds_changed(connection: Connection, system: str) -> dt.datetime | None:
    """When a hold of a system was last placed or released; None: never."""
    row = connection.execute(
        "SELECT max(greatest(placed_at, released_at)) FROM platform.legal_hold WHERE system IS NULL OR system = %s",
        (system,),
    ).fetchone()
    return row[0] if row else None


def keep_holds_still(connection: Connection) -> None:
    """Until the transaction ends, nobody places or releases one."""
    connection.execute("LOCK TABLE platform.legal_hold IN SHARE MODE")
