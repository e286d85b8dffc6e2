"""Load one table from a source snapshot and prove that both sides agree.

Every action is one transaction of the warehouse: rows, watermark and record together, under the table's lock. A crash
leaves either the state before an action or after it; the next run compares again and does what is left.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from psycopg import sql

from warehouse.catalog.model import System
from warehouse.errors import DrivetrainError, ReconciliationFailed, SourceInterrupted
from warehouse.ingest import sql as queries
from warehouse.ingest.chunks import held_of, settle
from warehouse.ingest.plan import Action, Facts, LoadMonth, LoadWhole, MergeDelta, Plan, plan_table
from warehouse.ingest.scope import Months, month_text, next_month
from warehouse.ingest.sides import Sides
from warehouse.ingest.since import load_since, watermark_to_follow
from warehouse.ingest.snapshot import SourceSnapshot
from warehouse.ingest.source import check_encoding, open_source
from warehouse.postgres.fingerprints import Fingerprint, total
from warehouse.postgres.sessions import Connection, Dsn, connect, translated
from warehouse.state.capture import note_compared, refuse_older
from warehouse.state.content import WHOLE_CHUNK, Content, count_rows, forget_content, read_content, record_content
from warehouse.state.ledger import (
    LoadRecord,
    Origin,
    Reconciliation,
    is_outdated,
    record_load,
    record_reconciliation,
    write_watermark,
)
from warehouse.state.moves import bring_back, in_lake
from warehouse.state.raw_store import RawTable, Received

log = logging.getLogger(__name__)

#: How long a load waits for somebody else's lock on a raw table; the swap's own locks are asked for otherwise.
LOCK_TIMEOUT = "60s"


@dataclass(frozen=True)
class TableResult:
    """What one load of one table did, and its proof.

    Attributes:
        loads: what was written, in order; empty if both sides agreed already.
        reconciliation: both sides after the load, under the same source snapshot; of the months asked for.
        rows: of the whole raw table after the load, whatever months were asked for.
        left_source: months that the warehouse keeps, wholly or in part, after the source dropped their partition.
        seconds: wall-clock time of the whole.
        kept_out: rows of erased persons that the source has still, or again, and that were not let in.
    """

    system: str
    table: str
    loads: tuple[LoadRecord, ...]
    reconciliation: Reconciliation
    rows: int
    left_source: tuple[dt.date, ...]
    seconds: float
    kept_out: int = 0

    @property
    def rows_written(self) -> int:
        """Rows that entered the warehouse."""
        return sum(load.rows for load in self.loads)

    @property
    def bytes_moved(self) -> int:
        """Bytes on the wire."""
        return sum(load.bytes for load in self.loads)


def ingest_table(
    snapshot: SourceSnapshot,
    warehouse: Dsn,
    system: System,
    name: str,
    *,
    months: Months = Months(),
    run_id: str | None = None,
) -> TableResult:
    """Bring one raw table up to the source's snapshot.

    Args:
        snapshot: the moment of the source that is read.
        warehouse: where to.
        system, name: whose table.
        months: which months of a table ingested by partition; other modes take the whole table.
        run_id: noted in the ledger.

    Raises:
        CatalogMismatch, UnsupportedType: the live table is not what the policy says.
        Busy: another ingestion of the table is running.
        ReconciliationFailed: both sides differ after the load; the load was rolled back, the difference recorded.
        ServerUnavailable, SourceInterrupted, AccessDenied: of either server.
    """
    started = time.monotonic()
    where = f"{system.system}.{name}"
    with (
        snapshot.session() as source,
        connect(warehouse, application="drivetrain ingest", lock_timeout=LOCK_TIMEOUT) as target,
    ):
        load = _open(
            where, source, target, system, name, months, Origin(snapshot.id, snapshot.as_of, snapshot.replica, run_id),
            snapshot.seen,
        )  # fmt: skip
        if (watermark := watermark_to_follow(load, snapshot.as_of)) is not None:
            since = load_since(load, watermark, load.origin)
            records = () if since.load is None else (since.load,)
            took = time.monotonic() - started
            return TableResult(system.system, name, records, since.reconciliation, since.rows, (), took, since.kept_out)
        facts = load.compare()
        plan = plan_table(where, load.policy, facts)
        for action in plan.actions:
            log.info("%s: %s", where, action)
        records = [load.carry_out(action) for action in plan.actions]
        reconciliation, rows = load.conclude(plan, snapshot.seen)
    if not reconciliation.agrees:
        raise _disagreement(where, reconciliation.source, reconciliation.warehouse, "after the load")
    left = tuple(sorted({*plan.left_source, *load.dropped}))
    seconds = time.monotonic() - started
    return TableResult(system.system, name, tuple(records), reconciliation, rows, left, seconds, load.kept_out)


class _Differs(Exception):
    """Rows just loaded are not the source's: rolls the load back."""

    def __init__(self, source: Fingerprint, warehouse: Fingerprint) -> None:
        super().__init__()
        self.source, self.warehouse = source, warehouse


@dataclass
class _Load(Sides):
    """One table under load: what is expected of each group, and what the warehouse has of it by now."""

    origin: Origin
    expected: dict[Any, Fingerprint] = field(default_factory=dict[Any, Fingerprint], init=False)
    after: dict[Any, Fingerprint] = field(default_factory=dict[Any, Fingerprint], init=False)
    kept_out: int = field(default=0, init=False)

    def compare(self) -> Facts:
        """Fingerprint both sides, group by group."""
        facts = super().compare()
        self.expected, self.after = dict(facts.source), dict(facts.warehouse)
        return facts

    def carry_out(self, action: Action) -> LoadRecord:
        """Do one action in one transaction; a disagreement rolls it back, and is recorded in one of its own."""
        started = time.monotonic()
        try:
            with translated(f"{self.where} (load)"), self.target.transaction():
                match action:
                    case LoadWhole():
                        rows, moved = self._load_whole()
                        chunk = "whole"
                    case LoadMonth(month=month):
                        cold = in_lake(self.target, self.system.system, self.name, month)
                        rows, moved = self._load_month(month, known=cold is not None)
                        if cold is not None:
                            bring_back(self.target, cold, "the source changed it", self.origin.run_id)
                            # Models have the month as it was, which the warehouse cannot tell them any more.
                            self.raw.feed.reset()
                        chunk = month_text(month)
                    case MergeDelta():
                        rows, moved = self._merge(action)
                        chunk = "delta"
                seconds = time.monotonic() - started
                record = LoadRecord(self.policy.ingest.mode, chunk, action.reason, rows, moved, seconds)
                self._advance_watermark()
                record_load(self.target, self.system.system, self.name, record, self.origin)
                self._record_chunk(action, agrees=True)
        except _Differs as found:
            self._record_difference(action, found)
            raise _disagreement(self.where, found.source, found.warehouse, "while loading") from None
        return record

    def _record_chunk(self, action: Action, *, agrees: bool) -> None:
        chunk = month_text(action.month) if isinstance(action, LoadMonth) else WHOLE_CHUNK
        groups = {action.month.isoformat()} if isinstance(action, LoadMonth) else {*self.after}
        held = total({group: held_of(group, self.after, self.kept) for group in groups})
        record_content(self.target, self.system.system, self.name, {chunk: Content(held, agrees)}, self.origin.as_of)

    def _record_difference(self, action: Action, found: _Differs) -> None:
        scope = month_text(action.month) if isinstance(action, LoadMonth) else WHOLE_CHUNK
        # Of a merge only the buckets that differed were held against each other; the others are equal.
        looked_at = action.buckets if isinstance(action, MergeDelta) else self.after
        agreed = total({group: part for group, part in self.after.items() if group not in looked_at})
        result = Reconciliation(scope, found.source + agreed, found.warehouse + agreed)
        try:
            with translated(f"{self.where} (ledger)"), self.target.transaction():
                record_reconciliation(self.target, self.system.system, self.name, result, self.origin)
                self._record_chunk(action, agrees=False)
        except DrivetrainError as error:  # must not hide the difference itself
            log.warning("%s: the difference could not be recorded: %s", self.where, error)

    def conclude(self, plan: Plan, seen: str | None) -> tuple[Reconciliation, int]:
        """Record what both sides amount to now; months that left the source are not compared.

        Args:
            plan: that was carried out.
            seen: which transactions the source's snapshot has seen, if it can tell.

        Returns:
            The comparison, and the rows of the whole raw table, with months that were not looked at.
        """
        left = {month.isoformat() for month in plan.left_source}
        scope = str(self.months) if self.policy.ingest.mode == "partition" else "whole"
        result = Reconciliation(
            scope, total(self.expected), total({group: part for group, part in self.after.items() if group not in left})
        )
        with translated(f"{self.where} (ledger)"), self.target.transaction():
            if not plan.actions:
                self._advance_watermark()
            record_reconciliation(self.target, self.system.system, self.name, result, self.origin)
            system, name = self.system.system, self.name
            known = read_content(self.target, system, name)
            chunks, gone = settle(self, known, self.expected, self.after, left)
            forget_content(self.target, system, name, gone)
            record_content(self.target, system, name, chunks, self.origin.as_of)
            if self.months == Months():  # else some months were not compared
                note_compared(self.target, system, name, seen)
            return result, count_rows(self.target, system, name)

    def _load_whole(self) -> tuple[int, int]:
        child = self.raw.begin_child()
        group, _, _ = self.grouping()
        copied = self.raw.receive(self.source, self._select(sql.SQL("true")), child, fresh=True, group=group)
        self._keep_out(copied)
        self._prove(self.raw.fingerprints(group, of=child), None)
        self.raw.finish_child()
        return copied.rows, copied.bytes

    def _load_month(self, month: dt.date, *, known: bool) -> tuple[int, int]:
        child = self.raw.begin_child()
        group, _, _ = self.grouping()
        copied = self.raw.receive(
            self.source,
            self._select(queries.within_month(self.time_column, self.time_type)),
            child,
            {"lower": month, "upper": next_month(month)},
            fresh=True,
            group=group,
        )
        self._keep_out(copied)
        self._prove(self.raw.fingerprints(group, of=child), {month.isoformat()})
        if missing := self.dropped.get(month):
            self.raw.keep(child, month, queries.within_spans(self.time_column, self.time_type, missing))
        self.raw.finish_child(month, known=known)
        return copied.rows, copied.bytes

    def _merge(self, action: MergeDelta) -> tuple[int, int]:
        """Bring in what the cursor names; then what still differs (deletes, changes without a new cursor) by bucket."""
        cursor = self.policy.ingest.cursor
        assert cursor is not None
        cursor_type = next(c.type_name for c in self.raw.carriage.columns if c.name == cursor)
        staged = self.raw.stage("delta")
        group, _, _ = self.grouping()
        copied = self.raw.receive(
            self.source,
            self._select(queries.since_cursor(cursor, cursor_type)),
            staged,
            {"since": action.since, "lookback": str(self.policy.ingest.lookback)},
            group=group,
        )
        among = sql.SQL("{} = ANY(%(buckets)s)").format(group)
        suspects = {"buckets": list(action.buckets)}
        rows, moved = self.raw.merge(staged, among, suspects), copied.bytes
        merged = self.raw.fingerprints(group, where=among, parameters=suspects)
        wrong = [bucket for bucket in action.buckets if merged.get(bucket) != self.expected.get(bucket)]
        if wrong:
            mend = {"buckets": wrong}
            staged = self.raw.stage("mend")
            copied = self.raw.receive(self.source, self._select(among), staged, mend, group=group)
            self._keep_out(copied)
            self.raw.delete_absent(staged, among, mend)
            rows += self.raw.merge(staged, among, mend)
            moved += copied.bytes
            merged = self.raw.fingerprints(group, where=among, parameters=suspects)
        self._prove(merged, set(action.buckets))
        return rows, moved

    def _keep_out(self, received: Received) -> None:
        """What the gate has left out is not missed: the source is to be compared without it."""
        if not received.kept_out.rows:
            return
        log.warning("%s: %d rows of erased persons were left out", self.where, received.kept_out.rows)
        self.kept_out += received.kept_out.rows
        for group, difference in received.kept_out.difference.items():
            rest = self.expected[group] - difference
            if rest.rows:
                self.expected[group] = rest
            else:
                del self.expected[group]

    def _select(self, condition: sql.Composable) -> sql.Composed:
        return queries.select_rows(self.source_table, self.raw.carriage.names, condition)

    def _prove(self, found: Mapping[Any, Fingerprint], groups: set[Any] | None) -> None:
        """Hold the rows just loaded against the source's fingerprints, before anybody can read them."""
        expected = {g: part for g, part in self.expected.items() if groups is None or g in groups}
        if dict(found) != expected:
            raise _Differs(total(expected), total(found))
        for group in groups if groups is not None else set(self.after) | set(expected):
            self.after.pop(group, None)
        self.after.update(found)

    def _advance_watermark(self) -> None:
        cursor = self.policy.ingest.cursor
        if cursor is not None:
            write_watermark(self.target, self.system.system, self.name, cursor, self.high_water)


def _open(
    where: str,
    source: Connection,
    target: Connection,
    system: System,
    name: str,
    months: Months,
    origin: Origin,
    seen: str | None,
) -> _Load:
    """Check the live table against its policy and make sure that the raw table can take its rows."""
    policy = system.tables[name]
    check_encoding(f"{where} (source)", source)
    check_encoding(f"{where} (warehouse)", target)
    live = open_source(where, source, system, name, origin)
    raw = RawTable.of(target, system, name, live.columns)
    with translated(f"{where} (warehouse)"):
        raw.lock()
        if is_outdated(target, system.system, name, origin):
            raise SourceInterrupted(
                f"{where}: a newer snapshot of the source was ingested already; this one is of"
                f" {origin.as_of:%Y-%m-%d %H:%M:%S} UTC and would bring back what has changed since",
                hint="Run again, with a new snapshot.",
            )
        refuse_older(target, system.system, name, seen)
        with target.transaction():
            raw.ensure()
    return _Load(where, source, target, system, name, policy, live, raw, months, origin)


def _disagreement(where: str, source: Fingerprint, warehouse: Fingerprint, when: str) -> DrivetrainError:
    return ReconciliationFailed(
        f"{where}: source and warehouse differ {when}: {source.rows} rows against {warehouse.rows}"
        + (", with equal counts but different content" if source.rows == warehouse.rows else ""),
        hint="Nothing of this load was kept. Run again; if it stays, a value does not survive the journey: report it.",
    )
