"""Gather what a certificate says: of a request that was carried out, what the plan expected, what was done, and what
somebody else found.

What does not belong here: the certificate's form and its signature (``certificate``).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast, get_args
from zoneinfo import ZoneInfo

from warehouse.canonical import canonical
from warehouse.catalog.age import Age
from warehouse.catalog.laws import load_laws
from warehouse.catalog.model import System
from warehouse.erasure.certificate import Certificate, Outcome, Tier, issue
from warehouse.erasure.estate import Estate
from warehouse.erasure.identifiers import KINDS, Identifier
from warehouse.erasure.requests import asked_for
from warehouse.erasure.sealed import Kept
from warehouse.erasure.witness import Verdict
from warehouse.errors import RequestRefused
from warehouse.postgres.sessions import Connection, connect
from warehouse.state.audit import read_audit
from warehouse.state.requests import (
    Plan,
    Request,
    read_approval,
    read_certificates,
    read_digests,
    read_persons,
)
from warehouse.state.tasks import Task, read_tasks

#: Where a policy does not say for how long a law demands keeping, somebody asks again after so long.
_REVIEW = Age(count=1, unit="year")
_TIERS: Mapping[str, Tier] = {each: each for each in cast("tuple[Tier, ...]", get_args(Tier))}
_NOT_COVERED = (
    "The servers' own log files and their write-ahead log, which expire by the operator's schedule.",
    "Copies that others received before the request.",
    "Sums of former periods that the person was part of; they name nobody.",
)


@dataclass(frozen=True)
class Certified:
    """A certificate that was signed, and the state of the request that it speaks of."""

    number: str
    state: Outcome
    content: bytes


def certified(
    estate: Estate, operator: Connection, request: Request, plan: Plan, kept: Mapping[str, Kept], verdict: Verdict
) -> Certified:
    """Make and sign the certificate of a request of which nothing is left.

    Raises:
        RequestRefused: nobody approved the plan.
        DrivetrainError: it would name the person.
    """
    approval = read_approval(operator, plan)
    if approval is None:
        raise RequestRefused(f"request {request.id}: nobody approved the plan that was carried out")
    tasks = read_tasks(operator, request.id)
    now = dt.datetime.now(dt.UTC)
    stays = _kept(estate, tasks, now.date())
    state: Outcome = "completed_with_retention" if stays else "completed"
    if estate.backups is not None:
        state = "completed_pending_backup_expiry"
    began = [each.at for each in read_audit(operator, request.id) if each.kind == "request restricting"]
    law = load_laws()[cast("Any", request.law)]
    number = _number(operator, request.id, now)
    document = Certificate.model_validate({
        "number": number,
        "issuer": estate.issuer,
        "issued_at": now,
        "outcome": state,
        "request": {
            "number": f"E-{request.received_at:%Y}-{request.id:06d}", "hash": _request_hash(operator, request),
            "systems": sorted(kept), "persons": sum(len(each.scope.persons) for each in kept.values()),
            "law": request.law, "received_at": request.received_at,
            "due": (request.due_at - dt.timedelta(microseconds=1)).astimezone(ZoneInfo(law.zone)).date(),
            "requester": request.requested_by, "approver": approval.approved_by, "approved_at": approval.approved_at,
        },
        "plan": {"hash": plan.sha256, "sealed_at": plan.made_at, "policy_version": plan.document["policy"]},
        "execution": {"started_at": began[0], "finished_at": verdict.started_at},
        "clocks": _clocks(estate, operator, sorted(kept)),
        "stores": _stores(tasks),
        "kept": stays,
        "backups": _backups(estate.backups, now),
        "verification": {
            "verifier": verdict.verifier, "started_at": verdict.started_at, "finished_at": verdict.finished_at,
            "checks": [{"what": what, "looked_at": looked, "found": found} for what, looked, found in verdict.checks],
            "mentions": sum(each.rows for each in verdict.mentions),
        },
        "out_of_scope": [
            *(f"{each['place']} stays as it is: {each['reason']}" for each in plan.document["spared"]),
            *(each for each in plan.document["notes"] if "no cache is configured" in each),
            *_NOT_COVERED,
        ],
    })  # fmt: skip
    return Certified(number, state, issue(document, estate.keys, _never(estate, operator, request.id, kept)))


def _number(operator: Connection, request: int, now: dt.datetime) -> str:
    """A request that was opened again has another one."""
    before = len(read_certificates(operator, request))
    return f"C-{now:%Y}-{request:06d}" + (f"-{before + 1}" if before else "")


def _request_hash(operator: Connection, request: Request) -> str:
    """Of what was asked, by whom: whoever has the request's record can compute it anew."""
    persons = [[each.system, bytes(each.digest).hex()] for each in read_persons(operator, request.id)]
    document = {
        "id": request.id, "kind": request.kind, "law": request.law, "received_at": request.received_at.isoformat(),
        "requested_by": request.requested_by, "identifiers": read_digests(operator, request.id), "persons": persons,
    }  # fmt: skip
    return hashlib.sha256(canonical(document)).hexdigest()


def _stores(tasks: list[Task]) -> list[dict[str, Any]]:
    total: dict[str, int] = defaultdict(int)
    for task in tasks:
        total[task.place] += task.actual - task.expected
    return [
        {
            "tier": _TIERS.get(task.store, "operational"), "system": _split(task)[0], "locator": _split(task)[1],
            "action": task.action, "expected": task.actual if task.store == "models" else task.expected,
            "actual": task.actual, "residual": task.residual or 0, "versions_removed": task.versions,
            "why": _why(task, total[task.place]),
        }
        for task in tasks
        if task.expected or task.actual
    ]  # fmt: skip


def _split(task: Task) -> tuple[str, str]:
    if task.store == "export":
        return "all systems", "copies for the person"
    system, point, table = task.place.partition(".")
    named = table if point else {"cache": "keys", "objects": "files"}.get(task.store, "all")
    return system, f"{named} (out of its table)" if task.store == "detached" else named


def _why(task: Task, difference: int) -> str | None:
    """If not as many were met as expected."""
    if task.expected == task.actual or task.store == "models":
        return None
    if not difference and task.store in ("warehouse", "lake", "detached", "operational"):
        return "A month moved between the tiers meanwhile; all together they are as many."
    if task.store == "cache":
        return "Keys of a cache come and go."
    if task.actual > task.expected:
        return "More came after the plan was approved; they went, too."
    if task.attempts > 1:
        return "It was cut off and went on: what had gone by then was not counted. A count afterwards found none left."
    return "Others removed the rest meanwhile. A count afterwards found none left."


def _kept(estate: Estate, tasks: list[Task], today: dt.date) -> list[dict[str, Any]]:
    """What stays under a pseudonym, in each tier that has it."""
    rows: dict[str, int] = {}
    for task in tasks:
        if task.action == "pseudonymise":
            rows[task.place] = max(rows.get(task.place, 0), task.actual)
    return [
        {"system": name, "table": table, "rows": count, "pseudonymised": True}
        | _grounds(estate.catalog.systems[name], table, today)
        for place, count in sorted(rows.items())
        for name, _, table in [place.partition(".")]
    ]


def _grounds(system: System, table: str, today: dt.date) -> dict[str, Any]:
    policy = system.tables[table]
    age = policy.retention.age or _REVIEW
    moment = dt.datetime.combine(today, dt.time(), dt.UTC)
    return {"basis": policy.erasure.basis or "", "review_on": age.later(moment).date()}


def _backups(kept: Age | None, now: dt.datetime) -> dict[str, Any] | None:
    if kept is None:
        return None
    return {
        "expire_on": (kept.later(now) + dt.timedelta(days=1)).date(),
        "how": f"Backups, and the log of changes that belongs to them, are kept for {kept}.",
    }


def _clocks(estate: Estate, operator: Connection, systems: list[str]) -> list[dict[str, Any]]:
    found = [_clock("warehouse", operator)]
    for name in systems:
        with connect(estate.sources[name], read_only=True, application="drivetrain erasure") as source:
            found.append(_clock(f"{name} (operational)", source))
    return found


def _clock(server: str, connection: Connection) -> dict[str, Any]:
    ((said,),) = connection.execute("SELECT clock_timestamp()").fetchall()
    return {"server": server, "said": said, "ours": dt.datetime.now(dt.UTC)}


def _never(estate: Estate, operator: Connection, request: int, kept: Mapping[str, Kept]) -> list[Identifier]:
    """What must not stand in the document."""
    known = [
        Identifier(cast("Any", kind), text) for each in kept.values() for kind, text in each.known if kind in KINDS
    ]
    return [*asked_for(estate, operator, request), *known]
