"""Carry out partition maintenance: one maintainer per table, short locks, jittered retries.

A table is read, planned and worked on under one advisory lock. Each action is a transaction of its own, save that
creations share one while it is short: a run that ends anywhere leaves nothing half done, and the next one plans what is
left. Only building an index cannot be one: what it leaves is taken away at once, or by the next run.
"""

from __future__ import annotations

import datetime as dt
import logging
import random
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import takewhile

import psycopg
from psycopg import errors, sql

from warehouse.catalog.partition import RangePartition
from warehouse.errors import Busy
from warehouse.partitions.actions import ACCESS_EXCLUSIVE, Action, Statement
from warehouse.partitions.facts import PartitionedTable
from warehouse.partitions.holders import holders
from warehouse.partitions.plan import plan, wanted
from warehouse.partitions.reading import read_partitioned
from warehouse.partitions.targets import Target
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
        vacuum_timeout: milliseconds that vacuum and ANALYZE are waited for where writers do not wait with us.
        build_timeout: milliseconds that building an index, or dropping the rest of one, waits for older transactions.
            It holds up no writer meanwhile, and what was given up is begun anew by the next run only.
        attempts: before an action is given up; the next run tries again.
        pause: seconds between two attempts, on average; each is drawn from half to one and a half of it.
        sleep: what waits.
    """

    lock_timeout: int = 200
    vacuum_timeout: int = 5_000
    build_timeout: int = 120_000
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
                    if _carry_out(connection, where, changes, patience, report, 0 if last else together, give_up=last):
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
    where: tuple[str, str],
    actions: Sequence[Action],
    patience: Patience,
    report: Report,
    together: float,
    *,
    give_up: bool,
) -> bool:
    """Do actions in order. False: somebody else made one of them meanwhile, so the rest should be planned anew.

    Raises:
        psycopg.Error: the session is lost. Whatever else the server says is about one action, and the next ones go on.
    """
    left = list(actions)
    while left:
        began = time.monotonic()
        work = Work(connection, left, patience, together)
        attempt, failure = 0, ""
        while attempt < patience.attempts:
            attempt, failure = attempt + 1, ""
            try:
                with _warnings(connection) as warned:
                    work.go_on()
                if left[0].kind == "analyze":
                    failure = next((text for text in warned if f'"{where[1]}"' in text), "")
                break
            except (errors.LockNotAvailable, errors.DeadlockDetected) as error:
                failure = str(error.diag.message_primary)
                if work.waited_long or attempt == patience.attempts:
                    failure += _held(connection, where, left[0], work)
                    break
                patience.sleep(patience.pause * random.uniform(0.5, 1.5))  # noqa: S311
            except (errors.DuplicateTable, errors.DuplicateObject, errors.InvalidObjectDefinition) as error:
                if not give_up:
                    return False
                failure = str(error.diag.message_primary)
                break
            except psycopg.Error as error:
                if connection.closed or connection.broken:
                    raise
                failure = str(error.diag.message_primary or error)
                if not work.shared:
                    break
                attempt, work.together = attempt - 1, 0  # one by one: then it is told which of them it is about
        took = (time.monotonic() - began) / work.count
        for action in left[: work.count]:
            report.done.append(Done(action, attempt, took, failure))
            outcome = f"not done: {failure}" if failure else "done"
            _log.info("%s.%s: %s %s %s", action.system, action.table, action.kind, action.partition, outcome)
        del left[: work.count]
    return True


@contextmanager
def _warnings(connection: Connection) -> Generator[list[str]]:
    """What the server warns of in the block. ANALYZE of somebody else's table does nothing, and only warns."""
    found: list[str] = []

    def hear(said: psycopg.errors.Diagnostic) -> None:
        if said.severity_nonlocalized == "WARNING":
            found.append(said.message_primary or "")

    connection.add_notice_handler(hear)
    try:
        yield found
    finally:
        connection.remove_notice_handler(hear)


def _held(connection: Connection, where: tuple[str, str], action: Action, work: Work) -> str:
    """By whom, right after the wait for a lock was given up."""
    told = [statement.lock.partition(" on ") for statement in work.left if statement.lock]
    long = work.waited_long
    # What builds an index beside writers waits for whoever uses the table at all.
    locks = [(ACCESS_EXCLUSIVE if long else lock, name) for lock, _, name in told]
    by = holders(connection, *where, locks, attaching=action.kind == "create", building=long)
    return f"; held by {by}" if by else ""


class Work:
    """The first of some actions under way: in one transaction, or statement by statement where each is one of its own;
    with a creation, some of the creations that follow it.

    Attributes:
        left: statements of the first that are not done.
        together: about how many seconds creations share a transaction.
        count: actions that were done.
        shared: what failed may have been a creation that follows the first.
        waited_long: the statement that failed had the longer of the two patiences.
    """

    def __init__(
        self, connection: Connection, actions: Sequence[Action], patience: Patience, together: float = 0
    ) -> None:
        self.connection, self.actions, self.patience, self.together = connection, actions, patience, together
        self.left = list(actions[0].statements)
        self.count = 1
        self.shared = False
        self.waited_long = False

    def go_on(self) -> None:
        """Do what is left. What fails in a transaction leaves nothing; what fails alone is undone at once if it can be,
        and else when the next run finds it.

        Raises:
            psycopg.Error: as the server says.
        """
        self.shared = False
        if not self.actions[0].alone:
            with self.connection.transaction():
                self.connection.execute(
                    "SELECT set_config('lock_timeout', %s, true), set_config('client_min_messages', 'warning', true)",
                    (f"{self.patience.lock_timeout}ms",),
                )
                began = time.monotonic()
                for statement in self.left:
                    self.connection.execute(statement.sql.encode())
                more = self._with_it(time.monotonic() - began)
                self.shared = bool(more)
                if more:  # in one message: on a busy server, each answer is waited for
                    statements = [statement.sql for action in more for statement in action.statements]
                    self.connection.execute(";\n".join(statements).encode())
            self.count = 1 + len(more)
            return
        try:
            while self.left:
                self._alone(self.left[0])
                del self.left[0]
        finally:
            if not self.connection.broken and not self.connection.closed:
                self.connection.execute("RESET lock_timeout")

    def _with_it(self, seconds: float) -> list[Action]:
        """Creations that follow the first one, as many as should fit if each takes so long."""
        fitting = int(self.together / seconds)
        both = takewhile(lambda action: self.actions[0].kind == action.kind == "create", self.actions[1:fitting])
        return list(both)

    def _alone(self, statement: Statement) -> None:
        self.waited_long = statement.patient
        timeout = self.patience.build_timeout if statement.patient else self.patience.lock_timeout
        self.connection.execute("SELECT set_config('lock_timeout', %s, false)", (f"{timeout}ms",))
        try:
            self.connection.execute(statement.sql.encode())
        except psycopg.Error as error:
            # What has the name already was not left by this attempt.
            if statement.undo and not isinstance(error, errors.DuplicateTable):
                with suppress(psycopg.Error):
                    self.connection.execute(statement.undo.encode())
            raise
