"""One asset per table of the catalog: its raw copy in the warehouse, with the proof that it equals the source."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets import keys
from assets.failures import failed
from assets.telling import told_check
from resources.databases import SourceSnapshots, Warehouse
from resources.gaps import gaps_of
from warehouse.catalog import Catalog, System, Table
from warehouse.errors import DrivetrainError, ReconciliationFailed, ServerUnavailable, SourceInterrupted
from warehouse.ingest import Months, TableResult, ingest_table
from warehouse.ingest.gaps import KINDS
from warehouse.ingest.scope import asked_months
from warehouse.postgres.sessions import Dsn, connect, translated

RECONCILED = "equals_source"
COMPLETE = "no_month_is_missing"

#: How long after its last load a raw table is said to be stale: every table is loaded at least daily.
STALE_AFTER = dt.timedelta(hours=26)


def history_starts(catalog: Catalog) -> dt.date:
    """First month of the longest history: one definition of months for all systems lets a single run span them."""
    return min(system.history_starts for system in catalog.systems.values())


def months_since(start: dt.date) -> dg.MonthlyPartitionsDefinition:
    """Months from ``start`` up to and including the current one, in UTC."""
    return dg.MonthlyPartitionsDefinition(start_date=f"{start:%Y-%m-%d}", end_offset=1, timezone="UTC")


def ingestion_assets(catalog: Catalog) -> list[dg.AssetsDefinition]:
    """The raw assets of every table of every system."""
    start = history_starts(catalog)
    return [raw_asset(system, name, start) for system in catalog.systems.values() for name in system.tables]


def raw_asset(system: System, name: str, start: dt.date) -> dg.AssetsDefinition:
    """The asset of one table; ``start`` is the first month of the partitioned ones."""
    table = system.tables[name]
    key = keys.raw(system.system, name)
    by_month = table.ingest.mode == "partition"

    @dg.asset(
        key=key,
        group_name=keys.group(system.system, "raw"),
        description=_describe(system, name, table),
        owners=[f"team:{system.owner.replace(' ', '-')}"],
        kinds={"postgres"},
        tags={"mode": table.ingest.mode, **({"personal": ""} if table.personal else {})},
        metadata=_definition_metadata(system, name, table),
        partitions_def=months_since(start) if by_month else None,
        backfill_policy=dg.BackfillPolicy.single_run() if by_month else None,
        pool=f"{system.system}_source",
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=STALE_AFTER),
        check_specs=[
            dg.AssetCheckSpec(
                RECONCILED,
                asset=key,
                blocking=True,
                description="Source and warehouse hold the same rows: count and content fingerprint, one snapshot.",
            ),
            *(
                [
                    dg.AssetCheckSpec(
                        COMPLETE,
                        asset=key,
                        description="Every month was compared with the source and is equal; else the backfill to run.",
                    )
                ]
                if by_month
                else []
            ),
        ],
    )
    def ingest(
        context: dg.AssetExecutionContext, snapshots: SourceSnapshots, destination: Warehouse
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        months = _months(context, start) if by_month else Months()
        try:
            snapshot = snapshots.of(system.system)
            result = ingest_table(snapshot, destination.dsn(), system, name, months=months, run_id=context.run.run_id)
        except ReconciliationFailed as error:
            yield dg.AssetCheckResult(passed=False, check_name=RECONCILED, metadata={"difference": str(error)})
            raise failed(error, context.retry_number) from error
        except DrivetrainError as error:
            if isinstance(error, ServerUnavailable | SourceInterrupted):
                snapshots.forget(system.system)
            raise failed(error, context.retry_number) from error
        checks = [_check(result), *([_complete(destination.dsn(), system, name)] if by_month else [])]
        yield dg.MaterializeResult(metadata=_result_metadata(result), check_results=checks)

    return ingest


def _months(context: dg.AssetExecutionContext, start: dt.date) -> Months:
    window = context.partition_time_window
    last = (window.end - dt.timedelta(days=1)).date().replace(day=1)
    today = dt.datetime.now(dt.UTC).date()
    return asked_months(window.start.date(), last, history_starts=start, today=today)


def _describe(system: System, name: str, table: Table) -> str:
    how = {
        "full": "the whole table, swapped in when it changed",
        "incremental": f"what changed since the last run, by `{table.ingest.cursor}`",
        "partition": f"month by month (UTC), by `{table.time}`",
    }[table.ingest.mode]
    lines = [table.description, "", f"**How**: {how}; key `{', '.join(table.key) or 'none'}`."]
    if table.subjects and system.person is not None:
        ways = ", ".join(f"`{way.column}` → {way.table or system.person.table}" for way in table.subjects)
        lines.append(f"**Whose**: {ways}.")
    if table.personal:
        lines.append(f"**Personal**: {', '.join(f'`{column}` ({kind})' for column, kind in table.personal.items())}.")
    lines.append(f"**Kept**: {table.retention.age or table.retention.until}; **on erasure**: {table.erasure.action}.")
    lines.append(f"Read it as `{system.raw_schema}.{name}`.")
    return "\n\n".join(lines)


def _definition_metadata(system: System, name: str, table: Table) -> dict[str, Any]:
    columns = [
        dg.TableColumn(
            column_name,
            column.type,
            description=column.description or None,
            tags={"personal": column.personal} if column.personal else {},
        )
        for column_name, column in table.columns.items()
    ]
    return {
        "dagster/column_schema": dg.TableSchema(columns=columns),
        "dagster/table_name": f"{system.raw_schema}.{name}",
        "laws": ", ".join(system.laws) or "none",
    }


def _result_metadata(result: TableResult) -> dict[str, Any]:
    proof = result.reconciliation
    reasons = "\n".join(
        f"| {load.chunk} | {load.reason} | {load.rows:,} | {load.bytes:,} | {load.seconds:.2f} |"
        for load in result.loads
    )
    table = (
        f"| what | why | rows | bytes | seconds |\n|---|---|---|---|---|\n{reasons}"
        if reasons
        else "Nothing had changed."
    )
    return {
        "dagster/row_count": result.rows,
        "rows_written": result.rows_written,
        **({"rows_of_erased_persons_left_out": result.kept_out} if result.kept_out else {}),
        "bytes_moved": result.bytes_moved,
        "seconds": round(result.seconds, 3),
        "source_rows": proof.source.rows,
        "warehouse_rows": proof.warehouse.rows,
        "source_fingerprint": proof.source.digest,
        "warehouse_fingerprint": proof.warehouse.digest,
        "scope": proof.scope,
        "loads": dg.MetadataValue.md(table),
        "left_source": ", ".join(f"{month:%Y-%m}" for month in result.left_source) or "none",
    }


def _complete(warehouse: Dsn, system: System, name: str) -> dg.AssetCheckResult:
    """A warning: other months may be a backfill's, which is running."""
    with connect(warehouse, read_only=True) as connection, translated("the warehouse"):
        found = gaps_of(connection, system, name, dt.datetime.now(dt.UTC).date())
    wrong = [f"{gap.months}: {KINDS[gap.kind]}; run `{gap.backfill}`" for gap in found if gap.backfill]
    return told_check(COMPLETE, wrong, dg.AssetCheckSeverity.WARN)


def _check(result: TableResult) -> dg.AssetCheckResult:
    proof = result.reconciliation
    return dg.AssetCheckResult(
        passed=proof.agrees,
        check_name=RECONCILED,
        metadata={
            "source_rows": proof.source.rows,
            "warehouse_rows": proof.warehouse.rows,
            "source_fingerprint": proof.source.digest,
            "warehouse_fingerprint": proof.warehouse.digest,
        },
    )
