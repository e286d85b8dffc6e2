"""``drivetrain catalog``: check the policies, draft new ones, render what is derived from them."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from pipelines.cli.output import console, show_json
from resources.dbt import DBT_PROJECT
from resources.settings import Settings
from warehouse.errors import ConfigurationError, DrivetrainError
from warehouse.postgres.sessions import Dsn, connect, translated

app = typer.Typer(no_args_is_help=True, help="One policy per table: check it, draft it, render what follows from it.")


@app.command()
def check(
    systems: Annotated[list[str] | None, typer.Argument(help="Systems to check; all if left out.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Read the files only; ask no database.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print a JSON document for scripts.")] = False,
) -> None:
    """Hold the catalog against the live databases. Exits 1 with every finding if there is an error."""
    from warehouse.postgres.contract import check_system
    from warehouse.postgres.finding import Finding

    settings = Settings.load()
    catalog = settings.catalog()
    wanted = systems or list(catalog.systems)
    for name in wanted:
        if name not in catalog.systems:
            raise ConfigurationError(
                f"no system {name!r} in the catalog", hint=f"There are: {', '.join(catalog.systems)}"
            )
    findings: list[Finding] = []
    if not offline:
        for name in wanted:
            settings.primary(name)  # every address is known before the first is asked
        with settings.embedded_servers():
            for name in wanted:
                dsn = settings.primary(name)
                with connect(dsn, read_only=True, see_all_rows=True) as connection, translated(f"{name} (source)"):
                    findings += check_system(connection, catalog.systems[name])
    mistakes = [finding for finding in findings if finding.severity == "error"]
    if json:
        show_json({"ok": not mistakes, "findings": [dataclasses.asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            place = ".".join(part for part in (finding.system, finding.table, finding.field) if part)
            color = "red" if finding.severity == "error" else "yellow"
            console.print(f"[{color}]{finding.severity}[/] [bold]{place}[/]: ", end="")
            console.print(finding.message, markup=False)
            console.print(f"    {finding.hint}", style="dim", markup=False)
        tables = sum(len(catalog.systems[name].tables) for name in wanted)
        compared = "read" if offline else "compared with their databases"
        console.print(
            f"{tables} tables of {len(wanted)} systems {compared}: "
            f"{len(mistakes)} errors, {len(findings) - len(mistakes)} warnings"
        )
    if mistakes:
        raise typer.Exit(1)


@app.command()
def draft(
    dsn: Annotated[str, typer.Argument(help="postgresql://user:password@host:port/database")],
    system: Annotated[str, typer.Option(help="Name of the system; also of the file, <name>.yaml.")],
) -> None:
    """Print a first policy file for any PostgreSQL database, with guesses marked for review.

    Save it as `<name>.yaml` in your catalog directory. It can be ingested at once; tiering, retention and erasure
    refuse its tables until a person has reviewed them.
    """
    from warehouse.postgres.draft import draft_system

    with connect(Dsn(dsn, "DSN"), read_only=True, see_all_rows=True) as connection, translated(system):
        typer.echo(draft_system(connection, system), nl=False)


@app.command()
def render() -> None:
    """Write what is derived from the catalog: dbt sources and staging models, and the JSON Schema for editors."""
    from warehouse.catalog.json_schema import SCHEMA, rendered
    from warehouse.catalog.render import write_dbt

    settings = Settings.load()
    if settings.get("CATALOG"):
        raise DrivetrainError(
            "render writes into this project's dbt_project, from the project's own catalog",
            hint="Unset DRIVETRAIN_CATALOG.",
        )
    changed = write_dbt(settings.catalog(), DBT_PROJECT)
    if not SCHEMA.is_file() or SCHEMA.read_text(encoding="utf-8") != rendered():
        SCHEMA.write_text(rendered(), encoding="utf-8")
        changed.append(SCHEMA.name)
    for path in changed:
        console.print(f"wrote {path}")
    console.print(f"{len(changed)} files changed")
