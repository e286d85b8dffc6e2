"""What is checked of every raw table before models read it: its policy's rules, and whether what came is usual.

Made from the catalog: per system one step, per table four checks. ``expectations`` is blocking: a broken rule of
severity ``error`` stops the models of the run, so that marts keep the figures they have. The others warn.

They run in every job that builds models. A run of the current months holds the rows that it may have loaded against the
rules of a row; a run of all months, and one that only builds models, holds whole tables against all rules.
"""

import datetime as dt
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from assets import keys
from assets.failures import failed
from resources.databases import Warehouse
from resources.settings import Settings
from warehouse.catalog import Catalog, System
from warehouse.errors import DrivetrainError, TransientError
from warehouse.postgres.contract import check_system
from warehouse.postgres.finding import Finding
from warehouse.postgres.sessions import Dsn, connect, translated
from warehouse.quality.anomalies import Judgement, freshness, volume
from warehouse.quality.data_docs import DataDocs
from warehouse.quality.expectations import suite, window_of
from warehouse.quality.history import read_history
from warehouse.quality.suites import Verdict, checking

EXPECTATIONS, VOLUME, FRESHNESS, SCHEMA = "expectations", "volume", "freshness", "schema"

_DESCRIPTIONS = {
    EXPECTATIONS: "The rows obey the rules of the table's policy (`quality`). A broken rule of severity error stops the"
    " models of the run.",
    VOLUME: "Yesterday brought about as many rows as the same weekday of the weeks before.",
    FRESHNESS: "The newest row is not older than is usual for the table.",
    SCHEMA: "The source's table is what the catalog says: which column came, went or changed its type.",
}
#: By which a run says of which months it is; see ``pipelines.jobs``.
_RANGE_START = "dagster/asset_partition_range_start"


def quality_checks(catalog: Catalog) -> list[dg.AssetChecksDefinition]:
    """The checks of every system's raw tables, one step per system."""
    return [_checks_of(system) for system in catalog.systems.values()]


def _checks_of(system: System) -> dg.AssetChecksDefinition:
    tables = {keys.raw(system.system, name): name for name in system.tables}

    @dg.multi_asset_check(
        name=f"quality_{system.system}",
        specs=[
            dg.AssetCheckSpec(name, asset=key, blocking=name == EXPECTATIONS, description=description)
            for key, table in tables.items()
            for name, description in _DESCRIPTIONS.items()
            if name != EXPECTATIONS or system.tables[table].quality
        ],
        can_subset=True,
    )
    def quality(context: dg.AssetCheckExecutionContext, destination: Warehouse) -> Iterator[dg.AssetCheckResult]:
        chosen = {name: _tables(context, name, tables) for name in _DESCRIPTIONS}
        settings = Settings.load()
        try:
            yield from _schemas(settings, system, chosen[SCHEMA])
            yield from _usual(destination.dsn(), system, chosen[VOLUME], chosen[FRESHNESS])
            first = _first_month(context.run.tags)
            yield from _expected(destination.dsn(), settings.folder("data_docs"), system, chosen[EXPECTATIONS], first)
        except DrivetrainError as error:
            raise failed(error, context.retry_number) from error

    return quality


def _tables(context: dg.AssetCheckExecutionContext, name: str, tables: dict[dg.AssetKey, str]) -> list[str]:
    return [tables[key.asset_key] for key in sorted(context.selected_asset_check_keys) if key.name == name]


def _first_month(tags: Any) -> dt.date | None:
    return dt.date.fromisoformat(tags[_RANGE_START]) if _RANGE_START in tags else None


def _expected(
    warehouse: Dsn, folder: Path, system: System, tables: list[str], first: dt.date | None
) -> Iterator[dg.AssetCheckResult]:
    if not tables:
        return
    documents = DataDocs(folder)
    with checking(warehouse) as suites:
        for name in tables:
            window = window_of(system.tables[name], first, system.history_starts)
            verdict = suites.run(suite(system, name, window))
            yield _verdict(verdict, documents.write(verdict))
    documents.index()


def _verdict(verdict: Verdict, page: Path) -> dg.AssetCheckResult:
    rules = "\n".join(
        f"| {outcome.expectation.rule} | {outcome.expectation.severity} | {outcome.failed:,} |"
        f" {'; '.join(', '.join(key) for key in outcome.keys)} |"
        for outcome in sorted(verdict.outcomes, key=lambda outcome: outcome.holds)
    )
    counts = {f"failed: {outcome.expectation.rule}": outcome.failed for outcome in verdict.broken}
    key = ", ".join(verdict.suite.shown) or "the table has no key to show"
    return dg.AssetCheckResult(
        asset_key=keys.raw(verdict.suite.system, verdict.suite.table),
        check_name=EXPECTATIONS,
        passed=not verdict.broken,
        severity=dg.AssetCheckSeverity.ERROR if verdict.blocks else dg.AssetCheckSeverity.WARN,
        description=_said(verdict),
        metadata={
            "rows": verdict.rows,
            "looked at": str(verdict.suite.window),
            "rules": dg.MetadataValue.md(
                f"| rule | severity | rows that break it | {key} |\n|---|---|---|---|\n{rules}"
            ),
            **counts,
            "data docs": dg.MetadataValue.path(page),
            "what to do": _advice(verdict),
        },
    )


def _said(verdict: Verdict) -> str:
    if not verdict.broken:
        return f"{len(verdict.outcomes)} rules hold of {verdict.rows:,} rows"
    # What stopped the models first: there may be warnings of far more rows.
    broken = "; ".join(
        f"{outcome.failed:,} rows break: {outcome.expectation.rule}"
        + (" (warning)" if outcome.expectation.severity == "warn" else "")
        for outcome in sorted(verdict.broken, key=lambda outcome: outcome.expectation.severity == "warn")
    )
    return f"{verdict.suite.name}: {broken}"


def _advice(verdict: Verdict) -> str:
    if not verdict.broken:
        return "nothing"
    if verdict.blocks:
        return (
            f"The models that stand on {verdict.suite.name} were not built and keep the figures they have. Have the"
            " rows mended at the source, or the rule in the catalog if it is wrong; then run the job again."
        )
    return "The models were built; they say in their columns' descriptions what they leave out. Tell the owner."


def _usual(warehouse: Dsn, system: System, volumes: list[str], freshnesses: list[str]) -> Iterator[dg.AssetCheckResult]:
    if not volumes and not freshnesses:
        return
    with connect(warehouse, read_only=True, application="drivetrain quality") as connection:
        for name in system.tables:
            if name not in volumes and name not in freshnesses:
                continue
            history = read_history(connection, system, name)
            if history.as_of is None:
                never = Judgement(True, "Never loaded.")
                judged = {VOLUME: never, FRESHNESS: never}
            else:
                yesterday = history.as_of.astimezone(dt.UTC).date() - dt.timedelta(days=1)
                judged = {
                    VOLUME: volume(history.by_day, yesterday),
                    FRESHNESS: freshness(history.moments, history.as_of),
                }
            for check, wanted in ((VOLUME, volumes), (FRESHNESS, freshnesses)):
                if name in wanted:
                    yield _warning(system, name, check, judged[check])


def _warning(system: System, name: str, check: str, judged: Judgement) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=keys.raw(system.system, name),
        check_name=check,
        passed=judged.usual,
        severity=dg.AssetCheckSeverity.WARN,
        description=judged.said,
        metadata={
            **judged.figures,
            "what to do": "nothing" if judged.usual else "Ask the owner whether the source does what it should.",
        },
    )


def _schemas(settings: Settings, system: System, tables: list[str]) -> Iterator[dg.AssetCheckResult]:
    if not tables:
        return
    try:
        dsn = settings.primary(system.system)
        with connect(dsn, read_only=True, see_all_rows=True) as connection, translated(f"{system.system} (source)"):
            findings: Iterable[Finding] = check_system(connection, system)
        unknown = None
    except TransientError as error:
        findings, unknown = [], str(error)
    for name in tables:
        found = [finding for finding in findings if finding.table in (name, None, "")]
        yield dg.AssetCheckResult(
            asset_key=keys.raw(system.system, name),
            check_name=SCHEMA,
            passed=not found and unknown is None,
            severity=dg.AssetCheckSeverity.WARN,
            description="; ".join(f"{finding.field}: {finding.message}" for finding in found)
            or (f"The source could not be asked: {unknown}" if unknown else "The source's table is as declared."),
            metadata={
                "findings": len(found),
                "what to do": "; ".join(dict.fromkeys(finding.hint for finding in found)) or "nothing",
            },
        )
