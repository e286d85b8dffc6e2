"""One asset per system: its months on their way down the tiers, and the proof that every row is accounted for."""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
from pydantic import Field

from assets import keys
from assets.failures import failed
from assets.telling import told_check, told_table
from assets.tier_map import map_metadata
from resources.proof import provable_tables, prove
from resources.settings import Settings
from resources.tiering import TableMoves, apply_tiers, failures_of, map_tiers, parse_month, tiered_tables
from warehouse.catalog import Catalog, System
from warehouse.errors import DrivetrainError
from warehouse.proof.conservation import TableProof
from warehouse.tiering.apply import Done
from warehouse.tiering.map import TableMap
from warehouse.tiering.plan import STEPS

#: Name of the check, and what it says.
ACCOUNTED = "every_row_accounted_for"
RUNBOOK = "docs/runbooks/tiers.md"


class TierConfig(dg.Config):
    """What of a system to move; all that is due, if nothing is said."""

    tables: list[str] = Field(default=[], description="Only these tables, by name; all with tiers if left out.")
    months: list[str] = Field(default=[], description="Only these months, YYYY-MM; all that are due if left out.")
    dry_run: bool = Field(default=False, description="Only say what would be moved.")


def tier_assets(catalog: Catalog) -> list[dg.AssetsDefinition]:
    """The assets of all systems that have tables with tiers."""
    systems = dict.fromkeys(system.system for system, _ in tiered_tables(catalog))
    return [tier_asset(catalog.systems[name]) for name in systems]


def tier_asset(system: System) -> dg.AssetsDefinition:
    """The tiers of one system."""
    key = keys.tiers(system.system)

    @dg.asset(
        key=key,
        group_name=keys.group(system.system, "raw"),
        description=(
            f"Months of {system.title} on their way from the operational database to the warehouse and the lake, each "
            "dropped only after a proof, and a map of where everything is. `drivetrain tiers plan` prints what a run "
            "would do; the launchpad takes single tables and months, and a dry run."
        ),
        owners=[f"team:{system.owner.replace(' ', '-')}"],
        kinds={"postgres", "deltalake"},
        pool=f"{system.system}_source",
        check_specs=[
            dg.AssetCheckSpec(
                ACCOUNTED,
                asset=key,
                description=f"No row was lost, doubled or altered by a move, and none came back ({RUNBOOK}).",
            )
        ],
    )
    def tiers(context: dg.AssetExecutionContext, config: TierConfig) -> Iterator[Any]:
        settings = Settings.load()
        at = dt.datetime.now(dt.UTC)
        try:
            catalog, prices = settings.catalog(), settings.prices
            asked = [f"{system.system}.{table}" for table in config.tables] or [system.system]
            tables = tiered_tables(catalog, asked)
            months = [parse_month(text) for text in config.months] or None
            moves: list[TableMoves] = []
            if not config.dry_run:
                moves = apply_tiers(settings, tables, at, months=months, run_id=context.run.run_id)
                for error in failures_of(moves):
                    if error.transient:  # what was done stays, and a retry goes on from there
                        raise error
            maps = map_tiers(settings, tiered_tables(catalog, [system.system]), at)
            proofs = prove(settings, provable_tables(catalog, [system.system]), deep=False)
        except DrivetrainError as error:
            raise failed(error, context.retry_number) from error
        metadata = {**map_metadata(maps, prices), **_metadata(moves, maps, proofs)}
        yield dg.MaterializeResult(metadata=metadata, check_results=[accounted(proofs)])
        unknown = [each.failure for each in maps if each.failure and each.table in {name for _, name in tables}]
        undone = [str(each) for each in [*failures_of(moves), *unknown]]
        if undone:
            raise dg.Failure(description=f"{system.title}: {'; '.join(undone)}", allow_retries=False)

    return tiers


def accounted(proofs: Sequence[TableProof]) -> dg.AssetCheckResult:
    """What the check says of a system's proofs."""
    wrong = [
        f"{each.table}{f' {each.month:%Y-%m}' if each.month else ''}: {each.kind}: {each.message}"
        for proof in proofs
        for each in proof.findings
        if each.kind != "unfinished"
    ]
    return told_check(ACCOUNTED, wrong)


def _metadata(moves: Sequence[TableMoves], maps: Sequence[TableMap], proofs: Sequence[TableProof]) -> dict[str, Any]:
    """Numbers plot over time in the UI; the tables say which."""
    done = [
        f"| {m.table} | {d.step.month:%Y-%m} | {STEPS[d.step.kind]} | {_rows(d):,} "
        f"| {d.failure.message if d.failure else 'done'} |"
        for m in moves
        for d in m.done
    ]
    left = [
        f"| {m.table} | {s.month:%Y-%m} | {STEPS[s.kind]} | {s.rows:,} | {s.bytes / 1e6:,.1f} | {s.reason} |"
        for m in maps
        for s in m.steps
    ]
    tiers = [
        f"| {p.table} | {len(p.accounts)} | {sum(a.warm for a in p.accounts):,} "
        f"| {sum(a.cold for a in p.accounts):,} | {p.files:,} | {p.bytes / 1e6:,.1f} |"
        for p in proofs
    ]
    steps = [step for m in maps for step in m.steps]
    return {
        "moved": sum(d.failure is None for m in moves for d in m.done),
        "not_moved": sum(d.failure is not None for m in moves for d in m.done),
        "waiting": sum(step.kind == "wait" for step in steps),
        "warehouse_rows": sum(a.warm for p in proofs for a in p.accounts),
        "lake_rows": sum(a.cold for p in proofs for a in p.accounts),
        "done": told_table(("table", "month", "step", "rows", "outcome"), done, "Nothing was moved."),
        "left": told_table(("table", "month", "step", "rows (est.)", "MB", "why"), left, "Nothing is due."),
        "tiers": told_table(("table", "months", "rows warm", "rows cold", "files", "MB cold"), tiers, "Nothing yet."),
    }


def _rows(done: Done) -> int:
    return done.move.kept.rows if done.move and done.move.kept else done.step.rows
