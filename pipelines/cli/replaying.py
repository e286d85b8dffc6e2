"""``drivetrain erasure replay``: after a backup was restored, who was erased since is erased again."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pipelines.cli.output import console, counted, show_json
from pipelines.cli.verification import rows_by_place
from pipelines.erasing import rebuild_for
from resources import replaying
from resources.settings import Settings
from warehouse.erasure.replaying import Outcome, Rows


def replay(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and do nothing.")] = False,
    operational: Annotated[
        bool, typer.Option("--operational", help="Only ask the operational databases who is there again.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print a JSON document for scripts.")] = False,
) -> None:
    """Erase again, in warehouse and lake, who was erased since the backup that the warehouse was restored from.

    Until then nothing is loaded, moved, built or answered. Cut off, it goes on when it is run again; without anything
    to do it changes nothing. Operational databases are asked who is there again: that erases nothing.

    Exits 1 if rows are left, or an operational database has erased persons again.
    """
    from pipelines.cli.running import platform

    settings = Settings.load()
    with console.status("Replaying …") as progress, platform(settings, progress.update):
        outcome = Outcome()
        if dry_run and not operational:
            outcome = replaying.look(settings, progress.update)
        elif not operational:
            outcome = replaying.replay(settings, rebuild_for(settings, None), progress.update)
        again = replaying.erased_at_sources(settings, progress.update)
    if json:
        show_json({"dry_run": dry_run, **_as_json(outcome), "operational": again})
    else:
        if not operational:
            _show(outcome, dry_run=dry_run)
        _show_again(again)
    if outcome.left or again:
        raise typer.Exit(1)


def _show(outcome: Outcome, *, dry_run: bool) -> None:
    if not outcome.unknown and not outcome.found and not outcome.done:
        console.print("There is nothing to replay: the warehouse knows of every erasure.")
        return
    requests = ", ".join(map(str, outcome.unknown)) or "none that is new"
    console.print(f"Requests since the backup: {requests}; {counted(outcome.added, 'tombstone')} were lacking.")
    _show_rows("went there since the backup", outcome.followed)
    _show_rows("would go or change" if dry_run else "went or changed", outcome.found if dry_run else outcome.done)
    _show_rows("[red]left[/]", outcome.left)
    for place, rows in sorted(outcome.models.items()):
        console.print(f"  {place} (models): {counted(rows, 'row')} went")
    if dry_run:
        console.print("  Next: `drivetrain erasure replay`", style="dim")
    elif outcome.left:
        console.print("[red]The warehouse is closed still.[/] Run it again; then see who writes there.")
    else:
        console.print("Nothing of them is left; the warehouse is open.")


def _show_rows(what: str, rows: Rows) -> None:
    for (store, place), count in sorted(rows.items()):
        console.print(f"  {place} ({store}): {counted(count, 'row')} {what}", soft_wrap=True)


def _show_again(again: dict[str, int]) -> None:
    for system, persons in sorted(again.items()):
        console.print(
            f"[red]{system}: its operational database has {counted(persons, 'erased person')} again.[/] The warehouse"
            " keeps them out.", soft_wrap=True,
        )  # fmt: skip
    if again:
        console.print(
            "  Next: file a request anew for each, as that of before: `drivetrain erasure request`", style="dim"
        )


def _as_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "requests": list(outcome.unknown),
        "added": outcome.added,
        "followed": rows_by_place(outcome.followed),
        "found": rows_by_place(outcome.found),
        "done": rows_by_place(outcome.done),
        "left": rows_by_place(outcome.left),
        "models": dict(outcome.models),
    }
