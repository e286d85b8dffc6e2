"""``drivetrain erasure verify``: somebody who did not erase looks for the persons of a request, at any time."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.markup import escape

from pipelines.cli.output import console, counted, show_json
from resources import erasure
from resources.settings import Settings
from warehouse.erasure.witness import Mention, Verdict


def verify(
    number: Annotated[int, typer.Argument(help="The request's number.")],
    deep: Annotated[
        bool, typer.Option("--deep", help="Also files that by their path cannot hold the persons, and every view.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print a JSON document for scripts.")] = False,
) -> None:
    """Look for the persons of a request in every store, as the verifier: another role, and other code. Changes nothing.

    While a request keeps whose rows it is about, all of these are looked for. Afterwards that is destroyed, and only
    what the person was filed under is looked for. Exits 1 if anything is found that should be gone.
    """
    settings = Settings.load()
    with console.status("Looking ...") as progress, settings.embedded_servers(progress.update):
        verdict = erasure.verify(settings, number, deep=deep, tell=progress.update)
    if json:
        show_json({"request": number, **verdict_as_json(verdict)})
    else:
        show_verdict(verdict)
    if not verdict.clean:
        raise typer.Exit(1)


def show_verdict(verdict: Verdict) -> None:
    """What was found, for a person."""
    rows = sum(looked for what, looked, _ in verdict.checks if "rows" in what)
    what = "[green]nothing is left[/]" if verdict.clean else "[red]not all is gone[/]"
    console.print(f"  {escape(verdict.verifier)} looked at {counted(rows, 'row')}: {what}")
    for (store, place), count in sorted(verdict.left.items()):
        console.print(f"  [red]left[/] {escape(place)} ({store}): {counted(count, 'row')}", soft_wrap=True)
    for each in verdict.unseen:
        console.print(f"  [red]not looked at[/] {escape(each)}", soft_wrap=True)
    show_mentions(verdict.mentions)


def show_mentions(mentions: Sequence[Mention]) -> None:
    """Rows of others that an officer has to read."""
    for each in mentions:
        keys = ", ".join("/".join(key) for key in each.keys[:10])
        console.print(
            f"  to be read: {escape(each.place)}.{each.column} ({each.store}) may mean the person in"
            f" {counted(each.rows, 'row')}: {escape(keys)}", soft_wrap=True,
        )  # fmt: skip


def verdict_as_json(verdict: Verdict) -> dict[str, Any]:
    """The same for scripts."""
    return {
        "clean": verdict.clean,
        "verifier": verdict.verifier,
        "started_at": verdict.started_at,
        "finished_at": verdict.finished_at,
        "checks": [{"what": what, "looked_at": looked, "found": found} for what, looked, found in verdict.checks],
        "left": rows_by_place(verdict.left),
        "unseen": list(verdict.unseen),
        "mentions": [dataclasses.asdict(each) for each in verdict.mentions],
    }


def rows_by_place(rows: Mapping[tuple[str, str], int]) -> list[dict[str, Any]]:
    """Counts by store and place, as a list."""
    return [{"store": store, "place": place, "rows": count} for (store, place), count in sorted(rows.items())]
