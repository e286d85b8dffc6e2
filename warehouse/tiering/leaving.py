"""Hot to warm: a month leaves its operational database, once the warehouse has every row of it.

Each step ends in a state of the ledger, and can be repeated by anybody from there:

1. planned: from now on ingestion leaves the month alone.
2. detached: in one transaction of the source the partition stands alone, refuses every change, and an empty one takes
   its place, so that rows that come late are taken. A cut-off is known by the partition's name.
3. flipped: the warehouse has exactly its rows, or was given them; readers take them from there.
4. dropped: after a while, when both were compared once more in the transaction that drops it.

Rows that came late walk the same way: the partition that took them leaves as the month itself did (``part`` 1 and on),
and its rows join the month in the warehouse.
What does not belong here: which months are due (``plan``).
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass

from psycopg import errors, sql

from warehouse.catalog.naming import left_name
from warehouse.errors import Busy, CatalogMismatch, ExportRefused
from warehouse.lake.content import NOTHING, Content, content_on_server
from warehouse.postgres.introspection import LivePartition
from warehouse.postgres.locks import attempt
from warehouse.postgres.relations import is_there
from warehouse.postgres.sessions import Connection, Dsn, translated
from warehouse.state.content import Content as Chunk
from warehouse.state.content import read_content, record_content
from warehouse.state.erased import erased_content
from warehouse.state.expiries import expired_content
from warehouse.state.moves import Move, advance, begin, due_in_warehouse, in_lake
from warehouse.state.raw_store import RawTable
from warehouse.state.returning import come_back
from warehouse.state.tiered import Tiered
from warehouse.tiering import sql as queries

_TRUE = sql.SQL("true")
_ATTEMPTS, _LOCK_TIMEOUT, _PAUSE = 30, 200, 0.5


@dataclass(frozen=True)
class Leaving:
    """One table's months on their way out of its source. The warehouse's session holds the table's ingestion lock.

    Attributes:
        source: a session of a member of the table's owner, in autocommit, that sees all rows.
        dsn: of the warehouse, for the session that sends rows back.
        warehouse: the session that keeps the ledger.
        table: which.
        raw: the same, as its writers have it, with the source's columns.
        keep_until: until when what left is kept.
        run_id: noted in the ledger.
        sleep: what waits between attempts to get a lock.
    """

    source: Connection
    dsn: Dsn
    warehouse: Connection
    table: Tiered
    raw: RawTable
    keep_until: dt.datetime
    run_id: str | None = None
    sleep: Callable[[float], None] = time.sleep

    @property
    def parent(self) -> sql.Identifier:
        """The partitioned table at the source."""
        return sql.Identifier(*self.table.system.source_of(self.table.name))

    def start(self, month: dt.date, part: int, reason: str) -> Move:
        """Note a move."""
        with self.warehouse.transaction():
            return begin(
                self.warehouse, self.table.system.system, self.table.name, month, "hot",
                part=part, reason=reason, run_id=self.run_id,
            )  # fmt: skip

    def go_on(self, move: Move, partition: LivePartition | None) -> Move:
        """Take a move from where it is to ``flipped``; or to ``undone``, if there is nothing to move any more.

        Args:
            move: planned or detached.
            partition: the month's at the source now.

        Raises:
            Busy: a lock was not to be had; the next run goes on.
            CatalogMismatch: source and warehouse have not the same columns; nothing was moved.
            ExportRefused: the warehouse could not be made equal.
        """
        if move.state == "planned":
            self._refuse_drift()
            move = self._detach(move, partition)
        if move.state == "detached":
            move = self._settle(move)
        return move

    def _refuse_drift(self) -> None:
        """What only one side has would be lost with the month, or missed in every comparison."""
        there, here = set(self.raw.carriage.names), {column.name for column in self.table.columns}
        if there != here:
            told = ", ".join(sorted(there ^ here))
            raise CatalogMismatch(
                f"{self.table.where}: source and warehouse have not the same columns: {told}",
                hint=f"Nothing was moved. Ingest it first: `drivetrain ingest {self.table.where}`.",
            )

    def _left(self, move: Move) -> sql.Identifier:
        return sql.Identifier(self.table.system.source_of(self.table.name)[0], left_name(move.id))

    def _detach(self, move: Move, partition: LivePartition | None) -> Move:
        aside, left = left_name(move.id), self._left(move)
        if not is_there(self.source, left):
            if partition is None:
                with self.warehouse.transaction():
                    gone = {"why": "the source has no partition of the month any more"}
                    return advance(self.warehouse, move, "undone", detail=gone, run_id=self.run_id)
            self._patiently(move, lambda: self._stand_alone(move, partition, aside))
        with self.warehouse.transaction():
            return advance(
                self.warehouse, move, "detached", relation=left.as_string(self.warehouse), run_id=self.run_id
            )

    def _stand_alone(self, move: Move, partition: LivePartition, aside: str) -> None:
        """In the caller's transaction."""
        run = self.source.execute
        was = sql.Identifier(partition.schema, partition.name)
        schema = self.table.system.source_of(self.table.name)[0]
        references = run(queries.REFERENCES, (was.as_string(self.source),)).fetchall()
        for _, *referenced, lockable in references:  # first: nobody waits for the table while this waits for them
            if lockable:
                run(sql.SQL("LOCK TABLE ONLY {} IN ACCESS EXCLUSIVE MODE").format(sql.Identifier(*referenced)))
        run(sql.SQL("LOCK TABLE ONLY {} IN ACCESS EXCLUSIVE MODE").format(self.parent))
        run(sql.SQL("ALTER TABLE {} DETACH PARTITION {}").format(self.parent, was))
        if partition.schema != schema:
            run(sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(was, sql.Identifier(schema)))
        run(
            sql.SQL("ALTER TABLE {} RENAME TO {}").format(sql.Identifier(schema, partition.name), sql.Identifier(aside))
        )
        for name in dict.fromkeys(name for name, *_ in references):
            # Or deleting a person would mean to change rows (ON DELETE ...) that are no longer the source's.
            run(
                sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(sql.Identifier(schema, aside), sql.Identifier(name))
            )
        told = f"{move.name} has moved to the warehouse: it is no longer changed here"
        bound = sql.SQL(partition.bound)  # type: ignore[arg-type]  # pg_get_expr() output
        ((owner,),) = run(queries.OWNER, (self.parent.as_string(self.source),)).fetchall()
        for statement in (
            *queries.guard(schema, aside, told),
            *queries.late_partition(self.parent, partition.schema, partition.name, bound, owner),
        ):
            run(statement)
        run(
            sql.SQL("COMMENT ON TABLE {} IS {}").format(
                sql.Identifier(schema, aside), sql.Literal(f"Drivetrain moves {move.name}: `drivetrain tiers apply`.")
            )
        )

    def _settle(self, move: Move) -> Move:
        """The warehouse has what left; else it is given that, as ingestion would have."""
        left = self._left(move)
        with translated(f"{move.name} (source)"):
            kept = self._content(left)
        cold = in_lake(self.warehouse, move.system, move.table, move.month)
        if cold is not None:  # models look at whole months, and so does whoever corrects a row
            come_back(self.dsn, self.warehouse, self.table, self.raw, cold, f"rows came late: move {move.id}")
        with translated(f"{move.name} (warehouse)"), self.warehouse.transaction():
            before = self._held(move.month)
            late = bool(move.part and before.rows)
            same = not late and before == kept
            if late:
                self._join(move, left, kept)
            elif not same:
                self._load(move, left)
            held = before if same else self._held(move.month)  # a month is hashed no more often than it must be
            added = held - (before if move.part else NOTHING)
            if not late and added != kept:
                raise _unequal(move, added, kept)
            self._record(move.month, held.rows if same else None)
            return advance(
                self.warehouse, move, "flipped",
                kept=kept, content=added, keep_until=self.keep_until, run_id=self.run_id,
            )  # fmt: skip

    def _names(self, left: sql.Identifier) -> set[str]:
        """Columns of a table that left. It lacks those that were added afterwards."""
        rows = self.source.execute(
            "SELECT attname::text FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            (left.as_string(self.source),),
        )
        return {name for (name,) in rows}

    def _content(self, left: sql.Identifier) -> Content:
        names = self._names(left)
        stored = [column for column in self.table.columns if column.name in names]
        return content_on_server(self.source, left, stored, _TRUE)

    def _held(self, month: dt.date) -> Content:
        if month not in self.raw.months():
            return NOTHING
        return content_on_server(self.warehouse, self.table.child(month), self.table.columns, _TRUE)

    def _load(self, move: Move, left: sql.Identifier) -> None:
        """The month whole, in place of what the warehouse has of it."""
        child = self.raw.begin_child()
        self.raw.receive(self.source, self._select(left), child, fresh=True)
        self.raw.finish_child(move.month)

    def _join(self, move: Move, left: sql.Identifier, kept: Content) -> None:
        """Late rows join the month; one whose key is there already is a correction of it."""
        staged = self.raw.stage("late")
        self.raw.receive(self.source, self._select(left), staged)
        self.raw.merge(staged, _TRUE, {}, month=move.month)
        child = self.table.child(move.month)
        same = sql.SQL(" AND ").join(
            sql.SQL("staged.{0} = {1}.{0}").format(sql.Identifier(name), child) for name in self.table.policy.key
        )
        among = sql.SQL("EXISTS (SELECT FROM {} AS staged WHERE {})").format(staged, same)
        found = content_on_server(self.warehouse, child, self.table.columns, among)
        if found != kept:
            raise _unequal(move, found, kept)

    def _record(self, month: dt.date, same: int | None) -> None:
        """What the warehouse has of the month now, as ingestion notes it.

        Args:
            month: which.
            same: rows that were there already, and are as ingestion noted them; None: what it noted is over.
        """
        system, name, chunk = self.table.system.system, self.table.name, f"{month:%Y-%m}"
        known = read_content(self.warehouse, system, name).get(chunk) if same is not None else None
        if known is not None and known.held.rows == same:
            held = known.held
        else:
            found = self.raw.fingerprints(sql.SQL("0"), of=self.table.child(month))
            held = next(iter(found.values()), None)
        if held is not None:
            record_content(self.warehouse, system, name, {chunk: Chunk(held, True)}, dt.datetime.now(dt.UTC))

    def _select(self, left: sql.Identifier) -> sql.Composed:
        names = self._names(left)
        columns = [sql.Identifier(name) if name in names else sql.SQL("NULL") for name in self.raw.carriage.names]
        return sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(columns), left)

    def drop(self, moves: list[Move], move: Move) -> Move:
        """Drop what left, if the warehouse has its rows still.

        Args:
            moves: all of the table that left the source: together they are what the warehouse has of the month.
            move: flipped.

        Raises:
            ExportRefused: it has not. Nothing was dropped.
            Busy: a lock was not to be had.
        """
        left = self._left(move)
        with translated(move.name), self.warehouse.transaction():
            of = (move.system, move.table, move.month)
            ended = expired_content(self.warehouse, *of) + erased_content(self.warehouse, *of)
            held, due = self._held(move.month), due_in_warehouse(moves, move.month, ended)
            if held != due:
                raise _unequal(move, held, due)
            if is_there(self.source, left):
                self._patiently(move, lambda: self._drop(move, left))
            return advance(self.warehouse, move, "dropped", run_id=self.run_id)

    def _drop(self, move: Move, left: sql.Identifier) -> None:
        """In a transaction of the source, which ends before the ledger's: a cut-off between leaves nothing to drop."""
        run = self.source.execute
        run(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(left))
        found = self._content(left)
        if found != move.kept:
            raise _unequal(move, move.kept or NOTHING, found)
        run(sql.SQL("DROP TABLE {}").format(left))
        schema = self.table.system.source_of(self.table.name)[0]
        run(sql.SQL("DROP FUNCTION {}()").format(sql.Identifier(schema, f"{left_name(move.id)}_guard")))

    def _patiently(self, move: Move, work: Callable[[], None]) -> None:
        """Do work in one transaction of the source under a short lock timeout; again after a jittered pause."""
        try:
            attempt(self.source, work, lock_timeout=_LOCK_TIMEOUT, attempts=_ATTEMPTS, pause=_PAUSE, sleep=self.sleep)
        except (errors.LockNotAvailable, errors.DeadlockDetected) as error:
            raise Busy(
                f"{move.name}: no lock in {_ATTEMPTS} attempts: {error.diag.message_primary}",
                hint="Nothing was moved. End the long transaction (pg_stat_activity); the next run goes on.",
            ) from error


def _unequal(move: Move, found: Content, due: Content) -> ExportRefused:
    return ExportRefused(
        f"{move.name}: the warehouse has {found.rows:,} rows ({found.hash:016x}), and {due.rows:,} ({due.hash:016x}) "
        "left the source",
        hint="Nothing was dropped: what left the source is there still. `drivetrain prove` says more.",
    )
