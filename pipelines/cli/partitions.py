"""``drivetrain partitions``: what maintenance would do, do it, and how far ahead each table is."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from pipelines.cli import reshaping
from pipelines.cli.by_table import moment
from pipelines.cli.output import console, counted, show_json
from resources.partitions import Asked, Failure, Planned, maintain_all, plan_all
from resources.settings import Settings
from warehouse.catalog.partition import HashPartition, RangePartition
from warehouse.errors import ConfigurationError
from warehouse.partitions.actions import TITLES, Action, noted, summary
from warehouse.partitions.facts import PartitionedTable
from warehouse.partitions.plan import parts_ahead
from warehouse.partitions.targets import Declared, Target

app = typer.Typer(
    no_args_is_help=True,
    help="Keep the partitions of operational databases and warehouse ahead of time, and like their parents.",
)

app.command("rehash")(reshaping.rehash)
app.command("convert")(reshaping.convert)

_TABLES = typer.Argument(help="What: `system` or `system.table`; everything that the catalog partitions if left out.")
_AT = typer.Option(help="As on this day (UTC); today if left out.", formats=["%Y-%m-%d"])
_JSON = typer.Option("--json", help="Print a JSON document for scripts.")
_WHERE = typer.Option(help="Only `source` (operational databases) or only `warehouse`.")


@app.command()
def plan(
    tables: Annotated[list[str] | None, _TABLES] = None,
    at: Annotated[dt.datetime | None, _AT] = None,
    where: Annotated[str | None, _WHERE] = None,
    json: Annotated[bool, _JSON] = False,
) -> None:
    """Print every statement that `apply` would run, with its lock and reason. Changes nothing.

    Exits 1 if anything is refused, or a database cannot be read; the others are.
    """
    settings = Settings.load()
    asked = _asked(settings, tables, where)
    with console.status("Reading …") as progress, settings.embedded_servers(progress.update):
        planned, failures = plan_all(settings, asked, moment(at))
    actions = [action for _, _, found in planned for action in found]
    if json:
        show_json({"actions": [dataclasses.asdict(action) for action in actions], **_as_json(failures)})
    else:
        told = f"{summary(actions)}."
        if failures:
            told = f"{counted(len(failures), 'database')} not read; of the others {told[0].lower()}{told[1:]}"
        console.print(told)
        _show_plan(actions)
        _show_failures(failures)
    if failures or any(action.kind == "refuse" for action in actions):
        raise typer.Exit(1)


@app.command()
def apply(
    tables: Annotated[list[str] | None, _TABLES] = None,
    at: Annotated[dt.datetime | None, _AT] = None,
    where: Annotated[str | None, _WHERE] = None,
    json: Annotated[bool, _JSON] = False,
) -> None:
    """Do what `plan` prints: each partition in a transaction of its own, with short waits for locks.

    Exits 1 if anything was refused or not done, or a database is away; the next run does what is left.
    """
    settings = Settings.load()
    asked = _asked(settings, tables, where)
    with console.status("Maintaining …") as progress, settings.embedded_servers(progress.update):
        reports, failures = maintain_all(settings, asked, moment(at))
    if json:
        tables_done = [{**dataclasses.asdict(report), "target": _target(report.target)} for report in reports]
        show_json({"tables": tables_done, **_as_json(failures)})
    else:
        done = [done for report in reports for done in report.done if not done.failure]
        undone = sum(len(report.done) + bool(report.busy) for report in reports) - len(done)
        findings = [finding for report in reports for finding in report.findings]
        said = [f"{undone:,} not done"] * bool(undone) + [noted(findings)] * bool(findings)
        head = f"{counted(len(done), 'action')} done on {counted(len(reports), 'table')}"
        console.print(f"{head}; {', '.join(said)}." if said else f"{head}.")
        for each in done:
            console.print(f"  {each.action.kind} {_told(each.action)}", soft_wrap=True)
        for report in reports:
            for told in [
                report.busy,
                *(f"{d.action.partition or d.action.kind}: {d.failure}" for d in report.done if d.failure),
            ]:
                if told:
                    name = f"{report.target.system}.{report.target.table}"
                    console.print(f"  [red]not done[/] {name}: {escape(told)}", soft_wrap=True)
        _show_findings(findings)
        _show_failures(failures)
    if failures or any(report.failed or any(f.kind == "refuse" for f in report.findings) for report in reports):
        raise typer.Exit(1)


@app.command()
def status(
    tables: Annotated[list[str] | None, _TABLES] = None,
    at: Annotated[dt.datetime | None, _AT] = None,
    json: Annotated[bool, _JSON] = False,
) -> None:
    """Per table: how many partitions, how large, until when they reach, and what is due.

    Exits 1 if a database cannot be read; the others are.
    """
    settings = Settings.load()
    asked = _asked(settings, tables, None)
    looked_at = moment(at)
    with console.status("Reading …") as progress, settings.embedded_servers(progress.update):
        planned, failures = plan_all(settings, asked, looked_at, sizes=True)
    if json:
        show_json(
            {
                "tables": [
                    {
                        **_target(target),
                        "partitions": len(facts.parts) if facts else 0,
                        "estimated_rows": _rows(facts),
                        "bytes": facts.bytes if facts else 0,
                        "reaches": parts_ahead(facts, looked_at) if facts and facts.strategy == "range" else None,
                        "due": sum(1 for action in actions if action.statements),
                        "refused": [action.reason for action in actions if action.kind == "refuse"],
                        "notes": [
                            {"partition": action.partition, "reason": action.reason, "remedy": action.remedy}
                            for action in actions
                            if action.kind == "report"
                        ],
                    }
                    for target, facts, actions in planned
                ],
                **_as_json(failures),
            }
        )
    else:
        _show_status(planned, looked_at)
        _show_failures(failures)
    if failures:
        raise typer.Exit(1)


def _show_status(planned: Sequence[Planned], at: dt.datetime) -> None:
    shown = Table("table", "where", "parts", "by", "rows (est.)", "MB", "reaches", "due", box=None, header_style="bold")
    shown.columns[0].overflow = "fold"
    for column in (2, 4, 5, 7):
        shown.columns[column].justify = "right"
    for target, facts, actions in planned:
        reaches = parts_ahead(facts, at) if facts and facts.strategy == "range" else None
        due = sum(1 for action in actions if action.statements)
        said = noted(actions)
        color = "red" if any(action.kind == "refuse" for action in actions) else "yellow"
        shown.add_row(
            f"{target.system}.{target.table}",
            target.where,
            str(len(facts.parts)) if facts else "not there",
            _by(target.declared),
            f"{_rows(facts):,}",
            f"{(facts.bytes if facts else 0) / 1e6:,.1f}",
            f"{reaches:%Y-%m-%d}" if reaches else "",
            ", ".join([f"{due:,}"] * bool(due) + [f"[{color}]{said}[/]"] * bool(said)),
        )
    console.print(shown)
    if any(actions for _, _, actions in planned):
        console.print("What is due, and why: drivetrain partitions plan", style="dim")


def _by(declared: Declared) -> str:
    """How a policy partitions a table, in a few words."""
    if isinstance(declared, RangePartition):
        return f"{declared.every} of {declared.range}"
    return f"hash of {declared.hash}" if isinstance(declared, HashPartition) else f"list of {declared.list}"


def _target(target: Target) -> dict[str, Any]:
    """For scripts, with the policy as it is written."""
    return {**dataclasses.asdict(target), "declared": target.declared.model_dump(mode="json")}


def _rows(facts: PartitionedTable | None) -> int:
    return sum(max(part.estimated_rows, 0) for part in facts.parts) if facts else 0


def _asked(settings: Settings, tables: list[str] | None, where: str | None) -> Asked:
    if where not in (None, "source", "warehouse"):
        raise ConfigurationError(f"--where {where!r} is nothing", hint="Say `source` or `warehouse`, or leave it out.")
    return Asked.parse(settings.catalog(), tables or [], where)


def _as_json(failures: Sequence[Failure]) -> dict[str, list[dict[str, str]]]:
    return {"failures": [failure.as_json() for failure in failures]}


def _show_failures(failures: Sequence[Failure]) -> None:
    for failure in failures:
        name = f"{failure.system}.{failure.table}" if failure.table else failure.system
        console.print(f"[red]failed[/] {name} ({failure.where}): {escape(failure.error.message)}", soft_wrap=True)
        if failure.error.hint:
            console.print(f"  {failure.error.hint}", style="dim", markup=False, soft_wrap=True)


def _show_plan(actions: list[Action]) -> None:
    changes = [action for action in actions if action.statements]
    for action in changes:
        console.print(f"[bold]{action.kind}[/] {_told(action)}", soft_wrap=True)
        for statement in action.statements:
            console.print(f"  {statement.sql};", markup=False, highlight=False, soft_wrap=True)
            if statement.lock:
                console.print(f"    -- {statement.lock}", style="dim", markup=False, soft_wrap=True)
    _show_findings([action for action in actions if not action.statements])


def _show_findings(findings: list[Action]) -> None:
    for finding in findings:
        color = "red" if finding.kind == "refuse" else "yellow"
        console.print(f"[{color}]{TITLES[finding.kind]}:[/] {_told(finding)}", soft_wrap=True)
        if finding.remedy:
            console.print(f"  {finding.remedy}", style="dim", markup=False, soft_wrap=True)


def _told(action: Action) -> str:
    """What it is about and why; a name may have brackets in it, which are no markup."""
    return escape(f"{action.system}.{action.partition or action.table} ({action.where}): {action.reason}")
