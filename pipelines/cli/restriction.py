"""``drivetrain restriction``: whose data may not be used for now, and is shown to no reader."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer
from rich.table import Table

from pipelines.cli.output import console, counted, show_json
from resources import restriction
from resources.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    help="Restriction of processing: a person's rows are kept, and shown to no reader.\n\n"
    "`drivetrain erasure request --kind restriction` → `erasure confirm` (requester) → `restriction start` → "
    "`restriction end` (another person, an approver).",
)

_JSON = typer.Option("--json", help="Print a JSON document for scripts.")
_NUMBER = typer.Argument(help="The request's number.")


@app.command()
def start(number: Annotated[int, _NUMBER], json: Annotated[bool, _JSON] = False) -> None:
    """Hide the persons of a request from analysts' views and from `drivetrain sql`, at once. Deletes nothing."""
    settings = Settings.load()
    with console.status("Restricting …") as progress, settings.embedded_servers(progress.update):
        found = restriction.start(settings, number)
    if json:
        show_json({"request": number, "systems": [dataclasses.asdict(each) for each in found]})
        return
    console.print(f"Request {number} hides rows of {', '.join(each.system for each in found)}, until it is ended.")
    console.print(f"  Then, by an approver: `drivetrain restriction end {number} --why ...`", style="dim")


@app.command()
def end(
    number: Annotated[int, _NUMBER],
    why: Annotated[str, typer.Option(help="Why it ends; for the audit log. Nobody's data.")],
) -> None:
    """Show the rows again, once the person was told. As an approver who did not file the request."""
    settings = Settings.load()
    with console.status("Ending …") as progress, settings.embedded_servers(progress.update):
        restriction.end(settings, number, why)
    console.print(f"Request {number} is completed: its rows are shown again.")


@app.command("list")
def list_(json: Annotated[bool, _JSON] = False) -> None:
    """Print which requests hide rows now: restrictions, and erasures that are under way. Names nobody."""
    settings = Settings.load()
    with console.status("Reading …") as progress, settings.embedded_servers(progress.update):
        found = restriction.hidden(settings)
    if json:
        show_json({"requests": [
            {"request": each.request.id, "kind": each.request.kind, "state": each.request.state,
             "systems": [{"system": one.system, "since": one.since, "keys": one.keys} for one in each.systems]}
            for each in found
        ]})  # fmt: skip
        return
    if not found:
        console.print("Nobody is hidden.")
        return
    shown = Table("request", "kind", "state", "system", "since", "keys", box=None, header_style="bold")
    for each in found:
        for one in each.systems:
            shown.add_row(
                str(each.request.id), each.request.kind, each.request.state, one.system, f"{one.since:%Y-%m-%d}",
                f"{one.keys:,}",
            )  # fmt: skip
    console.print(shown)
    console.print(f"{counted(len(found), 'request')}.")
