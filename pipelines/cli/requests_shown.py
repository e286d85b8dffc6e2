"""How requests of persons are shown on the command line, to people and to scripts.

What does not belong here: the commands (``erasure``), and what a verifier found (``verification``).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from pipelines.cli.output import console, counted
from pipelines.cli.verification import rows_by_place, show_mentions, show_verdict, verdict_as_json
from resources.erasure import Told
from warehouse.erasure.carrying import Outcome
from warehouse.erasure.persons import Match
from warehouse.erasure.witness import Mention
from warehouse.state.agenda import next_step
from warehouse.state.requests import Request
from warehouse.state.tasks import Task


def show_told(told: Told) -> None:
    """One request: what it is about, what was planned, what went, what others' rows say, and what is next."""
    found = told.request
    because = f" ({escape(found.reason)})" if found.reason else ""
    console.print(f"Request {found.id} ({found.kind}, {found.law}): [bold]{found.state}[/]{because}")
    console.print(
        f"  received {found.received_at:%Y-%m-%d}, due {found.due_at:%Y-%m-%d}, filed by {found.requested_by}"
    )
    if told.persons:
        systems = ", ".join(sorted({person.system for person in told.persons}))
        console.print(f"  about {counted(len(told.persons), 'person')}: {systems}")
    if any(task.attempts for task in told.tasks):
        _show_tasks(told.tasks)
    elif told.plan is not None:
        show_plan(told.plan.document)
    if told.plan is not None:
        console.print(f"  plan {told.plan.sha256[:12]}")
    if told.approval is not None:
        console.print(f"  approved by {told.approval.approved_by}, until {told.approval.expires_at:%Y-%m-%d %H:%M} UTC")
    show_mentions([Mention(**{**each, "keys": tuple(map(tuple, each["keys"]))}) for each in told.mentions])
    for number in told.certificates:
        console.print(f"  certificate {number}: `drivetrain certificate save {found.id} FILE`")
    say_next(found, told.plan.sha256[:12] if told.plan else "")


def told_as_json(told: Told) -> dict[str, Any]:
    """The same for scripts."""
    return {
        "request": dataclasses.asdict(told.request),
        "persons": [{"system": each.system, "matched": each.matched} for each in told.persons],
        "plan": None if told.plan is None else {"sha256": told.plan.sha256, **told.plan.document},
        "approval": None if told.approval is None else dataclasses.asdict(told.approval),
        "tasks": [dataclasses.asdict(task) for task in told.tasks],
        "mentions": list(told.mentions),
        "certificates": list(told.certificates),
    }


def _show_tasks(tasks: Sequence[Task]) -> None:
    table = Table("store", "what", "action", "planned", "done", "left", box=None, header_style="bold")
    table.columns[1].overflow = "fold"
    for column in table.columns[3:]:
        column.justify = "right"
    for task in tasks:
        left = "" if task.residual is None else f"{task.residual:,}"
        table.add_row(task.store, task.place, task.action, f"{task.expected:,}", f"{task.actual:,}", left)
    console.print(table)


def say_next(found: Request, sha256: str = "") -> None:
    """What is to be done with a request, if anything is."""
    text = next_step(found, sha256)
    if text:
        console.print(f"  Next: {text}", style="dim")


def show_requests(found: Sequence[Request]) -> None:
    """All, a line each."""
    if not found:
        console.print("There are no requests.")
        return
    table = Table("request", "kind", "law", "state", "received", "due", "filed by", "reference", box=None)
    for each in found:
        answered = each.state.startswith(("completed", "denied", "revoked")) or (
            each.kind == "restriction" and each.state == "restricting"
        )
        late = each.due_at < dt.datetime.now(dt.UTC) and not answered
        due = f"{each.due_at:%Y-%m-%d}"
        table.add_row(
            str(each.id), each.kind, each.law, each.state, f"{each.received_at:%Y-%m-%d}",
            f"[red]{due} overdue[/]" if late else due, each.requested_by, escape(each.reference),
        )  # fmt: skip
    console.print(table)
    for each in found:
        if text := next_step(each, "..."):
            console.print(f"  {each.id}: {text}", style="dim", soft_wrap=True)


def show_persons(matches: Sequence[Match]) -> None:
    """Who may be meant, masked."""
    if not matches:
        console.print(
            "Nobody is known by these. Is there another identifier? File the request anew with it, or answer this one:"
            " `drivetrain erasure deny`.", soft_wrap=True,
        )  # fmt: skip
        return
    table = Table("system", "person", "account since", "matched", "known by", box=None, header_style="bold")
    for match in matches:
        shown = "\n".join(f"{column} {value}" for column, value in match.shown.items())
        table.add_row(match.system, match.key, match.since or "", ", ".join(sorted(match.kinds)), escape(shown))
    console.print(table)


def show_plan(document: Any) -> None:
    """A sealed plan, line by line."""
    table = Table("store", "what", "action", "rows", "kept by", box=None, header_style="bold")
    table.columns[3].justify = "right"
    table.columns[1].overflow = table.columns[4].overflow = "fold"
    for line in document["lines"]:
        rows = f"{line['expected']:,}"
        files = f" ({counted(line['files'], 'file')})" if line["files"] else ""
        table.add_row(line["store"], line["place"], line["action"], rows + files, escape(line["basis"]))
    console.print(table if document["lines"] else "There is nothing of the person anywhere.")
    for each in document["spared"]:
        console.print(f"  stays: {each['place']}: {escape(each['reason'])}", style="dim", soft_wrap=True)
    for text in document["notes"]:
        console.print(f"  {escape(text)}", style="dim", soft_wrap=True)


def show_outcome(outcome: Outcome) -> None:
    """What came of a run."""
    gone = sum(outcome.done.values())
    console.print(f"Request {outcome.request}: [bold]{outcome.state}[/]; {counted(gone, 'row')} went or changed.")
    if outcome.verdict is None:
        console.print("  Months in the lake wait for those of others, hidden from every reader.")
        console.print(f"  At once instead: `drivetrain erasure run {outcome.request}`", style="dim")
        return
    show_verdict(outcome.verdict)
    for (store, place), rows in sorted(outcome.residual.items()):
        if (store, place) not in outcome.verdict.left:
            console.print(f"  [red]left[/] {place} ({store}): {counted(rows, 'row')}")
    if outcome.certificate:
        console.print(f"  certificate {outcome.certificate}")
        console.print(
            f"  Next: `drivetrain certificate save {outcome.request} FILE` for the person's answer", style="dim"
        )
    else:
        console.print(f"  Next: mend what is in the way, then `drivetrain erasure run {outcome.request}`", style="dim")


def outcome_as_json(outcome: Outcome) -> dict[str, Any]:
    """The same for scripts."""
    return {
        "request": outcome.request,
        "state": outcome.state,
        "tasks": [dataclasses.asdict(task) for task in outcome.tasks],
        "residual": rows_by_place(outcome.residual),
        "verdict": verdict_as_json(outcome.verdict) if outcome.verdict else None,
        "certificate": outcome.certificate or None,
    }


def person_as_json(match: Match) -> dict[str, Any]:
    """One who may be meant, masked."""
    return {
        "system": match.system, "key": match.key, "since": match.since, "region": match.region,
        "matched": sorted(match.kinds), "shown": dict(match.shown),
    }  # fmt: skip
