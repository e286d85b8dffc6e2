"""Who holds a lock that somebody waited for in vain: which session, whose, and since when.

Asked when the wait is over, so it is an answer about that moment, and only help for a person: whatever goes wrong with
the question is no failure of the work. No text of a query is read: it may hold personal data.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import psycopg

from warehouse.partitions.actions import ACCESS_EXCLUSIVE, SHARE, SHARE_ROW, SHARE_UPDATE
from warehouse.postgres.sessions import Connection

#: More holders than this are counted.
NAMED = 3
_ROW_SHARE, _ROW, _EXCLUSIVE = "ROW SHARE", "ROW EXCLUSIVE", "EXCLUSIVE"
#: From PostgreSQL's documentation (Explicit Locking): whose holders a lock waits for.
_CONFLICTS: dict[str, tuple[str, ...]] = {
    SHARE_UPDATE: (SHARE_UPDATE, SHARE, SHARE_ROW, _EXCLUSIVE, ACCESS_EXCLUSIVE),
    SHARE: (_ROW, SHARE_UPDATE, SHARE_ROW, _EXCLUSIVE, ACCESS_EXCLUSIVE),
    SHARE_ROW: (_ROW, SHARE_UPDATE, SHARE, SHARE_ROW, _EXCLUSIVE, ACCESS_EXCLUSIVE),
    ACCESS_EXCLUSIVE: (
        "ACCESS SHARE", _ROW_SHARE, _ROW, SHARE_UPDATE, SHARE, SHARE_ROW, _EXCLUSIVE, ACCESS_EXCLUSIVE,
    ),
}  # fmt: skip

#: Without a cast to regclass or pg_partition_tree(), which would wait for the lock that is asked about.
_HOLDERS = """
WITH RECURSIVE tree AS (
    SELECT c.oid, c.relname::text AS name FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = %(schema)s AND c.relname = %(table)s
    UNION ALL
    SELECT c.oid, c.relname::text FROM tree JOIN pg_inherits AS i ON i.inhparent = tree.oid
    JOIN pg_class AS c ON c.oid = i.inhrelid
), asked AS (
    SELECT tree.oid, w.mode FROM unnest(%(names)s::text[], %(modes)s::text[]) AS w (name, mode)
    JOIN tree ON w.name IN (tree.name, '')
    UNION ALL
    SELECT p.partdefid, mode FROM tree JOIN pg_partitioned_table AS p ON p.partrelid = tree.oid
    CROSS JOIN unnest(%(default)s::text[]) AS mode
    UNION ALL
    SELECT k.confrelid, mode FROM tree JOIN pg_constraint AS k ON k.conrelid = tree.oid AND k.contype = 'f'
    CROSS JOIN unnest(%(referenced)s::text[]) AS mode
)
SELECT l.pid, a.usename::text, a.application_name, nullif(a.backend_type, 'client backend'), a.state,
       to_char(coalesce(a.xact_start, x.prepared) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), x.gid
FROM pg_locks AS l
LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
LEFT JOIN pg_prepared_xacts AS x ON l.pid IS NULL AND l.virtualtransaction = '-1/' || x.transaction::text
WHERE l.granted AND l.pid IS DISTINCT FROM pg_backend_pid() AND (
    l.locktype = 'relation' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND EXISTS (SELECT FROM asked WHERE asked.oid = l.relation AND asked.mode = l.mode)
    OR %(building)s AND l.locktype = 'virtualxid' AND a.backend_xmin IS NOT NULL AND a.datname = current_database()
)
GROUP BY 1, 2, 3, 4, 5, 6, 7, a.xact_start, x.prepared
ORDER BY coalesce(a.xact_start, x.prepared), l.pid
"""


def holders(
    connection: Connection,
    schema: str,
    table: str,
    locks: Iterable[tuple[str, str]] = ((ACCESS_EXCLUSIVE, ""),),
    *,
    attaching: bool = False,
    building: bool = False,
) -> str:
    """Who holds locks that stand against those asked for, the longest transaction first; '' if nobody does any more.

    Args:
        connection: in a transaction or not; it is none the worse for the question.
        schema, table: the table.
        locks: (lock, name of the table or of a partition of it, at any depth); the name '' is all of them.
        attaching: a partition was to be attached, which locks its default partition and the tables it references too.
        building: an index was to be built beside writers, which waits for every older snapshot of the database too.
    """
    wanted = [(name, mode) for lock, name in locks for mode in _modes(lock)]
    asked = {
        "schema": schema,
        "table": table,
        "names": [name for name, _ in wanted],
        "modes": [mode for _, mode in wanted],
        "default": _modes(ACCESS_EXCLUSIVE) if attaching else [],
        "referenced": _modes(SHARE_ROW) if attaching else [],
        "building": building,
    }
    with suppress(psycopg.Error), connection.transaction():
        found = connection.execute(_HOLDERS, asked).fetchall()
        told = [_told(row) for row in found[:NAMED]]
        return ", ".join(told) + (f" and {len(found) - NAMED} more" if len(found) > NAMED else "")
    return ""


def _modes(lock: str) -> list[str]:
    """What stands against a lock, as ``pg_locks`` spells it."""
    return [f"{mode.title().replace(' ', '')}Lock" for mode in _CONFLICTS.get(lock, _CONFLICTS[ACCESS_EXCLUSIVE])]


def _told(row: tuple[Any, ...]) -> str:
    """State and time of other roles' sessions are shown to members of pg_read_all_stats only."""
    pid, user, application, kind, state, since, prepared = row
    if pid is None:
        who, known = "a prepared transaction", [prepared]
    else:
        who, known = f"pid {pid}", [user, application, kind]
    known.append(f"{state or 'in a transaction'} since {since} UTC" if since else state)
    said = ", ".join(each for each in known if each)
    return f"{who} ({said})" if said else who
