"""Erase a person's rows in a system's own tables: in short transactions that no writer has to wait for, as often as it
takes until a new count finds none.

Rows are found, locked, changed and counted through their partitioned parent, so none is missed that moves from one
partition to another meanwhile. Each transaction locks what nobody else has locked, looks at the rows again, and changes
those. A run that is cut off has changed whole rows only, and the next one finds what is left.

A row on the way to others goes only when all that it leads to is known (``grown``), and only when nothing references it
any longer, so the server never deletes or empties a row of the person by itself.

Where the partition key itself becomes a pseudonym, the row moves: a writer who waits for it just then is refused by
PostgreSQL ("already moved to another partition", 40001), as whenever a row moves.

What does not belong here: what is to happen (``planning``), and other stores.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from psycopg import Rollback, errors, sql

from warehouse.catalog.model import System
from warehouse.erasure import sql as queries
from warehouse.erasure.operational import TOGETHER, OperationalPlan, count, either, operational_reader, pending
from warehouse.erasure.planning import Emptied, Step
from warehouse.erasure.scope import Scope, find_scope
from warehouse.errors import ErasureRefused
from warehouse.postgres.locks import wait_at_most
from warehouse.postgres.persons import rows_about
from warehouse.postgres.sessions import Connection, translated

#: Values of one subject column that one statement asks for.
_VALUES = 1_000
#: Places that are read at once.
_PLACES = 100_000
#: Rows of one transaction, to begin with and at most; and how long one should take, in seconds: a writer who wants one
#: of its rows waits that long.
_FIRST, _MOST, _AIM = 200, 4_000, 0.06
#: Milliseconds that a transaction, which has rows locked already, waits for another lock.
_LOCK_TIMEOUT = 50
#: Rows that are waited for at once, where others hold them again and again.
_QUEUED = 20
_ROUNDS, _PAUSE = 60, 0.5
#: What others do at the same moment, the last a row that moves to another partition: the next look finds it there.
_IN_THE_WAY = (errors.LockNotAvailable, errors.DeadlockDetected, errors.SerializationFailure)


@dataclass(frozen=True)
class ErasedTable:
    """Of one table: rows that were to go or change, that did in this run, and that are still there."""

    table: str
    action: str
    expected: int
    actual: int
    residual: int


@dataclass(frozen=True)
class ErasedRows:
    """Of one system. It is done only when nothing is left (``done``)."""

    system: str
    tables: tuple[ErasedTable, ...]

    @property
    def done(self) -> bool:
        """Whether a count found none left."""
        return not any(each.residual for each in self.tables)


@dataclass
class _Pace:
    """How many rows a transaction takes, so that it is short on this server."""

    rows: int = _FIRST

    def note(self, rows: int, seconds: float) -> None:
        if rows >= self.rows // 2:
            self.rows = max(20, min(_MOST, int(self.rows * max(0.3, min(2.0, _AIM / max(seconds, 0.001))))))


@dataclass
class Erasing:
    """One system's rows of some persons.

    Attributes:
        source: a session in autocommit that sees all rows, of a role that may change them.
        system: the catalog's.
        plan: what was looked up and approved.
        scope: whose rows; it grows when the application writes rows from which ways lead on.
        pseudonyms: of the persons, by key; the same in every store.
        grown: keeps a scope that grew, before the rows go by which it was found.
        told: hears after each transaction how many rows of a table it changed.
        sleep: what waits.
    """

    source: Connection
    system: System
    plan: OperationalPlan
    scope: Scope
    pseudonyms: Mapping[str, str] = field(repr=False)
    grown: Callable[[Scope], None] = lambda _: None
    told: Callable[[str, int], None] = lambda _table, _rows: None
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        self._pace = _Pace()
        self._done: Counter[str] = Counter()
        self._beyond = False

    def run(self, rounds: int = _ROUNDS, pause: float = _PAUSE) -> ErasedRows:
        """Go on until a count finds nothing left, or others keep rows locked all through the rounds.

        Raises:
            ErasureRefused: numbers of rows that stay would change, or a row cannot be changed; what was done
                stays done.
        """
        keeps = any(step.action == "pseudonymise" for step in self.plan.steps)
        if keeps and not self.scope.persons <= set(self.pseudonyms):
            raise ErasureRefused([f"{self.system.system}: rows are kept by law, and not every person has a pseudonym"])
        self._done.clear()
        with translated(f"{self.system.system} (source)"):
            left: dict[str, int] = {}
            for remaining in reversed(range(rounds)):
                self._widen()
                self._beyond = False
                for step in self.plan.steps:
                    self._unlink(step)
                for step in self.plan.steps:
                    self._take(step)
                self._widen()
                left = {step.table: self._left(step) for step in self.plan.steps}
                if not remaining or not (any(left.values()) or self._beyond):
                    break
                self.sleep(pause)
        return ErasedRows(
            self.system.system,
            tuple(
                ErasedTable(each.table, each.action, each.rows, self._done[each.table], left[each.table])
                for each in self.plan.tables
            ),
        )

    def _left(self, step: Step) -> int:
        return count(self.source, sql.Identifier(*step.relation), either(self._pending(step)))

    def _pending(self, step: Step) -> dict[str, sql.Composed]:
        return pending(step, self.scope.about(step.table))

    def _widen(self) -> None:
        """Follow the ways again: the application may have written rows since."""
        found = find_scope(self.system, self.scope.persons, (operational_reader(self.source, self.system),))
        both = {
            table: {
                column: self.scope.about(table).get(column, frozenset()) | found.about(table).get(column, frozenset())
                for column in {*self.scope.about(table), *found.about(table)}
            }
            for table in {*self.scope.values, *found.values}
        }
        if both != self.scope.values:
            self.scope = Scope(self.scope.system, self.scope.persons, both)
            self.grown(self.scope)

    def _take(self, step: Step) -> None:
        if step.together:
            group = [each for each in self.plan.steps if each.table in step.together]
            if step is group[-1]:  # what references any of them has had its turn
                self._whole(group)
            return
        itself = any(guard.itself for guard in step.guards)
        if itself and self._left(step) <= TOGETHER:
            self._whole([step])
            return
        for subject, condition in self._units(step):
            self._pass(step, step.emptied[subject], condition)
        if itself and self._left(step) <= TOGETHER:
            self._whole([step])

    def _units(self, step: Step) -> Iterator[tuple[str, sql.Composed]]:
        """The rows of a step, some values of one subject column at a time: no statement becomes long."""
        for subject, values in self.scope.about(step.table).items():
            for some in _slices(sorted(values), _VALUES):
                for condition in pending(step, {subject: frozenset(some)}).values():
                    yield subject, condition

    def _unlink(self, step: Step) -> None:
        """Empty foreign keys of rows that will go, which would otherwise wait for one another."""
        emptied = tuple(Emptied(column, step.types[column], "null") for column in step.unlinked)
        if emptied:
            for subject, values in self.scope.about(step.table).items():
                for some in _slices(sorted(values), _VALUES):
                    about = rows_about(step.types, {subject: frozenset(some)})
                    self._pass(step, emptied, queries.about(about, emptied, ""), unlinking=True)

    def _pass(
        self, step: Step, emptied: Sequence[Emptied], condition: sql.Composed, *, unlinking: bool = False
    ) -> None:
        """Batch by batch, until no row of a condition is left that can be had."""
        relation = sql.Identifier(*step.relation)
        skip = True
        while True:
            gone = 0
            for part, bound, found in self.source.execute(queries.places(relation, condition, _PLACES)).fetchall():
                rest = list(found)
                while rest:
                    size = self._pace.rows if skip else _QUEUED
                    some, rest = rest[:size], rest[size:]
                    gone += self._batch(step, (part, bound), some, condition, emptied, unlinking, skip)
                    if not skip:  # the rest is another moment's
                        break
            if not gone and not skip:
                return
            skip = bool(gone)  # a row that is always in somebody's hands is waited for in the queue, briefly

    def _batch(
        self, step: Step, part: tuple[int, str | None], some: Sequence[str], condition: sql.Composed,
        emptied: Sequence[Emptied], unlinking: bool, skip: bool,
    ) -> int:  # fmt: skip
        """One short transaction; none of its rows, if a lock is not to be had."""
        relation = sql.Identifier(*step.relation)
        deletes = step.action == "delete" and not unlinking
        ways, totals = (() if unlinking else step.ways), (() if deletes or unlinking else step.totals)

        def here(places: Sequence[str]) -> sql.Composed:
            written = ",".join(f'"{place}"' for place in places)  # quoting each by the driver takes as long as deleting
            listed = sql.SQL("{}::tid[]").format(sql.Literal(f"{{{written}}}"))
            return sql.SQL("{} AND {}").format(queries.at(*part, listed), condition)

        began = time.monotonic()
        try:
            with self.source.transaction():
                wait_at_most(self.source, _LOCK_TIMEOUT)
                locked = self.source.execute(queries.lock(
                    relation, here(some), to_delete=deletes, skip=skip, ways=ways, totals=totals,
                )).fetchall()  # fmt: skip
                locked = [row for row in locked if self._known(step.table, ways, row[1 : 1 + len(ways)])]
                if not locked:
                    return 0
                mine = here([row[0] for row in locked])
                if deletes:
                    gone = self.source.execute(queries.delete(relation, mine, _free(step))).rowcount
                else:
                    gone = self._change(step, relation, mine, emptied, totals, [r[1 + len(ways) :] for r in locked])
        except _IN_THE_WAY:
            self._pace.note(self._pace.rows, 1.0)
            return 0
        except errors.ForeignKeyViolation as error:
            raise _refused(step, error.diag.message_primary) from None
        self._pace.note(len(some), time.monotonic() - began)
        if not unlinking:
            self._count(step.table, gone)
        return gone

    def _change(
        self, step: Step, relation: sql.Identifier, mine: sql.Composed, emptied: Sequence[Emptied],
        totals: Sequence[str], before: Sequence[Sequence[Any]],
    ) -> int:  # fmt: skip
        new = {each.column: queries.new_value(each, self.pseudonyms) for each in emptied}
        changed = self.source.execute(queries.update(relation, mine, new, totals)).fetchall()
        if len(changed) != len(before):
            raise _refused(step, f"{len(before) - len(changed):,} rows were left as they are by a trigger or a rule")
        for place, column in enumerate(totals):
            if sorted(map(str, (row[place] for row in before))) != sorted(str(row[place + 1]) for row in changed):
                raise _refused(step, f"column {column} changes with it, by a trigger")
        return len(changed)

    def _known(self, table: str, ways: Sequence[str], values: Sequence[str | None]) -> bool:
        """Whether all rows that a row leads to are known; else it stays until they are."""
        for column, value in zip(ways, values, strict=True):
            if value is not None and value not in self._leads(table, column):
                self._beyond = True
                return False
        return True

    def _leads(self, table: str, column: str) -> Set[str]:
        """The values of a column that are known to lead from a table's rows to others."""
        for name, other in self.system.tables.items():
            for each in other.subjects:
                if each.table == table and (each.to or self.system.tables[table].key[0]) == column:
                    return self.scope.about(name).get(each.column, frozenset())
        return frozenset()

    def _whole(self, steps: Sequence[Step]) -> None:
        """Rows that reference one another, in one transaction."""
        conditions = {step.table: either(self._pending(step)) for step in steps}
        names = {step.relation: step.table for step in steps}
        gone: dict[str, int] = {}
        locked = 0
        try:
            with self.source.transaction() as transaction:
                wait_at_most(self.source, _LOCK_TIMEOUT)
                self.source.execute("SET CONSTRAINTS ALL DEFERRED")
                for step in steps:
                    relation = sql.Identifier(*step.relation)
                    rows = self.source.execute(queries.lock(
                        relation, conditions[step.table], to_delete=True, skip=False, ways=step.ways, totals=(),
                    )).fetchall()  # fmt: skip
                    if not all(self._known(step.table, step.ways, row[1:]) for row in rows):
                        return
                    locked += len(rows)
                for step in steps:
                    free = [
                        queries.unreferenced(
                            sql.Identifier(*guard.child), guard.columns, guard.referenced,
                            queries.is_not(conditions[names[guard.child]]) if guard.child in names else None,
                        )
                        for guard in step.guards
                    ]  # fmt: skip
                    query = queries.delete(sql.Identifier(*step.relation), conditions[step.table], free)
                    gone[step.table] = self.source.execute(query).rowcount
                if len(steps) > 1 and sum(gone.values()) < locked:  # others reference one of them still
                    gone.clear()
                    raise Rollback(transaction)
        except _IN_THE_WAY:
            return
        except errors.ForeignKeyViolation as error:
            raise _refused(steps[0], error.diag.message_primary) from None
        for table, rows in gone.items():
            self._count(table, rows)

    def _count(self, table: str, rows: int) -> None:
        self._done[table] += rows
        self.told(table, rows)


def _free(step: Step) -> list[sql.Composed]:
    return [queries.unreferenced(sql.Identifier(*g.child), g.columns, g.referenced) for g in step.guards]


def _slices(values: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


def _refused(step: Step, what: str | None) -> ErasureRefused:
    return ErasureRefused(
        [f"{'.'.join(step.relation)}: rows could not be erased: {what}"],
        hint="Nothing of this step was kept; what went before stays gone. Mend it, then run again.",
    )


def erase_operational(
    source: Connection,
    system: System,
    plan: OperationalPlan,
    scope: Scope,
    pseudonyms: Mapping[str, str],
    *,
    grown: Callable[[Scope], None] = lambda _: None,
    told: Callable[[str, int], None] = lambda _table, _rows: None,
    sleep: Callable[[float], None] = time.sleep,
) -> ErasedRows:
    """Erase rows, see ``Erasing``."""
    return Erasing(source, system, plan, scope, pseudonyms, grown, told, sleep).run()
