"""``drivetrain catalog``: check the policies, draft new ones, render what is derived from them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from itertools import groupby
from typing import Annotated, cast

import typer
from rich.box import SIMPLE
from rich.table import Table as RichTable
from rich.text import Text

from pipelines.cli.output import console, counted, show_csv, show_json
from resources.dbt import DBT_PROJECT
from resources.settings import PROJECT, Settings
from warehouse.catalog.register import KINDS, Entry, register
from warehouse.errors import ConfigurationError, listed
from warehouse.postgres.sessions import Dsn, connect, translated

app = typer.Typer(
    no_args_is_help=True, help="One policy per table: check it, draft it, show it, render what follows from it."
)


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
                f"no system {name!r} in the catalog", hint=f"There are: {listed(catalog.systems, name)}"
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
        tables = counted(sum(len(catalog.systems[name].tables) for name in wanted), "table")
        compared = f"compared with {'its database' if len(wanted) == 1 else 'their databases'}"
        console.print(
            f"{tables} of {counted(len(wanted), 'system')} {'read' if offline else compared}: "
            f"{counted(len(mistakes), 'error')}, {counted(len(findings) - len(mistakes), 'warning')}"
        )
    if mistakes:
        raise typer.Exit(1)


@app.command()
def draft(
    system: Annotated[str, typer.Option(help="Name of the system; also of the file, NAME.yaml.", metavar="NAME")],
    dsn: Annotated[
        str | None,
        typer.Argument(help="postgresql://user:password@host:port/database; DRIVETRAIN_NAME_DSN if left out."),
    ] = None,
) -> None:
    """Print a first policy file for any PostgreSQL database, with guesses marked for review.

    Save it as `NAME.yaml` in your catalog directory. It can be ingested at once; tiering, retention and erasure
    refuse its tables until a person has reviewed them.

    A password on the command line shows in the process list and in the shell's history: better put the address into
    the environment or `.env`, as ingestion needs it anyway.
    """
    from warehouse.postgres.draft import draft_system

    settings = Settings.load()
    given = Dsn(dsn, "DSN") if dsn else settings.primary(system)
    embedded = not dsn and settings.get(f"{system.upper()}_DSN") is None
    with (
        settings.embedded_servers() if embedded else nullcontext(),
        connect(given, read_only=True, see_all_rows=True) as connection,
        translated(system),
    ):
        typer.echo(draft_system(connection, system), nl=False)


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="SYSTEM[.TABLE]", help="Everything if left out.")] = "",
    kind: Annotated[str, typer.Option(help="Only personal data of this kind, e.g. health.", metavar="KIND")] = "",
    erasure: Annotated[
        str, typer.Option(help="Only tables of which an erasure does this, e.g. exempt.", metavar="ACTION")
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Print a JSON document for scripts.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV: one row per table; of one table, per column.")] = False,
) -> None:
    """The register: per table whose data it holds, of which kinds, how long, and what an erasure does.

    Of one table (`shop.orders`) also every column. Reads the catalog only, no database.
    """
    if json and csv:
        raise ConfigurationError("--json and --csv exclude each other", hint="Leave one out.")
    entries = register(Settings.load().catalog(), name, kind=kind, erasure=erasure)
    if json:
        show_json([dataclasses.asdict(entry) for entry in entries])
    elif csv and "." in name:
        show_csv(
            ["system", "table", "column", "type", "personal", "description"],
            [[e.system, e.table, c.column, c.type, c.personal, c.description] for e in entries for c in e.columns],
        )
    elif csv:
        header = [field.name for field in dataclasses.fields(Entry) if field.name != "columns"]
        show_csv(header, [[_cell(getattr(entry, field)) for field in header] for entry in entries])
    elif "." in name and entries:
        _show_table(entries[0])
    else:
        _show_tables(entries)


def _cell(value: object) -> object:
    """A value of the register as one text."""
    if isinstance(value, Mapping):
        return "; ".join(
            f"{key}: {', '.join(names)}" for key, names in cast("Mapping[str, Sequence[str]]", value).items()
        )
    if isinstance(value, tuple):
        return "; ".join(map(str, cast("tuple[object, ...]", value)))
    return str(value).lower() if isinstance(value, bool) else value


def _show_tables(entries: list[Entry]) -> None:
    for system, group in groupby(entries, key=lambda entry: entry.system):
        found = list(group)
        laws = ", ".join(found[0].laws) or "no law named"
        console.print(Text(f"{system}", style="bold").append(f"  {found[0].owner}; {laws}", style="not bold"))
        table = RichTable("table", "about", "personal columns", "kept", "on erasure", box=SIMPLE, header_style="bold")
        table.columns[0].no_wrap = True
        table.columns[2].min_width = max(map(len, KINDS)) + 1  # a kind and its colon
        for entry in found:
            table.add_row(
                Text(entry.table).append("" if entry.reviewed else " (not reviewed)", style="yellow"),
                Text("\n".join(entry.subjects) or "-"),
                Text("\n".join(f"{kind}: {', '.join(names)}" for kind, names in entry.personal.items()) or "-"),
                Text(_with(entry.retention, entry.retention_basis)),
                Text(_with(entry.erasure, entry.erasure_grounds)),
            )
        console.print(table)
    systems = len({entry.system for entry in entries})
    console.print(f"{counted(len(entries), 'table')} of {counted(systems, 'system')}")


def _show_table(entry: Entry) -> None:
    console.print(Text(f"{entry.system}.{entry.table}", style="bold"))
    console.print(Text(entry.description))
    facts = RichTable(box=None, show_header=False)
    for what, value in [
        ("owner", entry.owner),
        ("laws", ", ".join(entry.laws) or "none named"),
        ("about", "; ".join(entry.subjects) or "nobody"),
        ("kept", _with(entry.retention, entry.retention_basis)),
        ("on erasure", _with(entry.erasure, entry.erasure_grounds)),
        ("reviewed", "yes" if entry.reviewed else "no: a draft"),
    ]:
        facts.add_row(Text(what, style="dim"), Text(value))
    console.print(facts)
    table = RichTable("column", "type", "personal", "description", box=SIMPLE, header_style="bold")
    for column in entry.columns:
        table.add_row(*(Text(text) for text in (column.column, column.type, column.personal or "", column.description)))
    console.print(table)


def _with(said: str, grounds: str | None) -> str:
    return f"{said}: {grounds}" if grounds else said


@app.command()
def render() -> None:
    """Write what is derived from the catalog: dbt sources and staging models, what an erasure does, and the JSON Schema
    for editors.
    """
    from warehouse.catalog.coverage import FILE, render_coverage
    from warehouse.catalog.json_schema import SCHEMA, rendered
    from warehouse.catalog.render import write_dbt

    settings = Settings.load()
    if settings.get("CATALOG"):
        raise ConfigurationError(
            "render writes into this project's dbt_project, from the project's own catalog",
            hint="Unset DRIVETRAIN_CATALOG.",
        )
    catalog = settings.catalog()
    changed = write_dbt(catalog, DBT_PROJECT)
    for path, text in ((SCHEMA, rendered()), (PROJECT / FILE, render_coverage(catalog))):
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8", newline="\n")
            changed.append(path.name)
    for path in changed:
        console.print(f"wrote {path}")
    console.print(f"{counted(len(changed), 'file')} changed")
