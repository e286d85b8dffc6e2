"""What a run that carries a request out tells of it: the plan before, what went and what is left after. Counts only.

It is observed on the asset of all requests, so that it is found there as well as in the run. Keys of rows that somebody
has to read are told on the command line alone (``drivetrain erasure verify``).

What does not belong here: how requests stand (``requests``).
"""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from assets import keys
from assets.telling import told_table
from resources.agenda import Seen
from warehouse.erasure.carrying import Outcome
from warehouse.state.agenda import UNDER_WAY
from warehouse.state.tasks import Task

#: Rows are in one of several places of a store, and move between them.
_BELOW = "warehouse and lake"
_STORES = {"cache": "caches", "detached": "operational", "warehouse": _BELOW, "lake": _BELOW, "below": _BELOW}
_NOTHING = "There was nothing of the person anywhere."
Rows = Mapping[tuple[str, str], int]


def observed(request: int, said: str, metadata: Mapping[str, Any]) -> dg.AssetObservation:
    """What came of a run."""
    return dg.AssetObservation(keys.requests(), description=f"Request {request}: {said}", metadata=metadata)


def would_do(seen: Seen, at: dt.datetime) -> str:
    """What a run that is no dry run would do now."""
    state, approval = seen.case.request.state, seen.approval
    if seen.case.worked_on:
        return "do nothing: somebody is at work on it"
    if state in UNDER_WAY or state == "failed_needs_operator":
        return f"go on where it was left ({state})"
    if state != "approved":
        return f"be refused, as it is {state}. {f'Next: {seen.case.next}' if seen.case.next else 'It is over.'}"
    if approval is None or approval.expires_at <= at:
        return "be refused: its approval is over. It would have to be planned and approved anew"
    return "count all of this anew; if it is the same still, erase it"


def plan_metadata(seen: Seen, at: dt.datetime) -> dict[str, Any]:
    """The sealed plan line by line, what would become of it, and what went already."""
    document: Mapping[str, Any] = seen.plan.document if seen.plan is not None else {}
    lines: Sequence[Mapping[str, Any]] = document.get("lines", ())
    planned = [
        f"| {each['store']} | {each['place']} | {each['action']} | {each['expected']:,} | {each['basis']} |"
        for each in lines
    ]
    spared = [f"| {each['place']} | {each['reason']} |" for each in document.get("spared", ())]
    return {
        "state": seen.case.request.state,
        "a_run_would": would_do(seen, at),
        "answer_before": dg.MetadataValue.timestamp(seen.case.request.due_at),
        "days_left": seen.case.days_left(at),
        "plan": seen.case.plan or "none yet",
        **({"approved_until": dg.MetadataValue.timestamp(seen.approval.expires_at)} if seen.approval else {}),
        "persons_confirmed": seen.persons,
        "rows_expected": sum(each["expected"] for each in lines),
        "lines": told_table(
            ("store", "what", "action", "rows", "kept by"), planned, "Nothing of the person anywhere, or no plan yet."
        ),
        "stays": told_table(("what", "why"), spared, "Nothing that is the person's stays as it is."),
        "also": dg.MetadataValue.md("\n".join(f"- {note}" for note in document.get("notes", ())) or "Nothing else."),
        **({"done_before": _by_place(seen.tasks)} if any(task.attempts for task in seen.tasks) else {}),
    }


def outcome_metadata(outcome: Outcome) -> dict[str, Any]:
    """What was expected, what went or changed and what is left, by store and by place; what somebody else found."""
    verdict = outcome.verdict
    expected, done, left = (
        _by_store(rows)
        for rows in (
            {(task.store, task.place): task.expected for task in outcome.tasks}, outcome.done, outcome.residual,
        )
    )  # fmt: skip
    by_store = [
        f"| {each} | {expected[each]:,} | {done[each]:,} | {left[each]:,} |" for each in {**expected, **done, **left}
    ]
    told = {
        "state": outcome.state,
        "rows_expected": expected.total(),
        "rows_done": done.total(),
        "rows_left": left.total(),
        "by_store": told_table(("store", "expected", "went or changed", "left"), by_store, _NOTHING),
        "by_place": _by_place(outcome.tasks),
    }
    if verdict is None:  # its months in the lake wait, and nobody has looked yet
        return told
    checks = [f"| {what} | {looked:,} | {found:,} |" for what, looked, found in verdict.checks]
    mentions = [f"| {each.store} | {each.place}.{each.column} | {each.rows:,} |" for each in verdict.mentions]
    return told | {
        "verified_by": verdict.verifier,
        "verified": told_table(("looked at", "how many", "left"), checks, "Nothing was looked at."),
        "not_looked_at": "; ".join(verdict.unseen) or "nothing",
        "to_be_read": told_table(
            ("store", "column", "rows that may mean the person"),
            mentions,
            "Nothing that others wrote means the person.",
        ),
        "certificate": outcome.certificate or "none",
    }


def _by_place(tasks: Sequence[Task]) -> Any:
    """As it is noted of each place, over all runs."""
    columns = ("store", "what", "action", "expected", "went or changed", "found afterwards", "begun")
    rows = [
        f"| {task.store} | {task.place} | {task.action} | {task.expected:,} | {task.actual:,} "
        f"| {'' if task.residual is None else f'{task.residual:,}'} | {task.attempts} |"
        for task in tasks
    ]
    return told_table(columns, rows, _NOTHING)


def _by_store(rows: Rows) -> Counter[str]:
    found: Counter[str] = Counter()
    for (store, _), count in rows.items():
        found[_STORES.get(store, store)] += count
    return found
