"""``drivetrain demo``: five applications, one warehouse, from nothing to checked marts."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from demo.generate import change, fill, filled
from demo.servers import SYSTEMS, Servers
from pipelines.cli.demo_erasure import erase_one, show_erased
from pipelines.cli.highlights import show_highlights
from pipelines.cli.output import console
from pipelines.cli.prove import show_proofs
from pipelines.cli.running import RunSummary, models_built_today, platform, run_job
from pipelines.cli.runs import show
from pipelines.cli.status import read_status, show_status
from resources.proof import provable_tables, prove
from resources.settings import Settings
from resources.tiering import apply_tiers, failures_of, plan_tiers, tiered_tables
from warehouse.catalog.model import System
from warehouse.errors import ConfigurationError
from warehouse.postgres.sessions import connect
from warehouse.state.moves import read_moves
from warehouse.tiering.plan import leaves_at

DEFAULT_SEED = 20
#: Tables of which the demo moves a month through all tiers, the first two with real tracks and riders' ways.
MOVED = (
    "bikenode.gps_points", "logistics.location_logs", "bikenode.sensor_readings", "bikenode.weather_observations",
    "carddb.price_observations",
)  # fmt: skip


def demo(
    scale: Annotated[
        float, typer.Option(help="Amount of generated data; 1.0 is about a million rows.", min=0.001)
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Same seed, same data.")] = DEFAULT_SEED,
    generated: Annotated[
        bool, typer.Option("--generated", help="Generated data only, even if real data are there.")
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Throw away data filled with other options.")] = False,
    changes: Annotated[int, typer.Option(help="Days of use to let pass (late rows, updates, deletes).", min=0)] = 0,
) -> None:
    """Fill five operational databases, ingest them, build the models, move months to the lake, erase a
    person, and prove every row.

    Runs embedded servers, and stops them at the end if it started them. A second run re-uses what is there.
    Where the folder DRIVETRAIN_REAL_DATA (or ../shared/real) exists, shop, logistics and bikenode hold real data.
    """
    started = time.monotonic()
    settings = Settings.load()
    theirs = [f"DRIVETRAIN_{s.upper()}_DSN" for s in SYSTEMS if settings.get(f"{s.upper()}_DSN")]
    if theirs:
        raise ConfigurationError(
            f"the demo fills databases of its own, and {', '.join(theirs)} names one of yours",
            hint="Unset it for the demo; to ingest your own databases run `drivetrain ingest`.",
        )
    real = None if generated else settings.real_data
    console.print(f"[bold]Drivetrain demo[/], data in {settings.home}" + (f", real data from {real}" if real else ""))
    with _progress() as progress:
        servers_task = progress.add_task("servers", total=None)
        with platform(settings, lambda text: progress.update(servers_task, description=text)):
            servers = settings.servers()
            progress.update(servers_task, description="servers are up", total=1, completed=1)
            _fill(servers, progress, seed=seed, scale=scale, real=real, replace=replace)
            for number in range(1, changes + 1):
                for system in SYSTEMS:
                    change(servers.system_admin_dsn(system), system, seed=seed, round=number)
            servers.wait_for_replica(120)
            summaries, erased = _run(progress, settings), None
            if all(summary.success for summary in summaries):
                _move(progress, settings)
                erasing = progress.add_task("one person is erased", total=None)
                erased = erase_one(settings, lambda text: progress.update(erasing, description=f"erasing: {text}"))
                progress.update(erasing, description="one person is erased", total=1, completed=1)
            progress.stop()
            console.print()
            for summary in summaries:
                show(summary)
            show_status(read_status(settings))
            show_highlights(settings)
            if erased is not None:
                console.print("\n[bold]A rider asked to be erased[/] (drivetrain erasure status)")
                show_erased(erased)
            console.print("\n[bold]Is every row accounted for?[/] (drivetrain prove)")
            proven = show_proofs(prove(settings, provable_tables(settings.catalog()), deep=False), deep=False)
    console.print(f"\nDone in {time.monotonic() - started:.0f} s. [bold]Where to look next[/]")
    console.print("  make ui                 the Dagster UI: what ran, what is stale, what is next")
    console.print("  drivetrain status       this summary again (the command is in .venv/bin)")
    console.print("  drivetrain servers up   keep the servers running, for psql and other tools")
    console.print("  docs/README.md          guides for engineers, analysts, compliance officers")
    if not (proven and all(summary.success for summary in summaries) and erased is not None and erased.certificate):
        raise typer.Exit(1)


def _fill(servers: Servers, progress: Progress, *, seed: int, scale: float, real: Path | None, replace: bool) -> None:
    today = dt.datetime.now(dt.UTC).date()
    task = progress.add_task("operational databases", total=len(SYSTEMS))
    for system in SYSTEMS:
        progress.update(task, description=f"filling {system}")
        dsn = servers.system_admin_dsn(system)
        present = filled(dsn)
        # What another day filled is still a demonstration: its history ends on that day.
        day = dt.date.fromisoformat(present.today) if present is not None and not replace else today
        fill(dsn, system, seed=seed, scale=scale, today=day, real=real, replace=replace)
        progress.advance(task)
    progress.update(task, description="operational databases filled")


def _run(progress: Progress, settings: Settings) -> list[RunSummary]:
    """Ingest all systems; build the models, unless nothing changed since they were built."""
    from pipelines.jobs import INGEST, MODELS, month_tags, recent_months

    def run(job: str, tags: dict[str, str], title: str) -> RunSummary:
        task = progress.add_task(f"{title} …", total=None)
        summary = run_job(
            job,
            tags=tags,
            progress=lambda doing, done, total: progress.update(task, description=doing, completed=done, total=total),
        )
        count = len(summary.materialized)
        progress.update(task, description=title, completed=count, total=count)
        return summary

    today = dt.datetime.now(dt.UTC).date()
    ingested = run(INGEST, month_tags(*recent_months(settings.catalog(), today, None)), "ingested and reconciled")
    if ingested.rows_written == 0 and (built := models_built_today(settings)):
        progress.add_task(f"models are up to date (run {built[:8]})", total=1, completed=1)
        return [ingested]
    return [ingested, run(MODELS, {}, "modelled and tested")]


def _move(progress: Progress, settings: Settings) -> None:
    """The oldest month of each table that is due to leave its database goes all the way to the lake, as it would in a
    year's time.
    """
    task = progress.add_task("months to the lake", total=len(MOVED))
    moved = 0
    for system, name in tiered_tables(settings.catalog(), MOVED):
        progress.update(task, description=f"{system.system}.{name} to the lake")
        for month in _months_to_move(settings, system, name):
            warm = system.tables[name].tiers.warm
            at = max(dt.datetime.now(dt.UTC), leaves_at(month, warm)) if warm else dt.datetime.now(dt.UTC)
            while True:  # each pass is a step further: out of the source, dropped there, into the lake, dropped here
                moves = apply_tiers(settings, [(system, name)], at, months=[month], keep=dt.timedelta())
                for failure in failures_of(moves):
                    raise failure
                if not any(each.done for each in moves):
                    break
                moved += 1
        progress.advance(task)
    progress.update(task, description="months are in the lake" + ("" if moved else " already"))


def _months_to_move(settings: Settings, system: System, name: str) -> list[dt.date]:
    """The month that an earlier demo began with; else the oldest that is due to leave."""
    with connect(settings.warehouse(), read_only=True) as warehouse:
        begun = {move.month for move in read_moves(warehouse, system.system, name)}
    if begun:
        return sorted(begun)
    (plan,) = plan_tiers(settings, [(system, name)], dt.datetime.now(dt.UTC))
    return sorted(step.month for step in plan.steps if step.kind == "leave")[:1]


def _progress() -> Progress:
    return Progress(
        SpinnerColumn(finished_text="[green]✓[/]"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )
