"""One asset per system: its partitions, kept ahead of time in the operational database and in the warehouse."""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from assets import keys
from assets.failures import failed
from assets.telling import told_check, told_table
from resources.partitions import Asked, Planned, maintain_all, plan_all
from resources.settings import Settings
from warehouse.catalog import Catalog, System
from warehouse.catalog.partition import RangePartition
from warehouse.catalog.periods import period_start, shifted
from warehouse.errors import DrivetrainError
from warehouse.partitions.actions import TITLES, summary
from warehouse.partitions.apply import Report
from warehouse.partitions.facts import PartitionedTable
from warehouse.partitions.plan import midnight, parts_ahead
from warehouse.partitions.targets import source_targets, warehouse_targets

#: Names of the checks, and what each says.
CHECKS = {
    "ahead": "Every table has all the partitions that its policy keeps ready, without a gap.",
    "not_near_the_end": (
        "No table is within two periods of its last partition: there is time to mend what went wrong. If one is: "
        "`drivetrain partitions apply SYSTEM.TABLE`, and docs/runbooks/partitions.md."
    ),
    "nothing_in_default": "No default or endless partition holds rows: they would hold up new partitions and tiers.",
    "like_their_parents": "Partitions have their parents' owner, grants, row-level security, publications and indexes.",
}


#: Where every failure of a check is explained.
RUNBOOK = "docs/runbooks/partitions.md"


def partition_assets(catalog: Catalog) -> list[dg.AssetsDefinition]:
    """The assets of all systems that have anything partitioned."""
    return [
        partition_asset(system)
        for system in catalog.systems.values()
        if source_targets(system) or warehouse_targets(system)
    ]


def partition_asset(system: System) -> dg.AssetsDefinition:
    """The partitions of one system."""
    key = keys.partitions(system.system)

    @dg.asset(
        key=key,
        group_name=keys.group(system.system, "raw"),
        description=(
            f"Partitions of {system.title}: made ahead of time, like their parents, in the operational database and in "
            "the warehouse. `drivetrain partitions plan` prints what a run would do."
        ),
        owners=[f"team:{system.owner.replace(' ', '-')}"],
        kinds={"postgres"},
        pool=f"{system.system}_partitions",
        check_specs=[
            dg.AssetCheckSpec(name, asset=key, description=description) for name, description in CHECKS.items()
        ],
    )
    def partitions(context: dg.AssetExecutionContext) -> Iterator[Any]:
        settings = Settings.load()
        at = dt.datetime.now(dt.UTC)
        try:
            asked = Asked.parse(settings.catalog(), [system.system])
            reports, undone = maintain_all(settings, asked, at)
            planned, unread = plan_all(settings, asked, at, sizes=True)
            for failure in (*undone, *unread):
                raise failure.error
        except DrivetrainError as error:
            raise failed(error, context.retry_number) from error
        checks = list(_checks(planned, at))
        yield dg.MaterializeResult(metadata=_metadata(reports, planned, at), check_results=checks)
        wrong = [check for check in checks if not check.passed and check.severity == dg.AssetCheckSeverity.ERROR]
        if wrong:
            # The run fails, so that whoever is alerted about failed runs hears of it while there is time.
            told = "; ".join(str(check.metadata["which"].value) for check in wrong)
            raise dg.Failure(description=f"{system.title}: {told}", allow_retries=False)

    return partitions


def _checks(planned: Sequence[Planned], at: dt.datetime) -> Iterator[dg.AssetCheckResult]:
    behind, near, filled, drifted = list[str](), list[str](), list[str](), list[str]()
    for target, facts, actions in planned:
        label = f"{target.system}.{target.table} ({target.where})"
        refused = [f"{label}: {action.reason}" for action in actions if action.kind == "refuse"]
        missing = [action.partition for action in actions if action.kind == "create"]
        behind += refused + ([f"{label} lacks {', '.join(missing)}"] if missing else [])
        drifted += [f"{label}: {action.partition} {action.reason}" for action in actions if action.drift]
        if facts is None:
            continue
        filled += [
            f"{label}: {part.name}"
            for part in facts.parts
            if part.filled and (part.default or (part.bound is not None and part.bound.end is None))
        ]
        if isinstance(target.declared, RangePartition) and facts.strategy == "range":
            reaches = parts_ahead(facts, at)
            current = period_start(target.declared.every, at.date())
            enough = shifted(target.declared.every, current, min(2, target.declared.premake) + 1)
            whole = shifted(target.declared.every, current, target.declared.premake + 1)
            told = f"{label} reaches {f'{reaches:%Y-%m-%d}' if reaches else 'not even today'}"
            table = f"{target.system}.{target.table}"
            if (reaches is None or reaches < midnight(whole)) and not refused and not missing:
                behind.append(
                    f"{told}, and should reach {whole:%Y-%m-%d}: `drivetrain partitions plan {table}` says what stands "
                    f"in the way ({RUNBOOK})"
                )
            if reaches is None or reaches < midnight(enough):
                near.append(
                    f"{told}: run `drivetrain partitions apply {table}`, and read what it could not do ({RUNBOOK})"
                )
    for name, found, severity in (
        ("ahead", behind, dg.AssetCheckSeverity.WARN),
        ("not_near_the_end", near, dg.AssetCheckSeverity.ERROR),
        ("nothing_in_default", filled, dg.AssetCheckSeverity.WARN),
        ("like_their_parents", drifted, dg.AssetCheckSeverity.WARN),
    ):
        yield told_check(name, found, severity)


def _metadata(reports: Sequence[Report], planned: Sequence[Planned], at: dt.datetime) -> dict[str, Any]:
    """Numbers plot over time in the UI; the tables say which."""
    rows = [
        f"| {target.table} | {target.where} | {len(facts.parts)}"
        f" | {_rows(facts):,}"
        f" | {facts.bytes / 1e6:,.1f} | {_reaches(facts, at)} |"
        for target, facts, _ in planned
        if facts is not None
    ]
    done = [each for report in reports for each in report.done]
    did = [
        f"| {each.action.kind} | {each.action.table} ({each.action.where}) | {each.action.partition} "
        f"| {each.action.reason} | {each.failure or 'done'} | {each.seconds:.2f} |"
        for each in done
    ]
    found = [
        f"| {TITLES[action.kind]} | {action.table} ({action.where}) | {action.partition} | {action.reason} "
        f"| {action.remedy} |"
        for _, _, actions in planned
        for action in actions
        if not action.statements
    ]
    known = [facts for _, facts, _ in planned if facts is not None]
    of = {where: [facts for t, facts, _ in planned if facts and t.where == where] for where in ("source", "warehouse")}
    left = [action for _, _, actions in planned for action in actions]
    return {
        "partitions": sum(len(facts.parts) for facts in known),
        **{f"{where}_rows": sum(map(_rows, tables)) for where, tables in of.items()},
        **{f"{where}_bytes": sum(facts.bytes for facts in tables) for where, tables in of.items()},
        "made": sum(1 for each in done if each.action.kind == "create" and not each.failure),
        "not_done": sum(1 for each in done if each.failure) + sum(1 for report in reports if report.busy),
        "refused": sum(1 for action in left if action.kind == "refuse"),
        "notes": sum(1 for action in left if action.kind == "report"),
        "tables": told_table(("table", "where", "partitions", "rows (est.)", "MB", "reaches"), rows, "None is there."),
        "done": told_table(("what", "table", "partition", "why", "outcome", "seconds"), did, f"{summary(left)}."),
        "to_know": told_table(("what", "table", "partition", "why", "what to do"), found, "Nothing."),
    }


def _rows(facts: PartitionedTable) -> int:
    return sum(max(part.estimated_rows, 0) for part in facts.parts)


def _reaches(facts: PartitionedTable, at: dt.datetime) -> str:
    reached = parts_ahead(facts, at) if facts.strategy == "range" else None
    return f"{reached:%Y-%m-%d}" if reached else ""
