"""Take rows that reached their retention out of one table: at its source, in the warehouse, in the lake.

Each step looks at the legal holds in the transaction that deletes, and ends when what went was looked for and is
nowhere there. A step that is cut off is known by its record, and the next run ends it.
What does not belong here: what is due (``plan``).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from psycopg import errors, sql

from warehouse.errors import Busy, CatalogMismatch, ExportRefused, LakeUnavailable, LegalHold
from warehouse.lake.content import NOTHING, Content, content_on_server
from warehouse.lake.export import DataFile
from warehouse.lake.rewrite import Changed, Rewriting
from warehouse.postgres.fingerprints import WHOLE, fingerprints, total
from warehouse.postgres.locks import attempt, wait_at_most
from warehouse.postgres.relations import is_there
from warehouse.postgres.sessions import Connection, translated
from warehouse.retention import sql as queries
from warehouse.retention.holding import Held, read_held
from warehouse.retention.plan import OldPartition, Step
from warehouse.state.content import WHOLE_CHUNK, amend_content, forget_content
from warehouse.state.expiries import Expiry, begin_expiry, count_expired, end_expiry
from warehouse.state.holds import keep_holds_still
from warehouse.state.moves import in_lake, months_that_left, read_files, replace_files
from warehouse.state.raw_store import RawTable
from warehouse.state.settling import settle_months
from warehouse.state.tiered import Tiered

_ATTEMPTS, _LOCK_TIMEOUT, _PAUSE = 30, 200, 0.5


@dataclass(frozen=True)
class Expiring:
    """One table. The warehouse's session holds its ingestion lock.

    Attributes:
        source: a session of a member of the table's owner, in autocommit, that sees all rows.
        warehouse: the session that keeps the ledger.
        table: which.
        raw: the same, as its writers have it.
        run_id: noted in the ledger.
    """

    source: Connection
    warehouse: Connection
    table: Tiered
    raw: RawTable
    run_id: str | None = None

    @property
    def _whose(self) -> tuple[str, str]:
        return self.table.system.system, self.table.name

    @property
    def _at_source(self) -> sql.Identifier:
        return sql.Identifier(*self.table.system.source_of(self.table.name))

    def take(self, step: Step) -> int:
        """Do what a step says; returns the rows that went.

        Raises:
            Busy: others held a lock, or rows, all through the attempts.
            LegalHold: a hold was placed meanwhile.
            ExportRefused: the lake is not what it was; nothing of it went.
            LakeUnavailable: the lake does not answer.
        """
        if step.expiry is not None:
            return self._end(step.expiry)
        if step.partition is not None:
            return self._drop(step, step.partition)
        if step.tier == "hot":
            return self._delete(step, self._begin(step))
        return self._warm(step) if step.tier == "warm" else self._cold(step)

    def _begin(self, step: Step, rows: int = 0) -> int:
        with self.warehouse.transaction():
            return begin_expiry(
                self.warehouse, *self._whose, step.month, step.tier, step.before, step.reason,
                gone=Content(rows, 0, 0), run_id=self.run_id,
            )  # fmt: skip

    def _end(self, expiry: Expiry) -> int:
        if expiry.tier == "cold":
            assert expiry.month is not None
            self._settle(expiry.id, expiry.month, ())
            return 0
        step = Step("delete", "hot", expiry.month, expiry.before, "was begun")
        return self._delete(step, expiry.id)

    def _earlier(self, step: Step) -> sql.Composed:
        time = self.table.policy.time
        assert time is not None
        kind = next(column.type_name for column in self.table.columns if column.name == time)
        return queries.earlier(time, kind, step.before, step.month)

    def _held(self) -> Held:
        """What must stay, in a transaction that keeps the holds still.

        Raises:
            LegalHold: everything must.
        """
        keep_holds_still(self.warehouse)
        held = read_held(self.warehouse, self.table.system, self.table.name)
        if held.frozen is not None:
            raise LegalHold(f"{self.table.where}: legal hold: {held.frozen}", hint="Nothing was deleted.")
        return held

    def _delete(self, step: Step, expiry: int) -> int:
        """Rows at the source, some at a time."""
        went, kept = 0, 0
        while True:
            with translated(f"{self.table.where} (source)"), self.warehouse.transaction():
                condition = sql.SQL("{} AND {}").format(self._earlier(step), queries.not_held(self._held().values))
                try:
                    with self.source.transaction():
                        wait_at_most(self.source, 10_000)
                        rows = self.source.execute(queries.delete_some(self._at_source, condition)).rowcount
                except errors.ForeignKeyViolation as error:
                    raise CatalogMismatch(
                        f"{self.table.where}: rows past their retention are referenced: {error.diag.message_primary}",
                        hint="Give the referencing table a retention that is no longer, or drop the foreign key.",
                    ) from error
                if not rows:
                    left, kept = (
                        _count(self.source, self._at_source, each) for each in (condition, self._earlier(step))
                    )
                    break
                count_expired(self.warehouse, expiry, rows)
                went += rows
        if left:
            raise Busy(
                f"{self.table.where}: {left:,} rows past their retention are locked by others",
                hint="The next run goes on.",
            )
        with self.warehouse.transaction():
            end_expiry(self.warehouse, expiry, {"looked_for": "rows at the source", "left": 0}, held=kept)
        return went

    def _drop(self, step: Step, partition: OldPartition) -> int:
        relation = sql.Identifier(partition.schema, partition.name)
        rows = _count(self.source, relation, sql.SQL("true"))
        expiry = self._begin(step, rows)
        with translated(f"{self.table.where} (source)"), self.warehouse.transaction():
            if self._held().persons:
                raise LegalHold(f"{self.table.where}: a hold is new", hint="Nothing was deleted. Run again.")
            try:
                attempt(
                    self.source, lambda: self.source.execute(sql.SQL("DROP TABLE {}").format(relation)),
                    lock_timeout=_LOCK_TIMEOUT, attempts=_ATTEMPTS, pause=_PAUSE,
                )  # fmt: skip
            except (errors.LockNotAvailable, errors.DeadlockDetected) as error:
                raise Busy(
                    f"{self.table.where}: no lock in {_ATTEMPTS} attempts: {error.diag.message_primary}",
                    hint="Nothing was dropped. End the long transaction (pg_stat_activity); the next run goes on.",
                ) from error
            assert not is_there(self.source, relation)
            dropped = relation.as_string(self.warehouse)
            end_expiry(self.warehouse, expiry, {"looked_for": f"the partition {dropped}", "left": 0})
        return rows

    def _warm(self, step: Step) -> int:
        """Rows of the warehouse, in one transaction."""
        child = self.raw.child(step.month)
        with translated(f"{self.table.where} (warehouse)"), self.warehouse.transaction():
            condition = sql.SQL("{} AND {}").format(self._earlier(step), queries.not_held(self._held().values))
            gone = content_on_server(self.warehouse, child, self.table.columns, condition)
            held = _count(self.warehouse, child, self._earlier(step)) - gone.rows
            if not gone.rows:
                return 0
            self.raw.expire(condition, step.month)
            self._amend(step.month)
            expiry = begin_expiry(
                self.warehouse, *self._whose, step.month, "warm", step.before, step.reason,
                gone=gone, held=held, run_id=self.run_id,
            )  # fmt: skip
            left = _count(self.warehouse, self.raw.relation, condition)
            assert not left
            end_expiry(self.warehouse, expiry, {"looked_for": "rows in the warehouse", "left": left})
        return gone.rows

    def _amend(self, month: dt.date | None) -> None:
        """What the warehouse has of a month now, as ingestion notes it."""
        chunk = WHOLE_CHUNK if month is None else f"{month:%Y-%m}"
        if month is not None and month not in self.raw.months():
            forget_content(self.warehouse, *self._whose, [chunk])
            return
        amend_content(
            self.warehouse, *self._whose, chunk, total(self.raw.fingerprints(WHOLE, of=self.raw.child(month)))
        )

    def _cold(self, step: Step) -> int:
        """Files of the lake: all of a month's, or those that have such rows without them."""
        assert step.month is not None
        move = in_lake(self.warehouse, *self._whose, step.month)
        if move is None:
            self._settle(self._begin(step), step.month, ())
            return 0
        assert move.content is not None
        with self.warehouse.transaction():
            held = self._held()
        seen = _Seen(step, self.table, held)
        files: list[DataFile] = []
        written: list[DataFile] = []
        gone = move.content
        lake = self.table.lake
        noted = False
        rewriting = Rewriting(lake.store, lake.columns, lake.time, seen, f"{move.export}-{os.urandom(4).hex()}")
        try:
            if step.kind == "rewrite":
                of_month = read_files(self.warehouse, move)
                if (rows := sum(file.rows for file in of_month)) != move.content.rows:
                    raise ExportRefused(
                        f"{move.name}: its files have {rows:,} rows, and the ledger {move.content.rows:,}",
                        hint="Nothing was removed. `drivetrain prove --deep` says what is wrong.",
                    )
                made = {each.file.path: each for each in rewriting.run(of_month)}
                written = [each.now for each in made.values() if each.now is not None]
                files = [file for file in of_month if file.path not in made] + written
                gone = sum((each.gone_content for each in made.values()), NOTHING)
            with self.warehouse.transaction():
                if self._held() != held:
                    raise LegalHold(f"{move.name}: a hold changed meanwhile", hint="Nothing was removed. Run again.")
                expiry = begin_expiry(
                    self.warehouse, *self._whose, step.month, "cold", step.before, step.reason,
                    gone=gone, held=seen.held_rows, run_id=self.run_id,
                )  # fmt: skip
                replace_files(self.warehouse, move, files, move.content - gone, step.reason, self.run_id)
                self._amend_cold(step.month, bool(files))
                noted = True  # a commit that is not confirmed may have been made: the files must stay
        except BaseException:
            if not noted:
                with contextlib.suppress(LakeUnavailable):
                    rewriting.forsake(f"{step.month:%Y-%m}")
            raise
        self._settle(expiry, step.month, written)
        return gone.rows

    def _amend_cold(self, month: dt.date, some: bool) -> None:
        """A month that the source keeps besides is what the source has of it now; else it would come back."""
        chunk = f"{month:%Y-%m}"
        if not some:
            forget_content(self.warehouse, *self._whose, [chunk])
        elif month not in months_that_left(self.warehouse, *self._whose):
            time = self.table.policy.time
            assert time is not None
            kind = next(column.type_name for column in self.table.columns if column.name == time)
            of_month = queries.earlier(time, kind, dt.datetime.max.replace(tzinfo=dt.UTC), month)
            held = fingerprints(self.source, self._at_source, self.raw.carriage.names, where=of_month)
            amend_content(self.warehouse, *self._whose, chunk, total(held))

    def _settle(self, expiry: int, month: dt.date, written: Sequence[DataFile]) -> None:
        found = settle_months(self.warehouse, self.table, [month], f"expiry-{expiry}", written)
        with self.warehouse.transaction():
            end_expiry(self.warehouse, expiry, found[month])


@dataclass
class _Seen:
    """Takes rows of a file out, and counts those that a hold keeps."""

    step: Step
    table: Tiered
    held: Held
    held_rows: int = 0
    counting: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, rows: pa.Table) -> Changed | None:
        goes = self._goes(rows)
        if not goes.any():
            return None
        return Changed(rows.filter(pa.array(~goes)), rows.filter(pa.array(goes)), rows.slice(0, 0))

    def _goes(self, rows: pa.Table) -> NDArray[np.bool_]:
        time = self.table.policy.time
        assert time is not None
        compute: Any = pc
        column: Any = rows.column(time)
        kind = column.type
        moment: Any = self.step.before
        if pa.types.is_date(kind):
            moment = moment.date()
        elif kind.tz is None:
            moment = moment.replace(tzinfo=None)
        older = _flags(compute.less(column, pa.scalar(moment, kind)))
        for name, values in self.held.values.items():
            if name not in rows.column_names:  # nobody is named there: it was added later
                continue
            wanted: Any = pa.array(sorted(values), pa.string())
            kept = older & _flags(compute.is_in(rows.column(name).cast(pa.string()), value_set=wanted))
            with self.counting:
                self.held_rows += int(kept.sum())
            older &= ~kept
        return older


def _flags(found: Any) -> NDArray[np.bool_]:
    return found.fill_null(False).to_numpy(zero_copy_only=False).astype(np.bool_)


def _count(connection: Connection, relation: sql.Identifier, condition: sql.Composable) -> int:
    row = connection.execute(queries.counted(relation, condition)).fetchone()
    assert row is not None
    return row[0]
