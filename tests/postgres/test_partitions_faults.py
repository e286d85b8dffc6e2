"""Maintenance of partitions that is cut off, refused or raced at any point: nothing half done, the next run ends it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from partitioned import AHEAD, QUICK, Place, kinds

from warehouse.partitions.actions import Action
from warehouse.partitions.apply import Work
from warehouse.postgres.sessions import connect


def steps(place: Place) -> int:
    return sum(len(action.statements) for action in place.plan())


def test_a_session_that_is_killed_after_any_statement_is_completed_by_the_next(place: Place) -> None:
    place.table()
    place("GRANT SELECT ON facts TO {}", place.app)
    killed = 0
    while due := steps(place):
        statement = killed % due
        with connect(place.dsn, see_all_rows=True) as connection:
            dying = Dying(connection, statement, place.kill)
            with pytest.raises(psycopg.OperationalError):
                dying.do(place.plan())
        killed += 1
        if killed == 12:
            assert not place.maintain().failed
    assert killed >= 8
    assert place.partitions() == ["facts_y2024m01", *AHEAD]
    assert kinds(place.plan()) == []


class Dying:
    """A connection whose backend is terminated after so many statements of a plan."""

    def __init__(self, connection: psycopg.Connection[Any], after: int, kill: Callable[[int], object]) -> None:
        self.connection, self.after, self.kill = connection, after, kill
        self.seen = 0

    def do(self, actions: list[Action]) -> None:
        for action in actions:
            if action.statements:
                Work(self, action, QUICK).go_on()  # type: ignore[arg-type]

    def transaction(self) -> Any:
        return self.connection.transaction()

    def execute(self, query: Any, parameters: Any = None) -> Any:
        answer = self.connection.execute(query, parameters)
        if isinstance(query, bytes):
            if self.seen == self.after:
                self.kill(self.connection.info.backend_pid)
            self.seen += 1
        return answer
