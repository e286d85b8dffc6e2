"""The ledger of retention: which rows reached the age at which nobody may have them any more, and went.

Like all of ``warehouse.state``, every function works on the caller's connection and commits nothing.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from warehouse.lake.content import NOTHING, Content
from warehouse.postgres.sessions import Connection

Tier = Literal["hot", "warm", "cold"]


@dataclass(frozen=True)
class Expiry:
    """Rows of one month (None: of a table that is not kept by month) that went from one tier.

    Attributes:
        before: rows of an earlier time.
        held: rows of that age that stayed, for a legal hold.
        done: what went was looked for, and is nowhere there.
        begun_at: when it was noted.
    """

    id: int
    month: dt.date | None
    tier: Tier
    before: dt.datetime
    rows: int
    held: int
    done: bool
    begun_at: dt.datetime


def begin_expiry(
    connection: Connection,
    system: str,
    table: str,
    month: dt.date | None,
    tier: Tier,
    before: dt.datetime,
    reason: str,
    *,
    gone: Content = NOTHING,
    held: int = 0,
    run_id: str | None = None,
) -> int:
    """Note rows that go; returns the expiry's id. Not final before ``end_expiry``."""
    row = connection.execute(
        "INSERT INTO platform.expiry"
        " (system, table_name, month, tier, before, reason, state, rows, hash, columns, held, run_id, counts)"
        " SELECT %(system)s, %(table)s, %(month)s::date, %(tier)s, %(before)s::timestamptz, %(reason)s, 'begun',"
        " %(rows)s::bigint, %(hash)s::numeric, %(columns)s::integer, %(held)s::bigint, %(run_id)s,"
        " %(tier)s::text <> 'hot' AND EXISTS ("
        "SELECT FROM platform.tier_move WHERE from_tier = 'hot' AND state IN ('flipped', 'dropped')"
        " AND system = %(system)s AND table_name = %(table)s AND month = %(month)s::date) RETURNING id",
        {
            "system": system,
            "table": table,
            "month": month,
            "tier": tier,
            "before": before,
            "reason": reason,
            "rows": gone.rows,
            "hash": gone.hash,
            "columns": gone.columns,
            "held": held,
            "run_id": run_id,
        },
    ).fetchone()
    assert row is not None
    return row[0]


def count_expired(connection: Connection, expiry: int, rows: int) -> None:
    """So many more rows went."""
    connection.execute("UPDATE platform.expiry SET rows = rows + %s WHERE id = %s", (rows, expiry))


def end_expiry(connection: Connection, expiry: int, detail: Mapping[str, Any], held: int | None = None) -> None:
    """What went was looked for, and is nowhere there: from now on the record is never changed."""
    connection.execute(
        "UPDATE platform.expiry SET state = 'done', done_at = clock_timestamp(), detail = detail || %s,"
        " held = coalesce(%s, held) WHERE id = %s",
        (json.dumps(detail), held, expiry),
    )


def read_expiries(connection: Connection, system: str, table: str) -> list[Expiry]:
    """All of a table, oldest first."""
    rows = connection.execute(
        "SELECT id, month, tier, before, rows, held, state = 'done', begun_at FROM platform.expiry"
        " WHERE system = %s AND table_name = %s ORDER BY id",
        (system, table),
    )
    return [Expiry(*row) for row in rows]


def expired_content(connection: Connection, system: str, table: str, month: dt.date) -> Content:
    """What of a month expired in the warehouse and in the lake after it had left its source."""
    rows = connection.execute(
        "SELECT rows, hash, columns FROM platform.expiry"
        " WHERE system = %s AND table_name = %s AND month = %s AND counts",
        (system, table, month),
    )
    return sum((Content(count, int(digest), columns) for count, digest, columns in rows), NOTHING)
