"""What commands share that look at tables one by one: as of when, and which could not be looked at."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any, Protocol

import typer
from rich.markup import escape

from pipelines.cli.output import console
from warehouse.errors import DrivetrainError

AT = typer.Option(help="As on this day (UTC); now if left out.", formats=["%Y-%m-%d"])
JSON = typer.Option("--json", help="Print a JSON document for scripts.")


class Looked(Protocol):
    """What was found of a table, or why it could not be looked at."""

    @property
    def system(self) -> str: ...
    @property
    def table(self) -> str: ...
    @property
    def failure(self) -> DrivetrainError | None: ...


def moment(at: dt.datetime | None) -> dt.datetime:
    """The beginning of a day that was asked for, in UTC, or now."""
    return at.replace(tzinfo=dt.UTC) if at else dt.datetime.now(dt.UTC)


def show_failures(found: Iterable[Looked]) -> None:
    """Print which tables could not be looked at, and why."""
    for each in found:
        if each.failure is not None:
            console.print(f"  [red]failed[/] {each.system}.{each.table}: {escape(str(each.failure))}", soft_wrap=True)


def failures_as_json(found: Iterable[Looked]) -> dict[str, Any]:
    """The same for scripts; nothing where there are none."""
    failed = [
        {"system": each.system, "table": each.table, "error": each.failure.message, "hint": each.failure.hint}
        for each in found
        if each.failure is not None
    ]
    return {"failures": failed} if failed else {}
