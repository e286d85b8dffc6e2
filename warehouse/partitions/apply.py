"""Carry out partition maintenance: one maintainer per table, short locks, jittered retries.

A table is read, planned and worked on under one advisory lock. Each action is a transaction of its own, save that
creations share one while it is short: a run that ends anywhere leaves nothing half done, and the next one plans what is
left.
"""

from __future__ import annotations

import datetime as dt
import itertools
import logging
import random
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from psycopg import errors, sql

from warehouse.catalog.partition import RangePartition
from warehouse.errors import Busy
from warehouse.partitions.actions import Action
from warehouse.partitions.facts import PartitionedTable
from warehouse.partitions.plan import Target, plan, wanted
from warehouse.partitions.reading import read_partitioned
from warehouse.postgres.bounds import Span
from warehouse.postgres.sessions import Connection, translated

_log = logging.getLogger(__name__)

#: About how many seconds creations share a transaction. Every commit lets each session that uses the table read all its
#: bounds again; but what a creation locks beside the table (a default partition, the tables of foreign keys) stays
#: locked until the commit. Only the first creation of a transaction can wait for a lock.
TOGETHER = 0.1
#: The same where nothing else is locked: no writer or reader waits for it.
TOGETHER_UNNOTICED = 1.0


@dataclass(frozen=True)
class Patience:
    """How long to wait for other sessions' locks, and how often.

    Attributes:
        lock_timeout: milliseconds that one attempt waits. Whoever comes after a waiting ACCESS EXCLUSIVE waits with
            it, so this is also about the longest that maintenance holds up a writer.
        attempts: before an action is given up; the next run tries again.
        pause: seconds between two attempts, on average; each is drawn from half to one and a half of it.
        sleep: what waits.
    """

    lock_timeout: int = 200
    attempts: int = 30
    pause: float = 0.5
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True)
class Done:
    """One action, carried out or not.

    Attributes:
        attempts: transactions that were begun.
        seconds: in all, pauses included; an equal share of a transaction's where several actions shared it.
        failure: why it was given up; '' where it was done.
    """

    action: Action
    attempts: int
    seconds: float
    failure: str = ""


@dataclass
class Report:
    """What a run did to one table."""

    target: Target
    done: list[Done] = field(default_factory=list[Done])
    findings: list[Action] = field(default_factory=list[Action])
    busy: str = ""

    @property
    def failed(self) -> bool:
        """Whether anything that was due is not done."""
        return bool(self.busy) or any(done.failure for done in self.done)


def read_and_plan(
    connection: Connection, targets: Sequence[tuple[Target, tuple[str, str]]], at: dt.datetime, *, sizes: bool = False
) -> list[tuple[Target, PartitionedTable | None, list[Action]]]:
    """Facts and plan of tables of one database; nothing is changed.

    Args:
        connection: a canonical session.
        targets: each with the schema and name that it has in this database.
        at: the moment that decides which period is the current one.
        sizes: read bytes too.
    """
    facts = read_partitioned(connection, [where for _, where in targets], sizes=sizes)
    planned: list[tuple[Target, PartitionedTable | None, list[Action]]] = []
    for target, where in targets:
        table = facts.get(where)
        planned.append((target, table, plan(target, table, at, _occupied(connection, target, table, at))))
    return planned


def _occupied(
    connection: Connection, target: Target, table: PartitionedTable | None, at: dt.datetime
) -> dict[Span, bool]:
    """Whether a default partition holds rows of each range that is due."""
    if table is None or not isinstance(target.declared, RangePartition) or table.columns != (target.declared.range,):
        return {}
    default = next((part for part in table.parts if part.default and part.filled), None)
    if default is None:
        return {}
    query = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE {column} >= %s AND {column} < %s)").format(
        sql.Identifier(default.schema, default.name), column=sql.Identifier(target.declared.range)
    )
    found: dict[Span, bool] = {}
    for span in wanted(target.declared, table, at):
        row = connection.execute(query, (span.start, span.end)).fetchone()
        found[span] = bool(row and row[0])
    return found


def maintain(
    connection: Connection,
    target: Target,
    where: tuple[str, str],
    at: dt.datetime,
    patience: Patience | None = None,
) -> Report:
    """Do what is due for one table.

    Args:
        connection: a canonical session in autocommit, of a role that is a member of the table's owner.
        target: the table and its policy.
        where: its schema and name in this database.
        at: the moment that decides which period is the current one.
        patience: with other sessions' locks.

    Returns:
        What was done, and what somebody should know. A lock that could not be had is a failure in it, not an error.

    Raises:
        AccessDenied, ServerUnavailable, ...: as ``sessions.translated``.
    """
    patience = patience or Patience()
    label = f"{target.system}.{target.table} ({target.where})"
    report = Report(target)
    with translated(label):
        try:
            with maintainer(connection, where):
                # Somebody may make by hand what is planned: then once more, with what there is by now.
                for last in (False, True):
                    ((_, table, actions),) = read_and_plan(connection, [(target, where)], at)
                    together = TOGETHER if table is None or table.locks_others else TOGETHER_UNNOTICED
                    report.findings = [action for action in actions if not action.statements]
                    changes = [action for action in actions if action.statements]
                    # The last time one by one: a failure is then that of its action.
                    if _carry_out(connection, changes, patience, report, 0 if last else together, give_up=last):
                        break
        except Busy as busy:
            report.busy = busy.message
    return report


@contextmanager
def maintainer(connection: Connection, where: tuple[str, str]) -> Generator[None]:
    """Be the only maintainer of a table for the block; the lock goes with the session, however it ends.

    Raises:
        Busy: somebody else is.
    """
    key = f"drivetrain partitions {where[0]}.{where[1]}"
    row = connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (key,)).fetchone()
    if row is None or not row[0]:
        raise Busy(f"{where[0]}.{where[1]}: another maintenance run is at work on it", hint="It does what is due.")
    try:
        yield
    finally:
        if not connection.broken and not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", (key,))


def _carry_out(
    connection: Connection,
    actions: Sequence[Action],
    patience: Patience,
    report: Report,
    together: float,
    *,
    give_up: bool,
) -> bool:
    """Do actions in order. False: somebody else made one of them meanwhile, so the rest should be planned anew."""
    left = list(actions)
    while left:
        began = time.monotonic()
        attempt, count, failure = 0, 1, ""
        while attempt < patience.attempts:
            attempt, failure = attempt + 1, ""
            try:
                count = run(connection, left, patience.lock_timeout, together)
                break
            except (errors.LockNotAvailable, errors.DeadlockDetected, errors.QueryCanceled) as error:
                failure = str(error.diag.message_primary)
                if attempt < patience.attempts:
                    patience.sleep(patience.pause * random.uniform(0.5, 1.5))  # noqa: S311
            except (errors.DuplicateTable, errors.DuplicateObject, errors.InvalidObjectDefinition) as error:
                if not give_up:
                    return False
                failure = str(error.diag.message_primary)
                break
        took = (time.monotonic() - began) / count
        for action in left[:count]:
            report.done.append(Done(action, attempt, took, failure))
            outcome = f"not done: {failure}" if failure else "done"
            _log.info("%s.%s: %s %s %s", action.system, action.table, action.kind, action.partition, outcome)
        del left[:count]
    return True


def run(connection: Connection, actions: Sequence[Action], lock_timeout: int, together: float = 0) -> int:
    """The first of some actions in one transaction, or each of its statements alone where it says so; where it creates
    a partition, as many of the following creations with it as should take ``together`` seconds.

    Returns:
        How many were done.
    """
    first = actions[0]
    if first.alone:
        connection.execute("SELECT set_config('lock_timeout', %s, false)", (f"{lock_timeout}ms",))
        try:
            for statement in first.statements:
                connection.execute(statement.sql.encode())
        finally:
            if not connection.broken and not connection.closed:
                connection.execute("RESET lock_timeout")
        return 1
    with connection.transaction():
        connection.execute("SELECT set_config('lock_timeout', %s, true)", (f"{lock_timeout}ms",))
        began = time.monotonic()
        for statement in first.statements:
            connection.execute(statement.sql.encode())
        fitting = int(together / (time.monotonic() - began))
        more = list(itertools.takewhile(lambda action: first.kind == action.kind == "create", actions[1:fitting]))
        if more:  # in one message: on a busy server, each answer is waited for
            connection.execute(";\n".join(statement.sql for action in more for statement in action.statements).encode())
    return 1 + len(more)
