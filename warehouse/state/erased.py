"""The ledger of erasure below the source: how many rows of which month went from which tier, or were changed.

It holds counts and hashes, and nothing that tells whose they were. Like all of ``warehouse.state``, every function
works on the caller's connection and commits nothing.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from warehouse.lake.content import NOTHING, Content
from warehouse.postgres.sessions import Connection

#: warm: in the warehouse. cold: in the lake. kept: what went into the lake, and is kept in the warehouse until it is
#: dropped. left: what left the source, and is kept there.
Tier = Literal["warm", "cold", "kept", "left"]


@dataclass(frozen=True)
class Erased:
    """Rows of one month (None: of a table that is not kept by month) that went from one tier, or were changed there.

    Attributes:
        move: by which they were kept, or had left.
        gone: those rows as they were.
        made: what became of those that stay.
        done: what went was looked for, and is nowhere there.
    """

    id: int
    batch: str
    month: dt.date | None
    tier: Tier
    move: int | None
    gone: Content
    made: Content
    done: bool

    @property
    def rows(self) -> int:
        """How many are gone."""
        return self.gone.rows - self.made.rows

    @property
    def changed(self) -> int:
        """How many stay, changed."""
        return self.made.rows


@dataclass(frozen=True)
class Pass:
    """One pass over a table.

    Attributes:
        batch: the requests that are erased together, without an identifier of a person.
        system, table: whose rows.
        run_id: noted in the ledger.
    """

    batch: str
    system: str
    table: str
    run_id: str | None = None


def begin_erased(
    connection: Connection,
    of: Pass,
    month: dt.date | None,
    tier: Tier,
    gone: Content = NOTHING,
    made: Content = NOTHING,
    *,
    move: int | None = None,
) -> int:
    """Note rows that go or are changed; returns the record's id. Not final before ``end_erased``."""
    columns = max(gone.columns, made.columns)
    row = connection.execute(
        "INSERT INTO platform.erased (batch, system, table_name, month, tier, move, state, rows, changed, gone_hash,"
        " made_hash, columns, run_id, counts)"
        " SELECT %(batch)s, %(system)s, %(table)s, %(month)s::date, %(tier)s, %(move)s::bigint, 'begun',"
        " %(rows)s::bigint, %(changed)s::bigint, %(gone)s::numeric, %(made)s::numeric, %(columns)s::integer,"
        " %(run_id)s,"
        " %(tier)s::text IN ('warm', 'cold') AND EXISTS ("
        "SELECT FROM platform.tier_move WHERE from_tier = 'hot' AND state IN ('flipped', 'dropped')"
        " AND system = %(system)s AND table_name = %(table)s AND month = %(month)s::date) RETURNING id",
        {
            "batch": of.batch, "system": of.system, "table": of.table, "month": month, "tier": tier, "move": move,
            "rows": gone.rows - made.rows, "changed": made.rows, "gone": gone.over(columns), "made": made.over(columns),
            "columns": columns, "run_id": of.run_id,
        },
    ).fetchone()  # fmt: skip
    assert row is not None
    return row[0]


def end_erased(connection: Connection, erased: int, detail: Mapping[str, Any]) -> None:
    """What went was looked for, and is nowhere there: from now on the record is never changed."""
    connection.execute(
        "UPDATE platform.erased SET state = 'done', done_at = clock_timestamp(), detail = detail || %s WHERE id = %s",
        (json.dumps(detail), erased),
    )


def forget_begun(connection: Connection, erased: int) -> None:
    """What was begun did not come to pass: it begins anew."""
    connection.execute("DELETE FROM platform.erased WHERE id = %s AND state = 'begun'", (erased,))


def read_erased(connection: Connection, system: str, table: str) -> list[Erased]:
    """All of a table, oldest first."""
    rows = connection.execute(
        "SELECT id, batch, month, tier, move, rows + changed, gone_hash, changed, made_hash, columns, state = 'done'"
        " FROM platform.erased WHERE system = %s AND table_name = %s ORDER BY id",
        (system, table),
    )
    return [
        Erased(
            number, batch, month, tier, move, Content(gone, int(gone_hash), over), Content(made, int(made_hash), over),
            done,
        )
        for number, batch, month, tier, move, gone, gone_hash, made, made_hash, over, done in rows
    ]  # fmt: skip


def erased_content(connection: Connection, system: str, table: str, month: dt.date) -> Content:
    """By how much less there is of a month in the warehouse and in the lake, since it had left its source."""
    rows = connection.execute(
        "SELECT rows, mod(gone_hash - made_hash + 18446744073709551616, 18446744073709551616), columns"
        " FROM platform.erased WHERE system = %s AND table_name = %s AND month = %s AND counts",
        (system, table, month),
    )
    return sum((Content(count, int(digest), columns) for count, digest, columns in rows), NOTHING)
