"""``drivetrain tiers``: which months move down a tier, move them, and where everything is."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from pipelines.cli.by_table import AT, JSON, failures_as_json, moment, show_failures
from pipelines.cli.output import console, counted, show_json
from pipelines.cli.tier_map import map_as_json, show_map
from resources.settings import Settings
from resources.tiering import (
    TableMoves,
    TablePlan,
    apply_tiers,
    failures_of,
    map_tiers,
    parse_month,
    plan_tiers,
    tiered_tables,
)
from resources.tiering import rehydrate as bring_back
from warehouse.catalog.age import Age, parse_age
from warehouse.errors import ConfigurationError
from warehouse.tiering.plan import STEPS, Step

app = typer.Typer(no_args_is_help=True, help="Move months hot → warm → cold, each proven before anything is dropped.")

_TABLES = typer.Argument(help="What: `system` or `system.table`; everything with tiers if left out.")


@app.command()
def plan(
    tables: Annotated[list[str] | None, _TABLES] = None,
    at: Annotated[dt.datetime | None, AT] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Print which months would move tonight, why, and how much that is. Changes nothing.

    Exits 1 if a table cannot be looked at; the others are.
    """
    settings = Settings.load()
    asked = tiered_tables(settings.catalog(), tables or [])
    with console.status("Reading …") as progress, settings.embedded_servers(progress.update):
        plans = plan_tiers(settings, asked, moment(at))
    if json:
        show_json({"steps": [_as_json(each, step) for each in plans for step in each.steps], **failures_as_json(plans)})
    else:
        _show(plans)
    if any(each.failure for each in plans):
        raise typer.Exit(1)


@app.command()
def apply(
    tables: Annotated[list[str] | None, _TABLES] = None,
    at: Annotated[dt.datetime | None, AT] = None,
    month: Annotated[list[str] | None, typer.Option(help="Only this month, YYYY-MM; may be given again.")] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Do what `plan` prints: each month by itself, resumable, and dropped only after a proof.

    Exits 1 if anything was not done; the next run goes on where it stopped.
    """
    settings = Settings.load()
    asked = tiered_tables(settings.catalog(), tables or [])
    months = [parse_month(text) for text in month] if month else None
    with console.status("Moving …") as progress, settings.embedded_servers(progress.update):
        moves = apply_tiers(settings, asked, moment(at), months=months, tell=progress.update)
    if json:
        steps = [
            {**_as_json(each, done.step), "state": done.move.state if done.move else None,
             "failure": str(done.failure) if done.failure else None}
            for each in moves for done in each.done
        ]  # fmt: skip
        show_json({"steps": steps, **failures_as_json(moves)})
    else:
        _show_moves(moves)
        if months and not any(each.done for each in moves):
            console.print("Nothing is due of what was asked for: `drivetrain tiers plan` says what is, and what waits.")
    if failures_of(moves):
        raise typer.Exit(1)


@app.command()
def rehydrate(
    table: Annotated[str, typer.Argument(help="Which: `system.table`.")],
    month: Annotated[list[str], typer.Option(help="Month of the lake, YYYY-MM; may be given again.")],
    reason: Annotated[str, typer.Option(help="Why, for whoever reads the ledger; must be said unless --end.")] = "",
    stay: Annotated[str, typer.Option("--for", help="How long it stays, e.g. `7 days`.")] = "7 days",
    end: Annotated[bool, typer.Option("--end", help="It may go cold again with the next run.")] = False,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Bring months of the lake back into the warehouse for a while, where plain SQL sees them.

    They are proven on the way, and go cold again by `apply` when their time is over. Asked again, they stay longer.
    """
    settings = Settings.load()
    now = dt.datetime.now(dt.UTC)
    until = now if end else _age(stay).later(now)
    found = tiered_tables(settings.catalog(), [table])
    if "." not in table or len(found) != 1:
        raise ConfigurationError(
            f"{table!r} is no single table", hint="Write system.table, e.g. logistics.location_logs."
        )
    ((system, name),) = found
    if not end and not reason.strip():
        raise ConfigurationError("why does it come back?", hint='Say it, e.g. --reason "claim 4711".')
    months = [parse_month(text) for text in month]
    with console.status("Bringing back …") as progress, settings.embedded_servers(progress.update):
        back = bring_back(settings, system, name, months, until, reason, end=end, tell=progress.update)
    if json:
        show_json({"months": [dataclasses.asdict(each) for each in back]})
        return
    for each in back:
        told = (
            "goes cold again with the next run that finds it due"
            if end
            else f"stays until {each.until:%Y-%m-%d %H:%M} UTC"
        )
        console.print(f"{table} {each.month:%Y-%m}: {counted(each.rows, 'row')}, {each.bytes / 1e6:,.1f} MB; {told}.")


def _age(text: str) -> Age:
    try:
        return Age.model_validate(parse_age(text))
    except ValueError:
        raise ConfigurationError(f"--for: {text!r} is no age", hint="For example: 7 days") from None


@app.command("map")
def map_(
    tables: Annotated[list[str] | None, _TABLES] = None,
    at: Annotated[dt.datetime | None, AT] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Print where rows and bytes are, what moves tonight and what that frees, and the costs. Changes nothing.

    Exits 1 if a table cannot be looked at; the others are.
    """
    settings = Settings.load()
    prices, asked = settings.prices, tiered_tables(settings.catalog(), tables or [])
    with console.status("Reading …") as progress, settings.embedded_servers(progress.update):
        maps = map_tiers(settings, asked, moment(at))
    if json:
        show_json(map_as_json(maps, prices))
    else:
        show_map(maps, prices)
    if any(each.failure for each in maps):
        raise typer.Exit(1)


def _show(plans: Sequence[TablePlan]) -> None:
    shown = Table("table", "month", "step", "rows (est.)", "MB", "why", box=None, header_style="bold")
    for column in (3, 4):
        shown.columns[column].justify = "right"
    for each in plans:
        for step in each.steps:
            shown.add_row(
                f"{each.system}.{each.table}",
                f"{step.month:%Y-%m}" + (f" +{step.part}" if step.part else ""),
                STEPS[step.kind],
                f"{step.rows:,}",
                f"{step.bytes / 1e6:,.1f}" if step.bytes else "",
                escape(step.reason),
                style="dim" if step.kind in ("keep", "wait") else None,
            )
    due = sum(step.kind not in ("keep", "wait") for each in plans for step in each.steps)
    freed = sum(step.bytes for each in plans for step in each.steps if step.kind in ("leave", "cool"))
    console.print(f"{counted(due, 'step')} to do; {freed / 1e6:,.1f} MB will be free when nothing is kept any longer.")
    if shown.row_count:
        console.print(shown)
    show_failures(plans)


def _show_moves(moves: Sequence[TableMoves]) -> None:
    done = [(each, d) for each in moves for d in each.done]
    failed = sum(d.failure is not None for _, d in done)
    console.print(f"{counted(len(done) - failed, 'step')} done{f', {failed:,} not' if failed else ''}.")
    for each, d in done:
        what = f"{each.system}.{each.table} {d.step.month:%Y-%m} {STEPS[d.step.kind]}"
        if d.failure is not None:
            console.print(f"  [red]not done[/] {what}: {escape(str(d.failure))}", soft_wrap=True)
        else:
            rows = d.move.kept.rows if d.move and d.move.kept else d.step.rows
            console.print(f"  {what}: {counted(rows, 'row')}", soft_wrap=True)
    show_failures(moves)


def _as_json(of: TablePlan | TableMoves, step: Step) -> dict[str, Any]:
    return {
        "system": of.system, "table": of.table, "month": f"{step.month:%Y-%m}", "part": step.part, "step": step.kind,
        "reason": step.reason, "estimated_rows": step.rows, "bytes": step.bytes,
    }  # fmt: skip
