"""``drivetrain servers``: the embedded PostgreSQL servers."""

from __future__ import annotations

import os
import subprocess
from typing import Annotated

import typer
from psycopg.conninfo import conninfo_to_dict
from rich.table import Table

from demo.servers.binaries import client
from demo.servers.model import WAREHOUSE
from pipelines.cli.output import console, show_json
from resources.opening import forget_embedded
from resources.settings import Settings

# Not as arguments, which every user of the machine can read.
_LIBPQ = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE",
          "sslmode": "PGSSLMODE"}  # fmt: skip

app = typer.Typer(
    no_args_is_help=True,
    help="Start, stop and look at the embedded servers: operational, its replica, and the warehouse. "
    "Not needed where DRIVETRAIN_…_DSN name servers of your own.",
)


@app.command()
def up() -> None:
    """Start the servers (made on first use) and leave them running until `servers down`."""
    servers = Settings.load().servers()
    with console.status("Starting servers …") as progress:
        servers.up(owned=False, progress=progress.update)
    _table(servers.status())


@app.command()
def down() -> None:
    """Stop the servers; their data stay."""
    Settings.load().servers().down()
    console.print("Stopped. The data stay; `drivetrain servers up` starts them again.")


@app.command()
def status(json: Annotated[bool, typer.Option("--json", help="For scripts; holds passwords.")] = False) -> None:
    """Where the servers are. `--json` prints usable connection strings, passwords included."""
    state = Settings.load().servers().status()
    if json:
        show_json(state)
    else:
        _table(state)


@app.command()
def destroy(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Stop the servers and remove them with all their data."""
    settings = Settings.load()
    if not yes:
        typer.confirm(f"Remove the embedded servers of {settings.home} with all their data?", abort=True)
    settings.servers().destroy()
    forget_embedded(settings)
    console.print("Removed.")


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(context: typer.Context) -> None:
    """A session of psql in the embedded warehouse as the role `analyst`. What follows is given to psql.

    Examples: `drivetrain servers psql`, `drivetrain servers psql -c "SELECT * FROM published"`
    """
    servers = Settings.load().servers()
    servers.server(WAREHOUSE)  # asking makes no servers
    with console.status("Starting servers …") as progress, servers.running(progress.update):
        progress.stop()
        parts = conninfo_to_dict(servers.analyst_dsn())
        environment = {_LIBPQ[name]: str(value) for name, value in parts.items()}
        done = subprocess.run([client("psql"), *context.args], env={**os.environ, **environment}, check=False)
    raise typer.Exit(done.returncode)


def _table(state: dict[str, dict[str, dict[str, object]]]) -> None:
    table = Table("server", "running", "address", "databases", box=None, header_style="bold")
    notes: set[str] = set()
    for name, server in state["servers"].items():
        databases = server.get("databases")
        table.add_row(
            name,
            "[green]yes[/]" if server["running"] else "[yellow]no[/]",
            f"{server['host']}:{server['port']}" if server.get("port") else "",
            ", ".join(databases) if isinstance(databases, dict) else "",
        )
        if server.get("data_directory"):
            notes.add(f"{name} data: {server['data_directory']}")
        if server.get("location_note"):
            notes.add(str(server["location_note"]))
    console.print(table)
    for note in sorted(notes):
        console.print(note, style="dim", markup=False, soft_wrap=True)
    console.print("Addresses with passwords, for psql and scripts: drivetrain servers status --json", style="dim")
