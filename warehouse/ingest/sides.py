"""One table on both sides: how its rows are grouped, and what each side holds of every group.

What does not belong here: changing anything.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from psycopg import sql

from warehouse.catalog.model import System, Table
from warehouse.ingest import sql as queries
from warehouse.ingest.plan import Facts
from warehouse.ingest.scope import Months, month_text, next_month
from warehouse.postgres.bounds import Span, covers, direct, gaps
from warehouse.postgres.fingerprints import WHOLE, Fingerprint, bucket_of, fingerprints, month_of, total
from warehouse.postgres.introspection import LiveTable
from warehouse.postgres.matching import cast_columns
from warehouse.postgres.sessions import Connection, translated
from warehouse.state.content import read_content
from warehouse.state.ledger import read_watermark
from warehouse.state.moves import months_in_lake, months_that_left
from warehouse.state.raw_store import RawTable


@dataclass
class Sides:
    """Both sessions, the policy, and what was found on the way.

    Attributes:
        high_water: the source's highest cursor (mode incremental), once compared.
        dropped: months of which the source dropped a part with its partition, and those parts.
        kept: what the warehouse alone holds of those months, which is not compared.
        moved: months that leave the source by tiering, which alone looks after them from then on.
        cold: those that the source has still and the warehouse has no longer, as they were when they went into the
            lake: when the source changed one of them, it comes back.
    """

    where: str
    source: Connection
    target: Connection
    system: System
    name: str
    policy: Table
    live: LiveTable
    raw: RawTable
    months: Months
    high_water: str | None = field(default=None, init=False)
    dropped: dict[dt.date, list[Span]] = field(default_factory=dict[dt.date, list[Span]], init=False)
    kept: dict[str, Fingerprint] = field(default_factory=dict[str, Fingerprint], init=False)
    moved: set[dt.date] = field(default_factory=set[dt.date], init=False)
    cold: dict[dt.date, Fingerprint] = field(default_factory=dict[dt.date, Fingerprint], init=False)

    @property
    def source_table(self) -> sql.Composable:
        """The live table as a query reads it, with what is cast as text."""
        table = sql.Identifier(self.live.schema, self.live.name)
        cast = cast_columns(self.policy)
        if not cast:
            return table
        columns = (
            sql.SQL("({c}::text) AS {c}" if name in cast else "{c}").format(c=sql.Identifier(name))
            for name in self.raw.carriage.names
        )
        return sql.SQL("(SELECT {} FROM {}) AS source").format(sql.SQL(", ").join(columns), table)

    @property
    def time_column(self) -> str:
        """The event time (mode partition)."""
        assert self.policy.time is not None
        return self.policy.time

    @property
    def time_type(self) -> str:
        """Its type in the warehouse."""
        return next(c.type_name for c in self.raw.carriage.columns if c.name == self.time_column)

    @property
    def time_nullable(self) -> bool:
        """Whether a row may have none."""
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
            if self.policy.ingest.mode == "partition":
                source, warehouse = self._without_tiers(source, warehouse)
        if cursor is not None:
            # Now: while the swap has its lock, readers must not wait for the source.
            with translated(f"{self.where} (source)"):
                row = self.source.execute(queries.highest(self.source_table, cursor)).fetchone()
            self.high_water = row[0] if row else None
        return Facts(source, warehouse, exists, watermark, covered, rekeyed)

    def _without_tiers(
        self, source: Mapping[str, Fingerprint], warehouse: Mapping[str, Fingerprint]
    ) -> tuple[dict[str, Fingerprint], dict[str, Fingerprint]]:
        """Both sides without the months that left the source; those of the lake as they were when they went there."""
        system = self.system.system
        self.moved = months_that_left(self.target, system, self.name)
        known = read_content(self.target, system, self.name)
        self.cold = {
            month: known[month_text(month)].held
            for month in months_in_lake(self.target, system, self.name) - self.moved
            if month in self.months
        }
        left = {month.isoformat() for month in self.moved}
        cold = {month.isoformat(): held for month, held in self.cold.items()}
        return (
            {group: part for group, part in source.items() if group not in left},
            {group: part for group, part in warehouse.items() if group not in left} | cold,
        )

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
                self.kept[month.isoformat()] = kept
                result[month.isoformat()] = compared
        return result


def _span(month: dt.date) -> Span:
    start, end = (dt.datetime.combine(day, dt.time(), dt.UTC) for day in (month, next_month(month)))
    return Span(start, end)
