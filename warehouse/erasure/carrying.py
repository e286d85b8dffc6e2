"""Carry an approved request out, from wherever it was left.

Each step ends in a state of the request, and can be taken again by anybody from there: what is erased is not there to
be erased twice. Tombstones are committed, and copied out of the cluster, before the first row is deleted. At the end
what was promised is counted anew, and somebody else looks everywhere: what is found is erased in another round, and
only when nothing is there is it certified.

What does not belong here: what happens in each store (``operational``, ``below``), and what a certificate says
(``certifying``).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from warehouse.catalog.version import policy_version
from warehouse.erasure.certificate import read_certificate
from warehouse.erasure.certifying import certified
from warehouse.erasure.estate import Estate
from warehouse.erasure.requests import APPLICATION, asked_for, operator_of, refuse_held, scoped
from warehouse.erasure.scope import Scope
from warehouse.erasure.sealed import Kept, unpack
from warehouse.erasure.steps import Steps, by_place
from warehouse.erasure.survey import Line, survey
from warehouse.erasure.witness import Verdict
from warehouse.errors import LegalHold, RequestRefused, TransientError
from warehouse.postgres.sessions import Connection, connect
from warehouse.state.agenda import next_step
from warehouse.state.audit import note
from warehouse.state.requests import (
    ENDED,
    Plan,
    Request,
    State,
    certify,
    move_request,
    read_approval,
    read_certificates,
    read_persons,
    read_plan,
    read_request,
    read_scope,
    write_mentions,
    write_scope,
)
from warehouse.state.tasks import Task, note_residual, plan_tasks, read_tasks

_UNDER_WAY = ("restricting", "executing", "retry_wait", "rebuilding", "verifying_erasure")
#: What is found afterwards is erased in another round; so many in one run.
_ROUNDS = 3


Rebuild = Callable[[Mapping[str, Scope]], Mapping[str, int]]


@dataclass(frozen=True)
class Outcome:
    """How far a request came.

    Attributes:
        state: of the request now.
        lines: what was expected, by store and place.
        tasks: what was done at each place, over all runs, and what is left there.
        residual: rows that are left, by store and place; empty if it is done.
        verdict: what somebody else found; None: its months in the lake wait, and nobody has looked yet.
        certificate: its number; empty if there is none.
    """

    request: int
    state: str
    lines: tuple[Line, ...]
    tasks: tuple[Task, ...]
    residual: Mapping[tuple[str, str], int]
    verdict: Verdict | None
    certificate: str = ""

    @property
    def done(self) -> dict[tuple[str, str], int]:
        """Rows that went or changed, by store and place."""
        return {(task.store, task.place): task.actual for task in self.tasks if task.actual}


def run_request(
    estate: Estate,
    request: int,
    *,
    rebuild: Rebuild = lambda _: {},
    tell: Callable[[str], None] = lambda _: None,
    run_id: str | None = None,
    lake: bool = True,
) -> Outcome:
    """Carry out an approved request, or go on where it was cut off.

    Args:
        estate: every store.
        request: which.
        rebuild: makes the models of the systems anew, and takes the persons out of what is left of them there; rows
            that it took out, by place.
        tell: is told of each step.
        run_id: noted in the ledger.
        lake: its months in the lake are written anew at once; or they wait for those of others (``batch``), hidden from
            every reader.

    Raises:
        RequestRefused: it is not approved, the approval is over, or what there is has changed since.
        LegalHold: a hold is new.
        TransientError: a store does not answer; the request waits, and goes on when it is run again.
    """
    with operator_of(estate, request) as operator:
        case = opened(estate, operator, request, tell, run_id)
        if case.request.state == "approved":
            case.begin()
        with case.failing():
            return case.go_on(rebuild, lake)


def opened(estate: Estate, operator: Connection, request: int, tell: Callable[[str], None], run_id: str | None) -> Case:
    """A request that can be carried out.

    Raises:
        RequestRefused: it cannot, in its state; or it asks for something else, for which nothing is deleted.
    """
    found = read_request(operator, request)
    if found.kind != "erasure":
        asks = "asks for a copy of the data, not to erase it" if found.kind == "export" else "is for restriction"
        raise RequestRefused(
            f"request {request} {asks}",
            hint=f"Nothing was deleted. `drivetrain erasure status {request}` says what is next.",
        )
    plan = read_plan(operator, request)
    sealed = read_scope(operator, request)
    if plan is None or sealed is None or found.state not in ("approved", *_UNDER_WAY, "failed_needs_operator"):
        raise RequestRefused(
            f"request {request} is {found.state}: there is nothing to carry out",
            hint=f"Next: {next_step(found, '...') or 'nothing, it is answered'}.",
        )
    steps = Steps(estate, operator, request, unpack(sealed, estate.keys, request), tell, run_id)
    return Case(estate, operator, found, plan, steps, tell)


@dataclass
class Case:
    """One request that is carried out."""

    estate: Estate
    operator: Connection
    request: Request
    plan: Plan
    steps: Steps
    tell: Callable[[str], None]

    @property
    def lines(self) -> tuple[Line, ...]:
        return tuple(Line(**each) for each in self.plan.document["lines"])

    @property
    def state(self) -> State:
        """Of the request now."""
        return read_request(self.operator, self.request.id).state

    def move(self, state: State, detail: Mapping[str, Any] | None = None) -> None:
        """Take the request to another state."""
        move_request(self.operator, self.request.id, state, detail)

    @contextmanager
    def failing(self) -> Generator[None]:
        """What ends the block for now, or for good, is the request's state."""
        try:
            yield
        except TransientError as error:
            if self.state == "executing":
                self.move("retry_wait", {"failure": type(error).__name__})
            raise
        except LegalHold as error:
            if self.state == "executing":
                self.move("blocked_hold", {"reason": error.message})
            raise

    def begin(self) -> None:
        """From approved to restricting, if all is as it was approved."""
        approval = read_approval(self.operator, self.plan)
        now = dt.datetime.now(dt.UTC)
        if approval is None or approval.expires_at <= now:
            self.move("scoping", {"why": "the approval is over"})
            raise RequestRefused(
                f"request {self.request.id}: its approval is over", hint="Nothing was deleted. Plan it anew."
            )
        refuse_held(self.operator, self.request.id, self.steps.kept)
        if self.plan.document["policy"] != policy_version(self.estate.catalog):
            self._drifted("the catalog has changed")
        now_there = survey(self.estate, scoped(self.estate, self.operator, self.request.id))
        if by_place(now_there.lines) != by_place(self.lines):
            self._drifted("there are other rows now")
        with self.operator.transaction():
            steps = {(line.store, line.place): (line.action, line.expected) for line in self.lines}
            plan_tasks(self.operator, self.request.id, steps)
            self.move("restricting")

    def _drifted(self, why: str) -> None:
        self.move("scoping", {"why": why})
        raise RequestRefused(
            f"request {self.request.id}: {why} than when its plan was approved",
            hint="Nothing was deleted. Plan it anew, and have that approved: `drivetrain erasure plan`.",
        )

    def go_on(self, rebuild: Rebuild, lake: bool = True) -> Outcome:
        """From restricting to the end, or to where it waits for the lake."""
        if self.state == "restricting":
            self.steps.bury()
            self.move("executing")
        if self.state in ("retry_wait", "failed_needs_operator"):
            self.move("executing")
        if self.state == "executing" and not lake:
            self.steps.erase(lake=False)
            if self.steps.waits_for_the_lake():
                return self.outcome(None, {})
        verdict, residual = self._round(rebuild)
        for _ in range(_ROUNDS - 1):
            if verdict.unseen or not residual:
                break
            self.move("executing", {"why": "residue", "rows": sum(residual.values())})
            verdict, residual = self._round(rebuild)
        if verdict.clean and not residual:
            return self.complete(verdict)
        why = f"not looked at: {verdict.unseen[0]}" if verdict.unseen else "rows are left"
        self.move("failed_needs_operator", {"reason": why, "rows": sum(residual.values())})
        return self.outcome(verdict, residual)

    def _round(self, rebuild: Rebuild) -> tuple[Verdict, dict[tuple[str, str], int]]:
        """Erase, make the models anew, and look: what somebody else finds, and what is left by either count."""
        if self.state == "executing":
            self.steps.erase()
            self.move("rebuilding")
        if self.state == "rebuilding":
            self.tell("models")
            for place, rows in rebuild({name: each.scope for name, each in sorted(self.steps.kept.items())}).items():
                self.steps.did("models", place, "rebuild", rows)
            self.move("verifying_erasure")
        self.tell("verifying")
        verdict = self.estate.witness.look(self.steps.kept, tell=self.tell)
        return verdict, self.judge(verdict)

    def judge(self, verdict: Verdict) -> dict[tuple[str, str], int]:
        """Note what somebody else found; what is left by that or by a count of one's own."""
        with self.operator.transaction():
            note_residual(self.operator, self.request.id, verdict.left)
            write_mentions(self.operator, self.request.id, [dataclasses.asdict(each) for each in verdict.mentions])
            detail = {"by": verdict.verifier, "left": sum(verdict.left.values()), "unseen": len(verdict.unseen)}
            note(self.operator, "erasure verified", self.request.id, detail)
        return {**verdict.left, **self.steps.residual()}

    def complete(self, verdict: Verdict) -> Outcome:
        """Over, and certified, in one transaction; what the request kept to itself goes with it."""
        self.tell("certifying")
        made = certified(self.estate, self.operator, self.request, self.plan, self.steps.kept, verdict)
        with self.operator.transaction():
            self.move(made.state, {"certificate": made.number})
            certify(self.operator, self.request.id, made.number, made.content)
            if made.state != "completed_pending_backup_expiry":
                write_scope(self.operator, self.request.id, None)
        return self.outcome(verdict, {}, made.number)

    def outcome(
        self, verdict: Verdict | None, residual: Mapping[tuple[str, str], int], certificate: str = ""
    ) -> Outcome:
        """As far as it has come."""
        tasks = tuple(read_tasks(self.operator, self.request.id))
        return Outcome(self.request.id, self.state, self.lines, tasks, residual, verdict, certificate)


def verify_request(estate: Estate, request: int, *, deep: bool, tell: Callable[[str], None]) -> Verdict:
    """Let somebody else look for the persons of a request. Changes nothing.

    Raises:
        RequestRefused: there is none of that number, or nobody has found out yet whom it is about.
    """
    with connect(estate.warehouse, read_only=True, application=APPLICATION) as operator:
        found, sealed = read_request(operator, request), read_scope(operator, request)
        persons = read_persons(operator, request)
        if sealed is not None:
            kept = unpack(sealed, estate.keys, request)
        elif persons and found.state in ENDED:
            words = tuple((each.kind, each.text) for each in asked_for(estate, operator, request))
            kept = {each.system: Kept(Scope(each.system, frozenset(), {}), {}, words) for each in persons}
        else:
            raise RequestRefused(
                f"request {request} is {found.state}: there is nobody to look for yet",
                hint="Plan it first: `drivetrain erasure plan`.",
            )
    return estate.witness.look(kept, deep=deep, tell=tell)


def settle(estate: Estate, request: int, today: dt.date) -> bool:
    """Once the last backup with the person in it has expired, a request is over; whether it is now.

    What it kept to itself until then, so that a restored backup could be cleared, is destroyed.

    Raises:
        Busy: somebody else is working on it.
    """
    with operator_of(estate, request) as operator:
        if read_request(operator, request).state != "completed_pending_backup_expiry":
            return False
        _, content = read_certificates(operator, request)[-1]
        certificate = read_certificate(content).document
        if certificate.backups is not None and certificate.backups.expire_on > today:
            return False
        with operator.transaction():
            move_request(operator, request, "completed_with_retention" if certificate.kept else "completed")
            write_scope(operator, request, None)
        return True
