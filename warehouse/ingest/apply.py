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

from psycopg import errors, sql

from warehouse.catalog.model import RangePartition, System, Table
from warehouse.catalog.naming import month_name
from warehouse.errors import CatalogMismatch, DrivetrainError, ReconciliationFailed, SourceInterrupted, UnsupportedType
from warehouse.ingest import sql as queries
from warehouse.ingest.plan import Action, Facts, LoadMonth, LoadWhole, MergeDelta, Plan, plan_table
from warehouse.ingest.scope import Months, month_text, next_month
from warehouse.ingest.snapshot import SourceSnapshot
from warehouse.postgres.bounds import Span, covers, direct, gaps
from warehouse.postgres.carriage import carriage
from warehouse.postgres.fingerprints import WHOLE, Fingerprint, bucket_of, fingerprints, month_of, total
from warehouse.postgres.introspection import LiveTable, read_table
from warehouse.postgres.matching import same_type
from warehouse.postgres.sessions import Connection, Dsn, connect, translated
from warehouse.state.ledger import (
    LoadRecord,
    Origin,
    Reconciliation,
    is_outdated,
    read_watermark,
    record_load,
    record_reconciliation,
    write_watermark,
)
from warehouse.state.raw_store import RawTable

log = logging.getLogger(__name__)

#: How long a load waits for somebody else's lock on a raw table; the swap's own locks are asked for otherwise.
LOCK_TIMEOUT = "60s"

#: Months are named like this in the warehouse where the source's own table is not partitioned by month.
_MONTH_PATTERN = "{table}_y{year}m{month}"


@dataclass(frozen=True)
class TableResult:
    """What one load of one table did, and its proof.

    Attributes:
        loads: what was written, in order; empty if both sides agreed already.
        reconciliation: both sides after the load, under the same source snapshot.
        left_source: months that the warehouse keeps, wholly or in part, after the source dropped their partition.
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
    with (
        snapshot.session() as source,
        connect(warehouse, application="drivetrain ingest", lock_timeout=LOCK_TIMEOUT) as target,
    ):
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
    left = tuple(sorted({*plan.left_source, *load.dropped}))
    return TableResult(system.system, name, tuple(records), reconciliation, left, time.monotonic() - started)


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
    high_water: str | None = None
    #: Months of which the source dropped a part with its partition, and those parts.
    dropped: dict[dt.date, list[Span]] = field(default_factory=dict[dt.date, list[Span]])
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

    @property
    def time_nullable(self) -> bool:
        column = self.live.column(self.time_column)
        return column is not None and not column.not_null

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
                if where is not None and self.time_nullable:
                    # A row without a time is in no month: every run must see it, or none does.
                    where = sql.SQL("(({}) OR {} IS NULL)").format(where, sql.Identifier(self.time_column))
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
            rekeyed = self.policy.ingest.mode != "partition" and exists and self.raw.rekeyed()
            covered = None
            if self._ranged_by_time():
                covered = self._covered(warehouse)
                warehouse |= self._without_gaps(warehouse)
                warehouse = {group: part for group, part in warehouse.items() if part.rows}
        if cursor is not None:
            # Now: while the swap has its lock, readers must not wait for the source.
            with translated(f"{self.where} (source)"):
                row = self.source.execute(queries.highest(self.source_table, cursor)).fetchone()
            self.high_water = row[0] if row else None
        self.expected, self.after = source, dict(warehouse)
        return Facts(source, warehouse, exists, watermark, covered, rekeyed)

    def _ranged_by_time(self) -> bool:
        return (
            self.policy.ingest.mode == "partition"
            and self.live.strategy == "range"
            and self.live.partition_columns[:1] == (self.policy.time,)
        )

    def _covered(self, months: Mapping[str, Fingerprint]) -> set[dt.date]:
        """Those of the months that the source still has a partition for, in whole or in part."""
        result: set[dt.date] = set()
        for month in map(dt.date.fromisoformat, months):
            missing = gaps(direct(self.live), _span(month))
            if missing is None:
                moment = _span(month).start
                if any(covers(partition, moment) for partition in direct(self.live)):
                    result.add(month)
            elif missing != [_span(month)]:
                result.add(month)
        return result

    def _without_gaps(self, warehouse: Mapping[str, Fingerprint]) -> dict[str, Fingerprint]:
        """Months of which the source dropped a part, anew: what is left to the warehouse alone is not compared."""
        result: dict[str, Fingerprint] = {}
        for month in map(dt.date.fromisoformat, warehouse):
            missing = gaps(direct(self.live), _span(month))
            if not missing or missing == [_span(month)]:
                continue
            within = queries.within_month(self.time_column, self.time_type)
            dropped = queries.within_spans(self.time_column, self.time_type, missing)
            edges = {"lower": month, "upper": next_month(month)}
            kept, compared = (
                total(self.raw.fingerprints(WHOLE, where=sql.SQL("{} AND {}").format(within, part), parameters=edges))
                for part in (dropped, sql.SQL("NOT {}").format(dropped))
            )
            if kept.rows:
                self.dropped[month] = missing
                result[month.isoformat()] = compared
        return result

    def carry_out(self, action: Action) -> LoadRecord:
        """Do one action in one transaction."""
        started = time.monotonic()
        with translated(f"{self.where} (load)"), self.target.transaction():
            match action:
                case LoadWhole():
                    rows, moved = self._load_whole()
                    chunk = "whole"
                case LoadMonth(month=month):
                    rows, moved = self._load_month(month)
                    chunk = month_text(month)
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
        copied = self.raw.receive(self.source, self._select(sql.SQL("true")), child, fresh=True)
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
            fresh=True,
        )
        group, _, _ = self.grouping()
        self._prove(self.raw.fingerprints(group, of=child), {month.isoformat()})
        if missing := self.dropped.get(month):
            self.raw.keep(child, month, queries.within_spans(self.time_column, self.time_type, missing))
        self.raw.finish_child(month)
        return copied.rows, copied.bytes

    def _merge(self, action: MergeDelta) -> tuple[int, int]:
        """Bring in what the cursor names; then what still differs (deletes, changes without a new cursor) by bucket."""
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
        group, _, _ = self.grouping()
        among = sql.SQL("{} = ANY(%(buckets)s)").format(group)
        suspects = {"buckets": list(action.buckets)}
        rows, moved = self.raw.merge(staged, among, suspects), copied.bytes
        merged = self.raw.fingerprints(group, where=among, parameters=suspects)
        wrong = [bucket for bucket in action.buckets if merged.get(bucket) != self.expected.get(bucket)]
        if wrong:
            mend = {"buckets": wrong}
            staged = self.raw.stage("mend")
            copied = self.raw.receive(self.source, self._select(among), staged, mend)
            self.raw.delete_where(among, mend)
            rows += self.raw.merge(staged, among, mend)
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
            write_watermark(self.target, self.system.system, self.name, cursor, self.high_water)


def _open(
    where: str, source: Connection, target: Connection, system: System, name: str, months: Months, origin: Origin
) -> _Load:
    """Check the live table against its policy and make sure that the raw table can take its rows."""
    policy = system.tables[name]
    schema, source_name = system.source_of(name)
    for side, connection in (("source", source), ("warehouse", target)):
        if (encoding := connection.info.parameter_status("server_encoding")) != "UTF8":
            raise UnsupportedType(
                f"{where} ({side}): the database's encoding is {encoding}",
                hint="Only UTF8 databases can be compared byte by byte: convert it.",
            )
    live = _hold_still(where, source, schema, source_name, origin)
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
    with translated(f"{where} (warehouse)"):
        raw.lock()
        if is_outdated(target, system.system, name, origin):
            raise SourceInterrupted(
                f"{where}: a newer snapshot of the source was ingested already; this one is of"
                f" {origin.as_of:%Y-%m-%d %H:%M:%S} UTC and would bring back what has changed since",
                hint="Run again, with a new snapshot.",
            )
        with target.transaction():
            raw.ensure()
    return _Load(where, source, target, system, name, policy, live, raw, months, origin)


def _hold_still(where: str, source: Connection, schema: str, name: str, origin: Origin) -> LiveTable:
    """The source's table, from now on locked against DDL, and sure to be the one that the snapshot knows."""
    relation = sql.Identifier(schema, name)
    with translated(f"{where} (source)"):
        try:
            source.execute(queries.hold_still(relation))
        except (errors.UndefinedTable, errors.InvalidSchemaName):
            live = None
        else:
            remade = source.execute(queries.REMADE, {"name": relation.as_string(source)}).fetchall()
            if remade:
                raise SourceInterrupted(
                    f"{where} (source): {', '.join(row[0] for row in remade)} was truncated, rewritten or put in place"
                    f" after the snapshot of {origin.as_of:%Y-%m-%d %H:%M:%S} UTC, which would see it empty",
                    hint="Run again, with a new snapshot.",
                )
            live = read_table(source, schema, name)
    if live is None:
        raise CatalogMismatch(
            f"{where}: the source has no table {schema}.{name}",
            hint="Run `drivetrain catalog check`; was it renamed or dropped, or may this role not see it?",
        )
    return live


def _span(month: dt.date) -> Span:
    start, end = (dt.datetime.combine(day, dt.time(), dt.UTC) for day in (month, next_month(month)))
    return Span(start, end)


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
        hint="Nothing of this load was kept. Run again; if it stays, a value does not survive the journey: report it.",
    )
