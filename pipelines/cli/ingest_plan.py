"""``drivetrain ingest --plan``: what an ingestion would do, and what a changed schema reaches."""

from __future__ import annotations

import dataclasses
import json as documents
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import typer
from rich.markup import escape

from assets.reach import Reach, reach, read_lineage
from pipelines.cli.output import console, counted, show_json
from resources.dbt import ensure_manifest, target_path
from resources.settings import Settings
from warehouse.catalog.model import System, Table
from warehouse.errors import DrivetrainError
from warehouse.postgres.contract import check_system
from warehouse.postgres.finding import Finding
from warehouse.postgres.sessions import connect, translated

#: Of a long list so many are named.
_NAMED = 6
#: What keeps a table from being loaded; of the others ingestion goes on, without what is not declared.
_STOPS = {
    "missing-table", "missing-column", "other-type", "not-carried", "no-such-key", "unreadable", "hidden-rows",
}  # fmt: skip


@dataclass(frozen=True)
class Planned:
    """One table.

    Attributes:
        how: it would be loaded.
        findings: what differs between policy and live table, each with what stands on it.
    """

    system: str
    table: str
    how: str
    findings: Sequence[tuple[Finding, Reach]]

    @property
    def stopped(self) -> bool:
        """Whether the table could not be loaded."""
        return any(finding.severity == "error" and finding.kind in _STOPS for finding, _ in self.findings)


def show_plan(settings: Settings, tables: Sequence[tuple[System, str]], *, json: bool) -> None:
    """Print it; nothing is loaded. Exits 1 if a table could not be loaded, or a database does not answer."""
    manifest = documents.loads(ensure_manifest(settings).read_text())
    made_from = read_lineage(target_path(settings).with_name("lineage.json"))
    planned: list[Planned] = []
    failures: dict[str, DrivetrainError] = {}
    for system in {system.system: system for system, _ in tables}.values():
        try:
            dsn = settings.primary(system.system)
            with connect(dsn, read_only=True, see_all_rows=True) as connection, translated(f"{system.system} (source)"):
                findings = check_system(connection, system)
        except DrivetrainError as error:
            failures[system.system] = error
            continue
        for name in [name for each, name in tables if each.system == system.system]:
            of_table = [(f, _reach(manifest, made_from, system, f)) for f in findings if f.table == name]
            planned.append(Planned(system.system, name, _how(system.tables[name]), of_table))
    if json:
        show_json(_as_json(planned, failures))
    else:
        _show(planned, failures)
    if failures or any(each.stopped for each in planned):
        raise typer.Exit(1)


def _reach(manifest: Mapping[str, Any], made_from: Mapping[str, Any], system: System, finding: Finding) -> Reach:
    kind, _, column = finding.field.removesuffix(".type").partition(".")
    declared = column if kind == "columns" and column in system.tables[finding.table].columns else None
    return reach(manifest, made_from, system.raw_schema, finding.table, declared)


def _how(table: Table) -> str:
    ingest = table.ingest
    how = {
        "full": "compared whole; loaded whole if it differs",
        "incremental": f"compared by buckets of its key; what moved past `{ingest.cursor}`, then what still differs",
        "partition": f"compared by month of `{table.time}`; months that differ are loaded whole",
    }[ingest.mode]
    if ingest.compare is not None:
        how = f"what moved past `{ingest.cursor}`; compared whole when that was {ingest.compare} ago"
    return f"{how}; and captured from the log" if ingest.capture else how


def _show(planned: Sequence[Planned], failures: Mapping[str, DrivetrainError]) -> None:
    for each in planned:
        color = "red" if each.stopped else "yellow" if each.findings else "green"
        console.print(f"[{color}]{each.system}.{each.table}[/]: {escape(each.how)}", soft_wrap=True)
        for finding, reached in each.findings:
            stops = finding.severity == "error" and finding.kind in _STOPS
            console.print(
                f"  [bold]{finding.field or 'table'}[/] {'stops it' if stops else 'does not stop it'}: "
                f"{escape(finding.message)}", soft_wrap=True,
            )  # fmt: skip
            console.print(f"    {escape(finding.hint)}", style="dim", soft_wrap=True)
            if stops:
                _show_reach(reached)
    for system, error in failures.items():
        console.print(f"[red]{system}[/]: {escape(str(error))}", soft_wrap=True)
    stopped = sum(each.stopped for each in planned)
    console.print(f"{counted(len(planned), 'table')}: {stopped} could not be loaded. Nothing was changed.")


def _show_reach(reached: Reach) -> None:
    for said, names in (
        ("made from it", reached.columns),
        ("models on the table", reached.models),
        ("of these with a contract", reached.contracts),
        ("exposures", reached.exposures),
    ):
        if names:
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            console.print(f"    {said}: {', '.join(names[:_NAMED])}{more}", style="dim", soft_wrap=True)


def _as_json(planned: Sequence[Planned], failures: Mapping[str, DrivetrainError]) -> dict[str, Any]:
    return {
        "tables": [
            {
                "table": f"{each.system}.{each.table}", "how": each.how, "stopped": each.stopped,
                "findings": [
                    {**dataclasses.asdict(finding), "reaches": dataclasses.asdict(reached)}
                    for finding, reached in each.findings
                ],
            }
            for each in planned
        ],
        "failures": {system: str(error) for system, error in failures.items()},
    }  # fmt: skip
