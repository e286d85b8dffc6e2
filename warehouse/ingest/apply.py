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
from functools import partial
from typing import Any

from psycopg import sql

from warehouse.catalog.model import RangePartition, System, Table
from warehouse.catalog.naming import month_name
from warehouse.errors import CatalogMismatch, DrivetrainError, ReconciliationFailed
from warehouse.ingest import sql as queries
from warehouse.ingest.plan import Action, Facts, LoadMonth, LoadWhole, MergeDelta, Plan, plan_table
from warehouse.ingest.scope import Months, next_month
from warehouse.ingest.snapshot import SourceSnapshot
from warehouse.postgres.bounds import covers
from warehouse.postgres.carriage import carriage
from warehouse.postgres.fingerprints import WHOLE, Fingerprint, bucket_of, fingerprints, month_of, total
from warehouse.postgres.introspection import LiveTable, read_table
from warehouse.postgres.matching import same_type
from warehouse.postgres.sessions import Connection, Dsn, connect, translated
from warehouse.state.ledger import (
    LoadRecord,
    Origin,
    Reconciliation,
    read_watermark,
    record_load,
    record_reconciliation,
    write_watermark,
)
from warehouse.state.raw_store import RawTable

log = logging.getLogger(__name__)

#: Months are named like this in the warehouse where the source's own table is not partitioned by month.
_MONTH_PATTERN = "{table}_y{year}m{month}"


@dataclass(frozen=True)
class TableResult:
    """What one load of one table did, and its proof.

    Attributes:
        loads: what was written, in order; empty if both sides agreed already.
        reconciliation: both sides after the load, under the same source snapshot.
        left_source: months kept in the warehouse that the source dropped with their partition.
        seconds: wall-clock time of the whole.
    """

    system: str
    table: str
    loads: tuple[LoadRecord, ...]
    reconciliation: Reconciliation
    left_source: tuple[dt.date, ...]
    seconds: float

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
        ReconciliationFailed: both sides differ after the load; the load was rolled back.
        ServerUnavailable, SourceInterrupted, AccessDenied: of either server.
    """
    started = time.monotonic()
    where = f"{system.system}.{name}"
    with snapshot.session() as source, connect(warehouse, application="drivetrain ingest") as target:
        load = _open(
            where, source, target, system, name, months, Origin(snapshot.id, snapshot.as_of, snapshot.replica, run_id)
        )
        facts = load.compare()
        plan = plan_table(where, load.policy, facts)
        for action in plan.actions:
            log.info("%s: %s", where, action)
        records = [load.carry_out(action) for action in plan.actions]
        reconciliation = load.conclude(facts, plan)
    if not reconciliation.agrees:
        raise _disagreement(where, reconciliation.source, reconciliation.warehouse, "after the load")
    return TableResult(
        system.system, name, tuple(records), reconciliation, plan.left_source, time.monotonic() - started
    )


@dataclass
class _Load:
    """One table under load: both sessions, the policy, and what was found on the way."""

    where: str
    source: Connection
    target: Connection
    system: System
    name: str
    policy: Table
    live: LiveTable
    raw: RawTable
    months: Months
    origin: Origin
    expected: Mapping[Any, Fingerprint] = field(default_factory=dict[Any, Fingerprint])
    after: dict[Any, Fingerprint] = field(default_factory=dict[Any, Fingerprint])

    @property
    def source_table(self) -> sql.Identifier:
        return sql.Identifier(self.live.schema, self.live.name)

    @property
    def time_column(self) -> str:
        assert self.policy.time is not None
        return self.policy.time

    @property
    def time_type(self) -> str:
        return next(c.type_name for c in self.raw.carriage.columns if c.name == self.time_column)

    def grouping(self) -> tuple[sql.Composable, sql.Composable | None, dict[str, Any]]:
        """How rows are grouped for comparison, and the restriction to the months asked for."""
        match self.policy.ingest.mode:
            case "full":
                return WHOLE, None, {}
            case "incremental":
                return bucket_of(self.policy.key), None, {}
            case "partition":
                conditions = [
                    build(self.time_column, self.time_type)
                    for build, edge in (
                        (queries.since_month, self.months.lower),
                        (queries.before_month, self.months.upper),
                    )
                    if edge is not None
                ]
                where = sql.SQL(" AND ").join(conditions) if conditions else None
                return (
                    month_of(self.time_column, self.time_type),
                    where,
                    {"lower": self.months.lower, "upper": self.months.upper},
                )

    def compare(self) -> Facts:
        """Fingerprint both sides, group by group."""
        group, condition, parameters = self.grouping()
        with translated(f"{self.where} (source)"):
            source = fingerprints(
                self.source,
                self.source_table,
                self.raw.carriage.names,
                group=group,
                where=condition,
                parameters=parameters,
            )
        with translated(f"{self.where} (warehouse)"):
            exists = bool(self.raw.children())
            warehouse = self.raw.fingerprints(group, where=condition, parameters=parameters)
            cursor = self.policy.ingest.cursor
            watermark = read_watermark(self.target, self.system.system, self.name, cursor) if cursor else None
        self.expected, self.after = source, dict(warehouse)
        by_month = self.policy.ingest.mode == "partition" and self.live.strategy == "range"
        return Facts(source, warehouse, exists, watermark, self._covered(warehouse) if by_month else None)

    def _covered(self, months: Mapping[str, Fingerprint]) -> set[dt.date]:
        """Those of the months that the source still has a partition for."""
        moments = {month: dt.datetime.fromisoformat(month).replace(tzinfo=dt.UTC) for month in months}
        return {
            moment.date()
            for moment in moments.values()
            if any(covers(partition, moment) for partition in self.live.partitions)
        }

    def carry_out(self, action: Action) -> LoadRecord:
        """Do one action in one transaction."""
        started = time.monotonic()
        with translated(f"{self.where} (load)"), self.target.transaction():
            self.raw.lock()
            match action:
                case LoadWhole():
                    rows, moved = self._load_whole()
                    chunk = "whole"
                case LoadMonth(month=month):
                    rows, moved = self._load_month(month)
                    chunk = f"{month:%Y-%m}"
                case MergeDelta():
                    rows, moved = self._merge(action)
                    chunk = "delta"
            record = LoadRecord(self.policy.ingest.mode, chunk, action.reason, rows, moved, time.monotonic() - started)
            self._advance_watermark()
            record_load(self.target, self.system.system, self.name, record, self.origin)
        return record

    def conclude(self, facts: Facts, plan: Plan) -> Reconciliation:
        """Record what both sides amount to now; months that left the source are not compared."""
        left = {month.isoformat() for month in plan.left_source}
        scope = str(self.months) if self.policy.ingest.mode == "partition" else "whole"
        result = Reconciliation(
            scope, total(facts.source), total({group: part for group, part in self.after.items() if group not in left})
        )
        with translated(f"{self.where} (ledger)"), self.target.transaction():
            if not plan.actions:
                self._advance_watermark()
            record_reconciliation(self.target, self.system.system, self.name, result, self.origin)
        return result

    def _load_whole(self) -> tuple[int, int]:
        child = self.raw.begin_child()
        copied = self.raw.receive(self.source, self._select(sql.SQL("true")), child)
        group, _, _ = self.grouping()
        self._prove(self.raw.fingerprints(group, of=child), None)
        self.raw.finish_child()
        return copied.rows, copied.bytes

    def _load_month(self, month: dt.date) -> tuple[int, int]:
        child = self.raw.begin_child()
        copied = self.raw.receive(
            self.source,
            self._select(queries.within_month(self.time_column, self.time_type)),
            child,
            {"lower": month, "upper": next_month(month)},
        )
        group, _, _ = self.grouping()
        self._prove(self.raw.fingerprints(group, of=child), {month.isoformat()})
        self.raw.finish_child(month)
        return copied.rows, copied.bytes

    def _merge(self, action: MergeDelta) -> tuple[int, int]:
        """Bring in what the cursor names; whatever still differs (deletes, changes without a new cursor) bucket by bucket."""
        cursor = self.policy.ingest.cursor
        assert cursor is not None
        cursor_type = next(c.type_name for c in self.raw.carriage.columns if c.name == cursor)
        staged = self.raw.stage("delta")
        copied = self.raw.receive(
            self.source,
            self._select(queries.since_cursor(cursor, cursor_type)),
            staged,
            {"since": action.since, "lookback": str(self.policy.ingest.lookback)},
        )
        rows, moved = self.raw.merge(staged), copied.bytes
        group, _, _ = self.grouping()
        among = sql.SQL("{} = ANY(%(buckets)s)").format(group)
        suspects = {"buckets": list(action.buckets)}
        merged = self.raw.fingerprints(group, where=among, parameters=suspects)
        wrong = [bucket for bucket in action.buckets if merged.get(bucket) != self.expected.get(bucket)]
        if wrong:
            mend = {"buckets": wrong}
            staged = self.raw.stage("mend")
            copied = self.raw.receive(self.source, self._select(among), staged, mend)
            self.raw.delete_where(among, mend)
            rows += self.raw.merge(staged)
            moved += copied.bytes
            merged = self.raw.fingerprints(group, where=among, parameters=suspects)
        self._prove(merged, set(action.buckets))
        return rows, moved

    def _select(self, condition: sql.Composable) -> sql.Composed:
        return queries.select_rows(self.source_table, self.raw.carriage.names, condition)

    def _prove(self, found: Mapping[Any, Fingerprint], groups: set[Any] | None) -> None:
        """Hold the rows just loaded against the source's fingerprints, before anybody can read them."""
        expected = {g: part for g, part in self.expected.items() if groups is None or g in groups}
        if dict(found) != expected:
            raise _disagreement(self.where, total(expected), total(found), "while loading")
        for group in groups if groups is not None else set(self.after) | set(expected):
            self.after.pop(group, None)
        self.after.update(found)

    def _advance_watermark(self) -> None:
        cursor = self.policy.ingest.cursor
        if cursor is not None:
            row = self.source.execute(queries.highest(self.source_table, cursor)).fetchone()
            write_watermark(self.target, self.system.system, self.name, cursor, row[0] if row else None)


def _open(
    where: str, source: Connection, target: Connection, system: System, name: str, months: Months, origin: Origin
) -> _Load:
    """Check the live table against its policy and make sure that the raw table can take its rows."""
    policy = system.tables[name]
    schema, source_name = system.source_of(name)
    with translated(f"{where} (source)"):
        live = read_table(source, schema, source_name)
    if live is None:
        raise CatalogMismatch(
            f"{where}: the source has no table {schema}.{source_name}",
            hint="Run `drivetrain catalog check`; was it renamed or dropped, or may this role not see it?",
        )
    problems = [line for column in policy.columns if (line := _column_problem(policy, live, column)) is not None]
    if policy.key and policy.key != live.primary_key and not any(set(policy.key) == set(k) for k in live.unique_keys):
        problems.append(f"key ({', '.join(policy.key)}) is no primary or unique key of the source's table")
    if problems:
        raise CatalogMismatch(
            "\n".join(f"{where}: {line}" for line in problems), hint="Run `drivetrain catalog check`."
        )
    columns = [column for column in live.columns if column.name in policy.columns]
    by_month = policy.ingest.mode == "partition"
    pattern = (
        policy.partition.name
        if isinstance(policy.partition, RangePartition) and policy.partition.every == "month"
        else _MONTH_PATTERN
    )
    raw = RawTable(
        connection=target,
        schema=system.raw_schema,
        name=name,
        carriage=carriage(columns, system.raw_schema, where),
        key=policy.key,
        month_column=policy.time if by_month else None,
        month_name=partial(month_name, pattern, name) if by_month else None,
    )
    with translated(f"{where} (warehouse)"), target.transaction():
        raw.lock()
        raw.ensure()
    return _Load(where, source, target, system, name, policy, live, raw, months, origin)


def _column_problem(policy: Table, live: LiveTable, column: str) -> str | None:
    found = live.column(column)
    if found is None:
        return f"column {column!r} is declared, and the source has none of that name"
    declared = policy.columns[column].type
    if not same_type(declared, found):
        return f"column {column!r} is {found.type.name} at the source, and declared as {declared}"
    return None


def _disagreement(where: str, source: Fingerprint, warehouse: Fingerprint, when: str) -> DrivetrainError:
    return ReconciliationFailed(
        f"{where}: source and warehouse differ {when}: {source.rows} rows against {warehouse.rows}"
        + (", with equal counts but different content" if source.rows == warehouse.rows else ""),
        hint="Nothing of this load was kept. Run again; if it stays, a value does not survive the journey: report the table.",
    )
