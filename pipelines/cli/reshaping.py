"""``drivetrain partitions rehash`` and ``convert``: split filled partitions while they are read and written."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Annotated

import typer
from rich.status import Status

from pipelines.cli.by_table import moment
from pipelines.cli.output import console, errors, show_json
from resources.partitions import conversion_of, growth_of, source_table
from resources.settings import Settings
from warehouse.errors import ConfigurationError, DrivetrainError
from warehouse.partitions.apply import maintain, maintainer
from warehouse.partitions.pieces import HashPiece
from warehouse.partitions.split import Progress, abandon, split
from warehouse.partitions.splitting import Splitting, in_place, outline, under_way
from warehouse.partitions.targets import Place, Target
from warehouse.postgres.sessions import Connection, connect, translated

_TABLE = typer.Argument(help="Which: `system.table`.")
_PLAN = typer.Option("--plan", help="Only say what would be done, with its locks.")
_ABANDON = typer.Option("--abandon", help="Undo splits that were begun and not ended.")
_JSON = typer.Option("--json", help="Print a JSON document for scripts.")

Look = Callable[[Connection, Target, Place], list[Splitting]]


def rehash(
    table: Annotated[str, _TABLE],
    to: Annotated[int | None, typer.Option("--to", help="Number of partitions: a multiple of the present one.")] = None,
    plan: Annotated[bool, _PLAN] = False,
    abandon_: Annotated[bool, _ABANDON] = False,
    json: Annotated[bool, _JSON] = False,
) -> None:
    """Let a hash-partitioned table grow, one remainder at a time, while it is read and written.

    Interrupted, it goes on where it stopped. Example: `drivetrain partitions rehash logistics.wallet_ledger --to 8`
    """
    if not abandon_ and (to is None or to < 2):
        said = "--to is missing" if to is None else f"--to {to} is no number of partitions"
        raise ConfigurationError(said, hint="A multiple of the present number of partitions, e.g. --to 8.")
    done = _reshape(table, lambda c, target, place: growth_of(c, target, place, to or 0), plan, abandon_, json)
    if done and not json:
        console.print(f"Now write `modulus: {to}` in the policy of {table}.")


def convert(
    table: Annotated[str, _TABLE],
    at: Annotated[
        dt.datetime | None, typer.Option(help="As on this day (UTC); today if left out.", formats=["%Y-%m-%d"])
    ] = None,
    plan: Annotated[bool, _PLAN] = False,
    abandon_: Annotated[bool, _ABANDON] = False,
    json: Annotated[bool, _JSON] = False,
) -> None:
    """Make a plain table a partitioned one, or default and open-ended partitions calendar periods, while it is read and
    written.

    Interrupted, it goes on where it stopped. Example: `drivetrain partitions convert shop.orders --plan`
    """
    looked_at = moment(at)
    done = _reshape(table, lambda c, target, place: conversion_of(c, target, place, looked_at), plan, abandon_, json)
    if any(each.successor for each in done) and not json:
        console.print("Its primary key has the partition key in it now: `drivetrain catalog check` says what to write.")


def _show(splitting: Splitting, begun: bool) -> None:
    verb = "convert" if splitting.successor else "split"
    console.print(f"{verb} {splitting.schema}.{splitting.partition}{' (begun)' if begun else ''}", markup=False)
    for number, step in enumerate(outline(splitting), start=1):
        console.print(f"  {number}. {step.what}", markup=False, highlight=False, soft_wrap=True)
        if step.lock:
            console.print(f"     -- {step.lock}", style="dim", soft_wrap=True)
    if splitting.successor:
        console.print(
            f"  Its primary key will have {splitting.key_column} in it: ON CONFLICT on the old key finds no constraint "
            "then. As much space as it takes must be free.",
            soft_wrap=True,
        )
    elif not isinstance(splitting.pieces[0], HashPiece):
        console.print(
            f"  {splitting.partition} stays for what rows of other times it has then; if it has none, it is gone, and "
            "such rows are refused.",
            soft_wrap=True,
        )


def _undo(connection: Connection, begun: list[Splitting], plan: bool, json: bool) -> None:
    """Undo what was begun, or only say what that is."""
    kept = [each for each in begun if in_place(connection, each)]
    undone = [each for each in begun if each not in kept and (plan or abandon(connection, each))]
    if json:
        listed = [each.partition for each in undone]
        show_json({"would_undo" if plan else "undone": listed, "in_place": [each.partition for each in kept]})
        return
    names = ", ".join(each.partition for each in undone) or "nothing"
    console.print(f"{'Would undo' if plan else 'Undone'}: {names}.", markup=False)
    if kept:
        names = ", ".join(each.partition for each in kept)
        console.print(f"In its new place already: {names}. Run it without --abandon to clear up.", markup=False)
    if undone and isinstance(undone[0].pieces[0], HashPiece):
        console.print("What was split before stays so: a hash never shrinks. Rehash again to finish it.")


def _step(status: Status) -> Callable[[str], None]:
    """Where a step is told: in the status line, or line by line where there is no terminal."""

    def tell(step: str) -> None:
        if errors.is_terminal:
            status.update(step)
        else:
            errors.print(f"{dt.datetime.now(dt.UTC):%H:%M:%S} {step}", markup=False, soft_wrap=True)

    return tell


def _reshape(table: str, look: Look, plan: bool, undo: bool, json: bool) -> list[Splitting]:
    settings = Settings.load()
    dsn, target, place = source_table(settings, table)
    with (
        console.status("Reading …") as progress,
        settings.embedded_servers(progress.update),
        connect(dsn, see_all_rows=True, application="drivetrain partitions") as connection,
        translated(f"{table} (source)"),
        maintainer(connection, place),
    ):
        begun = under_way(connection, *place)
        if undo:
            _undo(connection, begun, plan, json)
            return []
        due = look(connection, target, place)
        if plan:
            if json:
                steps = [
                    {**dataclasses.asdict(each), "steps": [dataclasses.asdict(s) for s in outline(each)]}
                    for each in due
                ]
                show_json({"actions": steps})
            for each in [] if json else due:
                _show(each, each in begun)
            if not due and not json:
                console.print("Nothing is to be done: it is what its policy says.")
            return []
        done: list[tuple[Splitting, Progress]] = []
        left: DrivetrainError | None = None
        while due:
            for each in due:
                try:
                    done.append((each, split(connection, each, tell=_step(progress))))
                except KeyboardInterrupt:
                    console.print(
                        f"{each.partition} is under way: the same command goes on, --abandon undoes it.", markup=False
                    )
                    raise
            try:  # rows of times without a partition may be left, or have come meanwhile
                due = look(connection, target, place)
            except DrivetrainError as error:
                due, left = [], error
        upkeep = maintain(connection, target, place, dt.datetime.now(dt.UTC)) if done else None
    if json:
        show_json({"splits": [{"partition": e.partition, **dataclasses.asdict(result)} for e, result in done]})
    else:
        if not done:
            console.print("Nothing was to be done: it is what its policy says.")
        for each, result in done:
            console.print(
                f"{each.partition} is {'partitioned' if each.successor else 'split'}: {result.rows:,} rows copied in "
                f"this run; locked: rows {result.longest_batch * 1000:.0f} ms "
                f"at most, the table {result.swap_seconds * 1000:.0f} ms",
                soft_wrap=True,
            )
        for undone in [each for each in (upkeep.done if upkeep else []) if each.failure]:
            console.print(f"  not done: {undone.action.partition}: {undone.failure}", markup=False, soft_wrap=True)
    if left:
        raise left
    return [each for each, _ in done]
