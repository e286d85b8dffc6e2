"""The steps of a request that is carried out: what was expected at each place, what went, and what is left.

Like all of ``warehouse.state``, every function works on the caller's connection. What does not belong here: doing it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from warehouse.postgres.sessions import Connection


@dataclass(frozen=True)
class Task:
    """One step.

    Attributes:
        store, place: which; of a request there is one of each.
        action: what becomes of the rows.
        expected: rows, as the approved plan counted them.
        actual: rows that went or were changed, over all runs.
        versions: of objects, that went.
        residual: what was found afterwards by another role and code; None: nobody has looked yet.
        state: planned, running or done.
        attempts: how often it was begun.
    """

    store: str
    place: str
    action: str
    expected: int
    actual: int
    versions: int
    residual: int | None
    state: str
    attempts: int


def plan_tasks(connection: Connection, request: int, tasks: Mapping[tuple[str, str], tuple[str, int]]) -> None:
    """What is approved to be done: action and rows by store and place.

    What went by an earlier plan of the same request stays counted: that much was expected, too.
    """
    connection.execute(
        "UPDATE platform.erasure_task SET expected = actual, state = 'done', residual = NULL WHERE request = %s",
        (request,),
    )
    for (store, place), (action, rows) in tasks.items():
        connection.execute(
            "INSERT INTO platform.erasure_task AS t (request, store, place, action, expected)"
            " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (request, store, place) DO UPDATE"
            " SET expected = t.actual + excluded.expected, state = 'planned', changed_at = clock_timestamp()",
            (request, store, place, action, rows),
        )


def begin_task(connection: Connection, request: int, store: str, place: str, action: str) -> None:
    """It is being done from now on; one that nobody planned expected nothing."""
    connection.execute(
        "INSERT INTO platform.erasure_task AS t (request, store, place, action, expected, state, attempts)"
        " VALUES (%s, %s, %s, %s, 0, 'running', 1) ON CONFLICT (request, store, place) DO UPDATE"
        " SET state = 'running', attempts = t.attempts + 1, changed_at = clock_timestamp()",
        (request, store, place, action),
    )


def end_task(
    connection: Connection, request: int, store: str, place: str, rows: int, *, versions: int = 0, total: bool = False
) -> None:
    """It is done for now.

    Args:
        rows: that went or were changed; in this run, or with ``total`` in all of them (of which none is forgotten).
        versions: of objects, in this run.
    """
    connection.execute(
        "UPDATE platform.erasure_task SET"
        " actual = CASE WHEN %(total)s THEN greatest(actual, %(rows)s) ELSE actual + %(rows)s END,"
        " versions = versions + %(versions)s, state = 'done', changed_at = clock_timestamp()"
        " WHERE request = %(request)s AND store = %(store)s AND place = %(place)s",
        {"rows": rows, "versions": versions, "total": total, "request": request, "store": store, "place": place},
    )


def note_residual(connection: Connection, request: int, left: Mapping[tuple[str, str], int]) -> None:
    """What somebody else found afterwards, by store and place; at every other place nothing."""
    connection.execute("UPDATE platform.erasure_task SET residual = 0 WHERE request = %s", (request,))
    for (store, place), count in left.items():
        connection.execute(
            "INSERT INTO platform.erasure_task AS t (request, store, place, action, expected, residual)"
            " VALUES (%s, %s, %s, 'delete', 0, %s) ON CONFLICT (request, store, place) DO UPDATE"
            " SET residual = excluded.residual, changed_at = clock_timestamp()",
            (request, store, place, count),
        )


def read_tasks(connection: Connection, request: int) -> list[Task]:
    """Of one request, by store and place."""
    rows = connection.execute(
        "SELECT store, place, action, expected, actual, versions, residual, state, attempts"
        " FROM platform.erasure_task WHERE request = %s ORDER BY store, place",
        (request,),
    )
    return [Task(*row) for row in rows]
