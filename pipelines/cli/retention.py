"""``drivetrain retention``: which rows are past their age, and take them out of every tier."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from itertools import groupby
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from pipelines.cli.by_table import AT, JSON, failures_as_json, moment, show_failures
from pipelines.cli.output import console, counted, show_json
from resources.retention import TableDue, TableExpired, aged_tables, apply_retention, failures_of, plan_retention
from resources.settings import Settings
from warehouse.retention.plan import STEPS, TIERS, Step

app = typer.Typer(
    no_args_is_help=True,
    help="Rows that reached the age at which nobody may have them any more go from source, warehouse and lake.",
)

_TABLES = typer.Argument(help="What: `system` or `system.table`; every table with such an age if left out.")


@app.command()
def plan(
    tables: Annotated[list[str] | None, _TABLES] = None,
    at: Annotated[dt.datetime | None, AT] = None,
    json: Annotated[bool, JSON] = False,
) -> None:
    """Print which rows would go tonight, from where, and what legal holds keep. Changes nothing.

    Exits 1 if a table cannot be looked at; the others are.
    """
    settings = Settings.load()
    asked = aged_tables(settings.catalog(), tables or [])
    with console.status("Reading …") as progress, settings.embedded_servers(progress.update):
        found = plan_retention(settings, asked, moment(at))
    if json:
        show_json({"steps": [_as_json(each, step) for each in found for step in each.steps], **failures_as_json(found)})
    else:
        _show(found)
    if any(each.failure for each in found):
        raise typer.Exit(1)


@app.command()
def apply(tables: Annotated[list[str] | None, _TABLES] = None, json: Annotated[bool, JSON] = False) -> None:
    """Do what `plan` prints, and look for what went: in every table, file and version of a file.

    Rows that are deleted so cannot be brought back. Exits 1 if anything was not done; the next run goes on.
    """
    settings = Settings.load()
    asked = aged_tables(settings.catalog(), tables or [])
    with console.status("Deleting …") as progress, settings.embedded_servers(progress.update):
        found = apply_retention(settings, asked, dt.datetime.now(dt.UTC), tell=progress.update)
        left = plan_retention(settings, asked, dt.datetime.now(dt.UTC))
    if json:
        steps = [
            {**_as_json(each, done.step), "rows": done.rows, "failure": str(done.failure) if done.failure else None}
            for each in found for done in each.done
        ]  # fmt: skip
        show_json({"steps": steps, **failures_as_json(found)})
    else:
        _show_done(found)
        if any(each.steps for each in left):
            console.print("\nLeft:")
            _show(left)
    if failures_of(found):
        raise typer.Exit(1)


def _show(found: Sequence[TableDue]) -> None:
    shown = Table("table", "where", "months", "what", "rows", "why", box=None, header_style="bold")
    shown.columns[0].no_wrap = True
    shown.columns[4].justify = "right"
    for each in found:
        for (tier, kind, reason), alike in groupby(each.steps, key=lambda step: (step.tier, step.kind, step.reason)):
            steps = list(alike)
            rows = f"{'up to ' if kind == 'rewrite' else ''}{sum(step.rows for step in steps):,}"
            shown.add_row(
                f"{each.system}.{each.table}",
                TIERS[tier],
                _months(steps),
                STEPS[kind],
                rows,
                escape(reason),
                style="dim" if kind == "wait" else None,
            )
    due = sum(len(each.overdue) for each in found)
    console.print(f"{counted(due, 'step')} due; {counted(len(found), 'table')} with an age looked at.")
    if shown.row_count:
        console.print(shown)
    show_failures(found)


def _months(steps: Sequence[Step]) -> str:
    """``2024-05``, ``2024-05 to 2024-10``; nothing for a table that is not kept by month."""
    months = [f"{step.month:%Y-%m}" for step in steps if step.month]
    return " to ".join(dict.fromkeys((months[0], months[-1]))) if months else ""


def _show_done(found: Sequence[TableExpired]) -> None:
    done = [(each, one) for each in found for one in each.done]
    failed = sum(one.failure is not None for _, one in done)
    console.print(f"{counted(len(done) - failed, 'step')} done{f', {failed:,} not' if failed else ''}.")
    for each, one in done:
        month = f" {one.step.month:%Y-%m}" if one.step.month else ""
        what = f"{each.system}.{each.table}{month} {TIERS[one.step.tier]}, {STEPS[one.step.kind]}"
        if one.failure is not None:
            console.print(f"  [red]not done[/] {what}: {escape(str(one.failure))}", soft_wrap=True)
        else:
            console.print(f"  {what}: {counted(one.rows, 'row')} gone", soft_wrap=True)
    show_failures(found)


def _as_json(of: TableDue | TableExpired, step: Step) -> dict[str, Any]:
    return {
        "system": of.system, "table": of.table, "month": f"{step.month:%Y-%m}" if step.month else None,
        "where": TIERS[step.tier], "step": step.kind, "before": step.before, "reason": step.reason, "rows": step.rows,
    }  # fmt: skip
