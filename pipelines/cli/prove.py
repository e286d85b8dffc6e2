"""``drivetrain prove``: every row accounted for, from the stores themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from pipelines.cli.output import console, counted, errors, show_json
from pipelines.proofs import dagster_instance, note_proofs, whole_systems
from resources.proof import provable_tables
from resources.proof import prove as prove_tables
from resources.settings import Settings
from warehouse.errors import DrivetrainError
from warehouse.proof.conservation import TableProof


def prove(
    tables: Annotated[
        list[str] | None,
        typer.Argument(help="What: `system` or `system.table`; all that is kept by month if left out."),
    ] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Read every byte of the lake, and hash every row of the warehouse.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print a JSON document for scripts.")] = False,
) -> None:
    """Show that no row was lost, doubled, altered or came back, table by table and month by month.

    Exits 1 if one was, and names it. A move that was cut off is said, and no failure. What is found of whole systems is
    noted in Dagster, for `drivetrain monitor`.
    """
    settings = Settings.load()
    catalog = settings.catalog()
    asked = provable_tables(catalog, tables or [])
    with console.status("Proving …") as progress, settings.embedded_servers(progress.update):
        proofs = prove_tables(settings, asked, deep=deep, tell=progress.update)
        wrong = [finding for proof in proofs for finding in proof.findings if finding.kind != "unfinished"]
        progress.stop()
        if json:
            show_json({"holds": not wrong, "deep": deep, "tables": [dataclasses.asdict(proof) for proof in proofs]})
        else:
            show_proofs(proofs, deep=deep)
        _note(settings, whole_systems(catalog, proofs))
    if wrong:
        raise typer.Exit(1)


def _note(settings: Settings, proofs: dict[str, list[TableProof]]) -> None:
    if not proofs:
        return
    try:
        with dagster_instance(settings) as instance:
            note_proofs(instance, proofs)
    except DrivetrainError as error:
        errors.print(f"not noted for monitoring: {error.message}", style="yellow", markup=False, soft_wrap=True)


def show_proofs(proofs: Sequence[TableProof], *, deep: bool) -> bool:
    """Say what there is in each tier, and what is wrong; True: nothing is."""
    findings = [finding for proof in proofs for finding in proof.findings]
    wrong = any(finding.kind != "unfinished" for finding in findings)
    accounts = [account for proof in proofs for account in proof.accounts]
    warm, cold, expired, erased = (
        sum(getattr(a, what) for a in accounts) for what in ("warm", "cold", "expired", "erased")
    )
    files, read = sum(proof.files for proof in proofs), sum(proof.bytes for proof in proofs)
    console.print(
        f"{counted(len(accounts), 'month')} of {counted(len(proofs), 'table')}: "
        f"{counted(warm, 'row')} in the warehouse, {cold:,} in the lake ({counted(files, 'file')}, {read / 1e6:,.1f} MB"
        f"{', every byte read' if deep else ''})"
        f"{f', {expired:,} reached their retention' if expired else ''}"
        f"{f', {erased:,} were erased' if erased else ''}.",
        soft_wrap=True,
    )
    if findings:
        shown = Table("table", "month", "what", "", box=None, header_style="bold")
        for each in findings:
            shown.add_row(
                f"{each.system}.{each.table}",
                f"{each.month:%Y-%m}" if each.month else "",
                each.kind if each.kind == "unfinished" else f"[red]{each.kind}[/]",
                escape(each.message),
            )
        console.print(shown)
    console.print("[red]Not every row is accounted for.[/]" if wrong else "Every row is accounted for.")
    return not wrong
