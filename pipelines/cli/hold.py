"""``drivetrain hold``: legal holds, which stop erasure and retention alike."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from pipelines.cli.output import console, counted, show_json
from resources import officers
from resources.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Legal holds: what must be kept, whatever its age and whoever asks.")

_JSON = typer.Option("--json", help="Print a JSON document for scripts.")


@app.command()
def add(
    reason: Annotated[str, typer.Option(help="Why: the case or the authority. Nobody's data: it is shown to all.")],
    system: Annotated[str | None, typer.Option(help="Of this system; all of them if left out.")] = None,
    table: Annotated[str | None, typer.Option(help="Of this table of the system.")] = None,
    person: Annotated[str | None, typer.Option(help="Of this person of the system: the key, e.g. 4711.")] = None,
    until: Annotated[
        dt.datetime | None,
        typer.Option(help="Ends by itself on this day (UTC); when it is released if left out.", formats=["%Y-%m-%d"]),
    ] = None,
) -> None:
    """Place a hold. Erasure and retention leave what it covers from now on."""
    settings = Settings.load()
    end = until.replace(tzinfo=dt.UTC) if until else None
    with console.status("Placing …") as progress, settings.embedded_servers(progress.update):
        made = officers.add_hold(settings, system, table, person, reason, end)
    console.print(f"Hold {made} stands. It ends with `drivetrain hold release {made} --why ...`.")


@app.command()
def release(
    hold: Annotated[int, typer.Argument(help="Its number (`drivetrain hold list`).")],
    why: Annotated[str, typer.Option(help="Why it ends; for the audit log.")],
) -> None:
    """End a hold. What had waited for it is erased or expires with the next run."""
    settings = Settings.load()
    with console.status("Releasing …") as progress, settings.embedded_servers(progress.update):
        officers.release_hold(settings, hold, why)
    console.print(f"Hold {hold} is released. Requests that it blocked are planned and approved anew.")
    console.print("  Next: `drivetrain erasure status` says which", style="dim")


@app.command("list")
def list_(json: Annotated[bool, _JSON] = False) -> None:
    """Print the holds that stand."""
    settings = Settings.load()
    with console.status("Reading …") as progress, settings.embedded_servers(progress.update):
        found = officers.list_holds(settings)
    if json:
        show_json({"holds": [dataclasses.asdict(hold) for hold in found]})
        return
    if not found:
        console.print("No hold stands.")
        return
    shown = Table(box=None, header_style="bold")
    for heading in ("hold", "covers", "person", "why", "placed by", "since", "until"):
        shown.add_column(heading)
    for hold in found:
        covers = "everything" if hold.system is None else f"{hold.system}.{hold.table}" if hold.table else hold.system
        shown.add_row(
            str(hold.id), covers, hold.subject or "", escape(hold.reason), hold.placed_by, f"{hold.placed_at:%Y-%m-%d}",
            f"{hold.until:%Y-%m-%d}" if hold.until else "released",
        )  # fmt: skip
    console.print(shown)
    console.print(f"{counted(len(found), 'hold')}.")
