"""One asset per system with captured tables: what changed since the last run, and the check that all follow."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets import keys
from assets.failures import failed
from assets.telling import told_check, told_table
from resources.capture import CaptureState, capture, capture_state, capturing_systems
from resources.settings import Settings
from warehouse.catalog import Catalog, System
from warehouse.errors import DrivetrainError
from warehouse.ingest.capture import Captured, captured_tables

#: Name of the check.
FOLLOWS = "every_table_follows"


def capture_assets(catalog: Catalog) -> list[dg.AssetsDefinition]:
    """The assets of all systems that have captured tables."""
    return [capture_asset(system) for system in capturing_systems(catalog)]


def capture_asset(system: System) -> dg.AssetsDefinition:
    """The capture of one system."""
    key = keys.capture(system.system)
    tables = ", ".join(f"`{name}`" for name in captured_tables(system))

    @dg.asset(
        key=key,
        group_name=keys.group(system.system, "raw"),
        description=(
            f"Changes of {system.title}, read from its database's log between two comparisons: {tables}. "
            f"The source keeps at most {system.capture.retained_mb:,} MB of log for it. `drivetrain capture status` "
            "says how far it is."
        ),
        owners=[f"team:{system.owner.replace(' ', '-')}"],
        kinds={"postgres"},
        pool=f"{system.system}_source",
        check_specs=[
            dg.AssetCheckSpec(
                FOLLOWS, asset=key, description="Every captured table is up to date, and the log is within its budget."
            )
        ],
    )
    def captured(context: dg.AssetExecutionContext) -> Iterator[Any]:
        settings = Settings.load()
        try:
            result = capture(settings, system, run_id=context.run.run_id)
            state = capture_state(settings, system)
        except DrivetrainError as error:
            raise failed(error, context.retry_number) from error
        wrong = [f"{name}: {each.error.message}" for name, each in sorted(result.tables.items()) if each.error]
        yield dg.MaterializeResult(
            metadata=_metadata(result, state), check_results=[told_check(FOLLOWS, [*wrong, *state.wrong])]
        )

    return captured


def _metadata(result: Captured, state: CaptureState) -> dict[str, Any]:
    """Numbers plot over time in the UI; the table says which."""
    rows = [
        f"| {name} | {each.changes:,} | {each.rows:,} | {each.compared or ''} "
        f"| {each.error.message if each.error else 'up to date'} |"
        for name, each in sorted(result.tables.items())
    ]
    return {
        "changes": sum(each.changes for each in result.tables.values()),
        "rows_written": sum(each.rows for each in result.tables.values()),
        "rows_of_erased_persons_left_out": sum(each.kept_out for each in result.tables.values()),
        "log_kept_by_the_source_mb": round((state.retained or 0) / 1e6, 1),
        "log_given_up": result.dropped,
        "seconds": round(result.seconds, 3),
        "tables": told_table(("table", "changes", "rows", "compared because", "now"), rows, "No table is captured."),
    }
