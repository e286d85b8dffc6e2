"""``drivetrain audit``: the log of requests, holds and keys, and whether anybody has touched it."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from pipelines.cli.output import console, counted, show_json
from resources import officers
from resources.settings import Settings

app = typer.Typer(no_args_is_help=True, help="The audit log: who did what to requests and holds, and when.")

_JSON = typer.Option("--json", help="Print a JSON document for scripts.")


@app.command()
def show(
    request: Annotated[int | None, typer.Option(help="Only entries of this request.")] = None,
    json: Annotated[bool, _JSON] = False,
) -> None:
    """Print the entries, oldest first."""
    settings = Settings.load()
    with console.status("Reading …") as progress, settings.embedded_servers(progress.update):
        entries = officers.audit_log(settings, request)
    if json:
        show_json({"entries": [{**dataclasses.asdict(each), "hash": each.hash.hex()} for each in entries]})
        return
    shown = Table(box=None, header_style="bold")
    for heading in ("entry", "at (UTC)", "who", "what", "request", "detail"):
        shown.add_column(heading, overflow="fold")
    for each in entries:
        detail = ", ".join(f"{name} {value}" for name, value in each.detail.items() if value not in (None, "", False))
        shown.add_row(
            str(each.id), f"{each.at:%Y-%m-%d %H:%M:%S}", each.by_role, each.kind,
            "" if each.request is None else str(each.request), escape(detail),
        )  # fmt: skip
    console.print(shown if entries else "The log is empty.")


@app.command()
def verify(json: Annotated[bool, _JSON] = False) -> None:
    """Compute the log's chain of digests anew, and hold it against what the object store has of it.

    Exits 1 if an entry was edited, removed, added or moved.
    """
    settings = Settings.load()
    with console.status("Verifying …") as progress, settings.embedded_servers(progress.update):
        entries, breaks = officers.check_audit(settings)
    if json:
        show_json({"entries": entries, "holds": not breaks, "breaks": [dataclasses.asdict(each) for each in breaks]})
    elif breaks:
        for each in breaks:
            console.print(f"[red]entry {each.id}[/] {escape(each.message)}", soft_wrap=True)
        console.print(f"The log does not hold: {counted(len(breaks), 'break')} in {entries:,} entries.")
    else:
        console.print(f"The log holds: {entries:,} entries, none touched.")
    if breaks:
        raise typer.Exit(1)
