"""``drivetrain capture``: changes from a source's log, between two comparisons."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from pipelines.cli.by_table import JSON
from pipelines.cli.output import console, counted, show_json
from resources import capture as capturing
from resources.capture import CaptureState
from resources.settings import Settings
from warehouse.ingest.capture import Captured

app = typer.Typer(
    no_args_is_help=True,
    help="Changes of tables with `ingest: {capture: true}`, read from the source's log (logical replication).",
)

_SYSTEMS = typer.Argument(help="Which systems; every one with captured tables if left out.")
_SYSTEM = typer.Argument(help="Which system.")


@app.command()
def run(systems: Annotated[list[str] | None, _SYSTEMS] = None, json: Annotated[bool, JSON] = False) -> None:
    """Read each source's log to its end and apply it. A table that is new to it is compared with its source first.

    Exits 1 if a table could not follow; it is compared at the next run, and the others go on.
    """
    settings = Settings.load()
    asked = capturing.capturing_systems(settings.catalog(), systems or [])
    done: dict[str, Captured] = {}
    with console.status("Capturing …") as progress, settings.embedded_servers(progress.update):
        for system in asked:
            progress.update(f"{system.title} …")
            done[system.system] = capturing.capture(settings, system)
    if json:
        show_json({"systems": {name: _as_json(result) for name, result in done.items()}})
    else:
        for name, result in done.items():
            _show(name, result)
        if not done:
            console.print("No table is captured: write `ingest: {..., capture: true}` for some in the catalog.")
    if any(table.error for result in done.values() for table in result.tables.values()):
        raise typer.Exit(1)


@app.command()
def status(systems: Annotated[list[str] | None, _SYSTEMS] = None, json: Annotated[bool, JSON] = False) -> None:
    """Print how far each log was read, how much of it the source keeps, and what is missing. Changes nothing.

    Exits 1 if there is something to look at.
    """
    settings = Settings.load()
    with console.status("Reading …") as progress, settings.embedded_servers(progress.update):
        asked = capturing.systems_with_slots(settings, systems or [])
        found = [capturing.capture_state(settings, system) for system in asked]
    if json:
        show_json({"systems": {each.system: _state_as_json(each) for each in found}})
    else:
        _show_states(found)
    if any(each.wrong for each in found):
        raise typer.Exit(1)


@app.command()
def publish(system: Annotated[str, _SYSTEM]) -> None:
    """Let a source tell what changes in its captured tables.

    Of an embedded database this is done; of your own the SQL is printed that the tables' owner has to run.
    """
    settings = Settings.load()
    (asked,) = capturing.capturing_systems(settings.catalog(), [system])
    with console.status("Reading …") as progress, settings.embedded_servers(progress.update):
        statements = capturing.owners_sql(settings, asked)
        done = capturing.publish_embedded(settings, asked)
    if done:
        console.print(f"{asked.title} tells what changes in {counted(len(capturing.captured_tables(asked)), 'table')}.")
        console.print("  Next: `drivetrain capture run`", style="dim")
        return
    for statement in statements:
        console.print(f"{statement};", markup=False, highlight=False, soft_wrap=True)


@app.command()
def stop(system: Annotated[str, _SYSTEM]) -> None:
    """Drop a source's slot, so that it keeps no log for the platform. Tables are loaded by comparison from then on."""
    settings = Settings.load()
    with console.status("Stopping …") as progress, settings.embedded_servers(progress.update):
        (asked,) = capturing.systems_with_slots(settings, [system])
        there = capturing.stop_capture(settings, asked)
    console.print(f"{asked.title}: {'the slot is gone' if there else 'there was no slot'}; nothing else was changed.")


def _show(name: str, result: Captured) -> None:
    rows = sum(table.rows for table in result.tables.values())
    console.print(
        f"{name}: {counted(sum(t.changes for t in result.tables.values()), 'change')},"
        f" {counted(rows, 'row')} of {counted(len(result.tables), 'table')} in {result.seconds:.1f} s"
    )
    if result.dropped:
        console.print("  [yellow]The source kept too much log for it: it was given up, and begun anew.[/]")
    for table, each in sorted(result.tables.items()):
        if each.compared:
            console.print(f"  {table}: compared with the source first: {escape(each.compared)}", soft_wrap=True)
        if each.kept_out:
            console.print(f"  {table}: {counted(each.kept_out, 'row')} of erased persons left out")
        if each.error:
            console.print(f"  [red]{table} is not up to date[/]: {escape(str(each.error))}", soft_wrap=True)


def _show_states(found: list[CaptureState]) -> None:
    if not found:
        console.print("No table is captured: write `ingest: {..., capture: true}` for some in the catalog.")
        return
    shown = Table("system", "tables", "log kept", "of", "not read", "read to its end", box=None, header_style="bold")
    for each in found:
        kept = "no slot" if each.retained is None else f"{each.retained / 1e6:,.0f} MB"
        shown.add_row(
            each.system, f"{len(each.tables)}", kept, f"{each.budget / 1e6:,.0f} MB", f"{each.behind / 1e6:,.1f} MB",
            f"{each.read_at:%Y-%m-%d %H:%M:%S} UTC" if each.read_at else "never",
        )  # fmt: skip
    console.print(shown)
    for each in found:
        for wrong in each.wrong:
            console.print(f"  [yellow]{each.system}[/]: {escape(wrong)}", soft_wrap=True)


def _as_json(result: Captured) -> Mapping[str, Any]:
    return {
        "retained_bytes": result.retained, "given_up": result.dropped, "seconds": round(result.seconds, 3),
        "committed_at": _moment(result.committed_at),
        "tables": {
            name: {
                "changes": each.changes, "rows": each.rows, "left_out": each.kept_out, "compared": each.compared,
                "failure": str(each.error) if each.error else None,
            }
            for name, each in sorted(result.tables.items())
        },
    }  # fmt: skip


def _state_as_json(state: CaptureState) -> Mapping[str, Any]:
    return {
        "retained_bytes": state.retained, "budget_bytes": state.budget, "unread_bytes": state.behind,
        "read_at": _moment(state.read_at), "wrong": state.wrong,
        "tables": {name: None if p is None else {"compare": p.compare} for name, p in sorted(state.tables.items())},
    }  # fmt: skip


def _moment(at: dt.datetime | None) -> str | None:
    return at.isoformat() if at else None
