"""Sums over the ledger of moves: how many there are in which state, and what came of them so far.

What does not belong here: single moves (``moves``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from warehouse.postgres.sessions import Connection

_STATES = """
SELECT system, table_name, from_tier, state, count(*) FROM platform.tier_move GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
"""

#: Of events, to which is only ever added: so nothing here is ever less than it was. A failure is noted with the state
#: that it left the move in, and is no step.
_OUTCOMES = """
SELECT m.system, m.table_name, m.from_tier,
       count(*) FILTER (WHERE e.state = 'flipped' AND step), count(*) FILTER (WHERE e.state = 'dropped' AND step),
       count(*) FILTER (WHERE e.state = 'undone' AND step), count(*) FILTER (WHERE NOT step),
       coalesce(sum(m.kept_rows) FILTER (WHERE e.state = 'flipped' AND step), 0)::bigint,
       coalesce(sum((e.detail ->> 'bytes')::bigint) FILTER (WHERE e.state = 'verified' AND step), 0)::bigint,
       max(e.at) FILTER (WHERE e.state IN ('flipped', 'dropped') AND step)
  FROM platform.tier_event AS e
  JOIN platform.tier_move AS m ON m.id = e.move
 CROSS JOIN LATERAL (SELECT NOT e.detail ? 'failure' AS step) AS kind
 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""


@dataclass(frozen=True)
class Tally:
    """What came of a table's moves out of one tier, since ever.

    Attributes:
        states: how many moves are in which state now.
        outcomes: how often a move was flipped, dropped, undone, or could not be taken further (failed).
        rows: that moved.
        bytes: of the lake's files that were written and read back.
        last: when a move was last flipped or dropped.
    """

    system: str
    table: str
    from_tier: str
    states: Mapping[str, int]
    outcomes: Mapping[str, int]
    rows: int
    bytes: int
    last: dt.datetime | None


def read_tallies(connection: Connection) -> list[Tally]:
    """Of all tables that months ever left."""
    states = dict[tuple[str, str, str], dict[str, int]]()
    for system, table, from_tier, state, count in connection.execute(_STATES):
        states.setdefault((system, table, from_tier), {})[state] = count
    found: list[Tally] = []
    for *key, flipped, dropped, undone, failed, rows, size, last in connection.execute(_OUTCOMES):
        system, table, from_tier = key
        outcomes = {"flipped": flipped, "dropped": dropped, "undone": undone, "failed": failed}
        found.append(Tally(system, table, from_tier, states[system, table, from_tier], outcomes, rows, size, last))
    return found
