"""``drivetrain export``: copies of what is held about a person, for that person."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from pipelines.cli.output import console, counted, show_json
from resources import exports
from resources.settings import Settings
from warehouse.catalog.age import Age, parse_age
from warehouse.erasure.exporting import Made
from warehouse.errors import ConfigurationError
from warehouse.state.exports import Export

app = typer.Typer(
    no_args_is_help=True,
    help="Copies of what is held about a person: made, fetched, expired.\n\n"
    "A request is filed with `drivetrain erasure request --kind export`, confirmed, planned and approved by another "
    "person like an erasure; then `export run` (operator) and `export fetch` (requester).",
)

_JSON = typer.Option("--json", help="Print a JSON document for scripts.")
_NUMBER = typer.Argument(help="The request's number.")


@app.command()
def run(
    number: Annotated[int, _NUMBER],
    to: Annotated[
        Path | None, typer.Option(help="A file to write it to, which is not there yet; kept in the lake if left out.")
    ] = None,
    keep_for: Annotated[
        str, typer.Option(help="How long it is kept in the lake, e.g. 7 days; at most 90.")
    ] = "30 days",
    json: Annotated[bool, _JSON] = False,
) -> None:
    """Make the copy that was approved: JSON Lines, CSV and what they mean, with the person's files, in a zip."""
    try:
        age = Age.model_validate(parse_age(keep_for))
    except ValueError:
        raise ConfigurationError(f"--keep-for: {keep_for!r} is no age", hint="For example: 7 days") from None
    now = dt.datetime.now(dt.UTC)
    settings = Settings.load()
    with console.status("Collecting …") as progress, settings.embedded_servers(progress.update):
        made = exports.run(settings, number, to, kept_for=age.later(now) - now, tell=progress.update)
    if json:
        show_json(_made(made))
        return
    export, read = made.export, made.read
    console.print(
        f"The copy for request {number} is made: {counted(export.rows or 0, 'row')} of "
        f"{counted(sum(1 for each in made.tables if each.rows), 'table')}, {counted(export.files or 0, 'file')}, "
        f"{_megabytes(export.bytes)} MB, SHA-256 {export.sha256}."
    )
    console.print(
        f"  Of the lake, read {_megabytes(read.bytes)} MB of {_megabytes(read.all_bytes)} MB in {read.files:,} of "
        f"{counted(read.all_files, 'file')}.",
        style="dim",
    )
    if to is not None:
        console.print(f"  It is in {to}, and nowhere else: keep it where nobody else can read.", style="dim")
    else:
        console.print(
            f"  It is kept until {export.expires_at:%Y-%m-%d}. Next: `drivetrain export fetch {number} --to FILE`",
            style="dim",
        )


@app.command("list")
def list_(json: Annotated[bool, _JSON] = False) -> None:
    """Print the copies that were made, and what became of them."""
    settings = Settings.load()
    with console.status("Reading …") as progress, settings.embedded_servers(progress.update):
        found = exports.exports(settings)
    if json:
        show_json({"exports": [dataclasses.asdict(each) for each in found]})
        return
    if not found:
        console.print("No copy was made.")
        return
    shown = Table(
        "request", "made", "rows", "files", "MB", "kept until", "fetched", "now", box=None, header_style="bold"
    )
    for each in found:
        shown.add_row(
            str(each.request), f"{each.made_at:%Y-%m-%d %H:%M}" if each.made_at else "", f"{each.rows or 0:,}",
            f"{each.files or 0:,}", _megabytes(each.bytes), f"{each.expires_at:%Y-%m-%d}" if each.expires_at else "",
            f"{each.fetches} (last by {each.fetched_by})" if each.fetches else "", _now(each),
        )  # fmt: skip
    console.print(shown)


@app.command()
def fetch(
    number: Annotated[int, _NUMBER],
    to: Annotated[Path, typer.Option(help="A file to write it to, which is not there yet.")],
    json: Annotated[bool, _JSON] = False,
) -> None:
    """Write a copy that is kept to a file, to hand it over. As a requester; the audit log notes it."""
    settings = Settings.load()
    with console.status("Fetching …") as progress, settings.embedded_servers(progress.update):
        found = exports.fetch(settings, number, to)
    if json:
        show_json(dataclasses.asdict(found))
        return
    console.print(f"The copy for request {number} is in {to}. Hand it to nobody but that person, then remove the file.")


@app.command()
def expire(json: Annotated[bool, _JSON] = False) -> None:
    """Remove copies that are past their day. A schedule does so every night.

    Exits 1 if anything is left.
    """
    settings = Settings.load()
    with console.status("Removing …") as progress, settings.embedded_servers(progress.update):
        removed = exports.expire(settings, dt.datetime.now(dt.UTC))
    if json:
        show_json(dataclasses.asdict(removed))
    else:
        console.print(f"{removed.removed:,} of {removed.expected:,} copies that were due are removed.")
    if removed.residual:
        raise typer.Exit(1)


def _now(export: Export) -> str:
    if export.removed_why is not None:
        return export.removed_why
    if export.made_at is None:
        return "cut off"
    return "kept" if export.kept else "handed over as a file"


def _megabytes(size: int | None) -> str:
    return f"{(size or 0) / 1e6:,.2f}"


def _made(made: Made) -> dict[str, Any]:
    return {
        "export": dataclasses.asdict(made.export),
        "tables": [dataclasses.asdict(each) for each in made.tables],
        "lake": dataclasses.asdict(made.read),
    }
