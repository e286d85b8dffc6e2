"""One asset per system whose rows go at an age: what went, what holds keep, and the check that nothing is older."""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
from pydantic import Field

from assets import keys
from assets.failures import failed
from assets.telling import told_check, told_table
from resources.retention import TableDue, TableExpired, aged_tables, apply_retention, failures_of, plan_retention
from resources.settings import Settings
from warehouse.catalog import Catalog, System
from warehouse.errors import DrivetrainError
from warehouse.retention.plan import STEPS, TIERS

#: Name of the check, and what it says.
NOTHING_OLDER = "nothing_past_its_age"
RUNBOOK = "docs/runbooks/retention.md"


class RetentionConfig(dg.Config):
    """What of a system to look at; every table whose rows go at an age, if nothing is said."""

    tables: list[str] = Field(default=[], description="Only these tables, by name; all whose rows go if left out.")
    dry_run: bool = Field(default=False, description="Only say what would go.")


def retention_assets(catalog: Catalog) -> list[dg.AssetsDefinition]:
    """The assets of all systems that have such tables."""
    return [retention_asset(catalog.systems[name]) for name in dict.fromkeys(s.system for s, _ in aged_tables(catalog))]


def retention_asset(system: System) -> dg.AssetsDefinition:
    """The retention of one system."""
    key = keys.retention(system.system)
    ages = ", ".join(
        f"{name} {table.retention.age}" for name, table in system.tables.items() if table.retention.until == "age"
    )

    @dg.asset(
        key=key,
        group_name=keys.group(system.system, "raw"),
        description=(
            f"Rows of {system.title} that reached their retention ({ages}) go from the operational database, the "
            "warehouse and the lake, but for legal holds. `drivetrain retention plan` prints what a run would delete; "
            "the launchpad takes single tables and a dry run."
        ),
        owners=[f"team:{system.owner.replace(' ', '-')}"],
        kinds={"postgres", "deltalake"},
        pool=f"{system.system}_source",
        check_specs=[
            dg.AssetCheckSpec(
                NOTHING_OLDER,
                asset=key,
                description=f"No row is past its age, but those that a hold keeps ({RUNBOOK}).",
            )
        ],
    )
    def retention(context: dg.AssetExecutionContext, config: RetentionConfig) -> Iterator[Any]:
        settings = Settings.load()
        at = dt.datetime.now(dt.UTC)
        try:
            tables = aged_tables(settings.catalog(), [f"{system.system}.{t}" for t in config.tables] or [system.system])
            gone: list[TableExpired] = []
            if not config.dry_run:
                gone = apply_retention(settings, tables, at, run_id=context.run.run_id)
                for error in failures_of(gone):
                    if error.transient:  # what went is gone, and a retry goes on from there
                        raise error
            due = plan_retention(settings, tables, at)
        except DrivetrainError as error:
            raise failed(error, context.retry_number) from error
        yield dg.MaterializeResult(metadata=_metadata(gone, due), check_results=[_check(due)])
        undone = [str(each) for each in [*failures_of(gone), *(each.failure for each in due if each.failure)]]
        if undone:
            raise dg.Failure(description=f"{system.title}: {'; '.join(undone)}", allow_retries=False)

    return retention


def _check(due: Sequence[TableDue]) -> dg.AssetCheckResult:
    wrong = [f"{each.table}: {each.failure.message}" for each in due if each.failure] + [
        f"{each.table}{f' {step.month:%Y-%m}' if step.month else ''}: {step.rows:,} rows in the {TIERS[step.tier]}"
        for each in due
        for step in each.overdue
    ]
    return told_check(NOTHING_OLDER, wrong)


def _metadata(gone: Sequence[TableExpired], due: Sequence[TableDue]) -> dict[str, Any]:
    """Numbers plot over time in the UI; the tables say which."""
    went = [
        f"| {each.table} | {_month(one.step.month)} | {TIERS[one.step.tier]} | {STEPS[one.step.kind]} | {one.rows:,} "
        f"| {one.failure.message if one.failure else 'gone'} |"
        for each in gone
        for one in each.done
    ]
    left = [
        f"| {each.table} | {_month(step.month)} | {TIERS[step.tier]} | {STEPS[step.kind]} | {step.rows:,} "
        f"| {step.reason} |"
        for each in due
        for step in each.steps
    ]
    steps = [step for each in due for step in each.steps]
    return {
        **{
            f"gone_from_{TIERS[tier]}": sum(one.rows for each in gone for one in each.done if one.step.tier == tier)
            for tier in TIERS
        },
        "not_done": sum(one.failure is not None for each in gone for one in each.done),
        "rows_kept_back": sum(step.rows for step in steps if step.kind == "wait"),
        "gone": told_table(("table", "month", "where", "what", "rows", "outcome"), went, "Nothing went."),
        "left": told_table(("table", "month", "where", "what", "rows", "why"), left, "Nothing is past its age."),
    }


def _month(month: dt.date | None) -> str:
    return f"{month:%Y-%m}" if month else ""
