"""``drivetrain ingest``, ``build`` and ``refresh``: the same runs that schedules start, from the command line."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Annotated, Any

import typer

from pipelines.cli.output import console, counted, show_json
from pipelines.cli.running import RunSummary, models_left, platform, raw_systems, rules_behind, run_job
from resources.settings import Settings
from warehouse.errors import ConfigurationError, listed

_JSON = typer.Option("--json", help="Print a JSON document for scripts.")


def ingest(
    tables: Annotated[
        list[str] | None, typer.Argument(help="What to ingest: `system` or `system.table`; everything if left out.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="First month (YYYY-MM) of tables ingested by month; all history if left out.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Last month (YYYY-MM); the current one if left out.")] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only print what would be done, and what a changed schema stops and reaches.")
    ] = False,
    json: Annotated[bool, _JSON] = False,
) -> None:
    """Bring the raw tables up to their sources, and prove that both sides agree.

    All tables of a system are read under one snapshot. Nothing is loaded twice: what agrees already is left alone.

    Examples: `drivetrain ingest`, `drivetrain ingest logistics`, `drivetrain ingest shop.orders --since 2026-10`,
    `drivetrain ingest --plan`
    """
    from assets import keys
    from assets.ingestion import history_starts
    from pipelines.jobs import INGEST, month_tags

    settings = Settings.load()
    catalog = settings.catalog()
    wanted = []
    for text in tables or list(catalog.systems):
        system, dot, table = text.partition(".")
        if system not in catalog.systems:
            raise ConfigurationError(
                f"no system {system!r} in the catalog", hint=f"There are: {listed(catalog.systems, system)}"
            )
        if dot and table not in catalog.systems[system].tables:
            known = listed(catalog.systems[system].tables, table)
            raise ConfigurationError(f"no table {table!r} in system {system}", hint=f"There are: {known}")
        wanted += [keys.raw(system, name) for name in ([table] if dot else catalog.systems[system].tables)]
    for system in {key.path[0].removeprefix("raw_") for key in wanted}:
        settings.primary(system)  # every address is known before anything starts
    if plan:
        from pipelines.cli.ingest_plan import show_plan

        with console.status("Reading …"), settings.embedded_servers():
            named = [(key.path[0].removeprefix("raw_"), key.path[1]) for key in wanted]
            show_plan(settings, [(catalog.systems[system], table) for system, table in named], json=json)
        return
    settings.warehouse()
    today = dt.datetime.now(dt.UTC).date()
    first = _month(since) if since else history_starts(catalog)
    last = _month(until) if until else today.replace(day=1)
    if not history_starts(catalog) <= first <= last <= today.replace(day=1):
        raise ConfigurationError(
            f"months {first:%Y-%m} to {last:%Y-%m} are no range within "
            f"{history_starts(catalog):%Y-%m} and {today:%Y-%m}"
        )
    with console.status("Ingesting …") as spinner, platform(settings, spinner.update):
        summary = run_job(INGEST, tags=month_tags(first, last), keys=wanted)
    _finish(summary, json)


def build(
    models: Annotated[list[str] | None, typer.Argument(help="Which models; everything if left out.")] = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="Make incremental models anew from everything, not from what changed.")
    ] = False,
    json: Annotated[bool, _JSON] = False,
) -> None:
    """Build and test dbt models from what the raw tables hold now.

    The rules on the raw tables that they are made from are checked first; if one is broken nothing is built.

    Models of sums and facts are refreshed by what changed since their last refresh. `--whole` reads everything again:
    after a repair, or when the nightly comparison found a difference. Months that have left the warehouse stay.

    Examples: `drivetrain build`, `drivetrain build rider_leaderboard`, `drivetrain build int_rider_months --whole`
    """
    from assets.models import build_config
    from pipelines.jobs import MODELS

    settings = Settings.load()
    settings.warehouse()
    keys = _models(models) if models else None
    with console.status("Building …") as spinner, platform(settings, spinner.update):
        # Of some of the models Dagster does not know that they stand on what the rules are about: rules come first.
        rules = rules_behind(MODELS, keys) if keys else None
        summary = run_job(MODELS, tags={}, checks=rules) if rules else None
        if summary is None or summary.success:
            summary = run_job(MODELS, tags={}, keys=keys, config=build_config(whole=whole))
    _finish(summary, json)


def refresh(
    cadence: Annotated[str, typer.Argument(help="Which: `hourly`, `six_hourly` or `daily`.")],
    at: Annotated[
        dt.datetime | None, typer.Option(help="As on this day (UTC); today if left out.", formats=["%Y-%m-%d"])
    ] = None,
    json: Annotated[bool, _JSON] = False,
) -> None:
    """Do now what the schedule of that name does: ingest what its models are made from, and refresh these.

    Examples: `drivetrain refresh hourly`, `drivetrain refresh daily`
    """
    from pipelines.jobs import CADENCES, MODELS, month_tags, recent_months

    if cadence not in CADENCES:
        raise ConfigurationError(f"no schedule {cadence!r}", hint=f"There are: {listed(CADENCES, cadence)}")
    settings = Settings.load()
    settings.warehouse()
    catalog = settings.catalog()
    for system in raw_systems(cadence):
        settings.primary(system)
    today = dt.datetime.now(dt.UTC).date()
    day = at.date() if at else today
    if day > today:
        raise ConfigurationError(f"--at {day} is in the future", hint="The sources hold nothing of it yet.")
    months = recent_months(catalog, day, CADENCES[cadence][1])
    with console.status("Refreshing …") as spinner, platform(settings, spinner.update):
        summary = run_job(cadence, tags=month_tags(*months))
        left = set[Any]() if summary.success else models_left(cadence, summary)
        if left:  # no system waits for another's source
            beside = run_job(MODELS, tags={}, keys=left)
            summary.materialized += beside.materialized
            summary.failures |= beside.failures
    _finish(summary, json)


def _models(names: list[str]) -> list[Any]:
    """Asset keys of models by their names."""
    from assets.keys import is_raw
    from pipelines.definitions import defs

    known = {key.path[-1]: key for key in defs.resolve_all_asset_keys() if not is_raw(key)}
    for name in names:
        if name not in known:
            raise ConfigurationError(f"no model {name!r}", hint=f"There are: {listed(known, name)}")
    return [known[name] for name in names]


def _month(text: str) -> dt.date:
    try:
        return dt.datetime.strptime(text, "%Y-%m").date()
    except ValueError:
        raise ConfigurationError(f"{text!r} is no month", hint="Write it as YYYY-MM, for example 2026-10.") from None


def _finish(summary: RunSummary, json: bool) -> None:
    if json:
        show_json(dataclasses.asdict(summary))
    else:
        show(summary)
    if not summary.success:
        raise typer.Exit(1)


def show(summary: RunSummary) -> None:
    """Print what a run did."""
    verdict = "[green]done[/]" if summary.success else "[red]failed[/]"
    checks = f"{counted(summary.checks_passed, 'check')} passed"
    if summary.checks_failed:
        checks += f", [red]{len(summary.checks_failed)} failed[/]"
    if summary.checks_warned:
        checks += f", [yellow]{counted(len(summary.checks_warned), 'warning')}[/]"
    written = f", {counted(summary.rows_written, 'row')} written" if summary.job.startswith("ingest") else ""
    console.print(
        f"{summary.job} {verdict}: {counted(len(summary.materialized), 'asset')}{written}, {checks}  "
        f"[dim]run {summary.run_id[:8]}[/]"
    )
    for check in summary.checks_failed:
        console.print(f"  [red]check failed[/] {check}", markup=True)
    for check in summary.checks_warned:
        console.print(f"  [yellow]check warns[/] {check}", markup=True)
    if summary.checks_warned or summary.checks_failed:
        console.print("  [dim]What each is about and what to do: its asset in the UI, docs/runbooks/broken-rule.md[/]")
    steps_by_reason: dict[str, list[str]] = {}
    for step, reason in summary.failures.items():
        steps_by_reason.setdefault(reason, []).append(step.replace("raw_", "", 1).replace("__", ".", 1))
    for reason, steps in steps_by_reason.items():
        console.print(f"  [red]failed[/] {', '.join(steps)}", soft_wrap=True)
        console.print(f"    {reason}", markup=False, soft_wrap=True)
