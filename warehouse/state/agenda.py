"""What requests of persons ask for next: which are open and until when, and which the platform has to carry out.

It is read as the platform itself, without anything by which a person could be told: what they are known by, and which
rows are theirs, is not read along.

What does not belong here: who may do what (the database says), and how it is done (``warehouse.erasure``).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import sql

from warehouse.catalog.age import Age
from warehouse.postgres.relations import is_there
from warehouse.postgres.sessions import Connection
from warehouse.state.requests import ENDED, Request, read_requests

#: States in which the person has their answer.
ANSWERED = (*ENDED, "completed_pending_backup_expiry")
#: States of a request that was begun: it goes on from there.
UNDER_WAY = ("restricting", "executing", "retry_wait", "rebuilding", "verifying_erasure")
#: Kinds that the platform carries out by itself once they are approved.
CARRIED_OUT = ("erasure",)

#: So long before a request has to be answered it waits for no others any more.
_MARGIN = dt.timedelta(days=3)
_NEXT = {
    "received": "confirm whom it is about: `drivetrain erasure confirm {id}`",
    "verifying": "confirm whom it is about: `drivetrain erasure confirm {id}`",
    "scoping": "find out what it demands: `drivetrain erasure plan {id}`",
    "planned": "`drivetrain erasure plan {id}`",
    "awaiting_approval": "somebody else approves: `drivetrain erasure approve {id} --plan {plan}`",
    "approved": "the sensor carries it out, or `drivetrain erasure run {id}`",
    "blocked_hold": "a hold was in the way (`drivetrain hold list`): once none is, `drivetrain erasure plan {id}`,"
    " and another approval",
    "failed_needs_operator": "see why: `drivetrain audit show --request {id}`; then `drivetrain erasure run {id}`",
    **dict.fromkeys(UNDER_WAY, "the sensor goes on if it was cut off, or `drivetrain erasure run {id}`"),
}
_NEXT_OF_RESTRICTION = {
    **{state: _NEXT[state] for state in ("received", "verifying")},
    "scoping": "hide them: `drivetrain restriction start {id}`",
    "restricting": "rows are hidden until an approver ends it: `drivetrain restriction end {id} --why ...`",
}
_NEXT_OF_EXPORT = {
    **_NEXT,
    "approved": "make the copy: `drivetrain export run {id}`",
    "completed": "hand it over: `drivetrain export fetch {id} --to FILE`",
}
_NEXT_OF: Mapping[str, Mapping[str, str]] = {
    "erasure": _NEXT, "restriction": _NEXT_OF_RESTRICTION, "export": _NEXT_OF_EXPORT,
}  # fmt: skip
# Who carries out or plans a request holds this lock for as long (``warehouse.erasure.requests.operator_of``).
_DETAILS = """
SELECT r.id, left(encode(p.sha256, 'hex'), 12), a.expires_at, EXISTS (
           SELECT FROM pg_locks AS l
            WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
              AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
              AND (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended('drivetrain request ' || r.id, 0)),
       r.state IN ('executing', 'retry_wait') AND coalesce((
           SELECT bool_and(t.store = 'lake' AND t.state = 'planned') FROM platform.erasure_task AS t
            WHERE t.request = r.id AND t.state <> 'done'), false)
  FROM platform.erasure_request AS r
  LEFT JOIN LATERAL (SELECT * FROM platform.erasure_plan WHERE request = r.id ORDER BY id DESC LIMIT 1) AS p ON true
  LEFT JOIN LATERAL (SELECT * FROM audit.approval WHERE plan = p.id AND sha256 = p.sha256 ORDER BY id DESC LIMIT 1) AS a
    ON true
"""


@dataclass(frozen=True)
class Case:
    """A request, and how it stands.

    Attributes:
        plan: the first twelve digits of its newest plan's digest; None: it has none.
        approved_until: of that plan.
        worked_on: somebody plans it or carries it out at this moment.
        waits_for_lake: nothing is left to do but its months in the lake.
        waits_until: by when at the latest these are written anew, with those of others; None: it waits for nobody.
    """

    request: Request
    plan: str | None = None
    approved_until: dt.datetime | None = None
    worked_on: bool = False
    waits_for_lake: bool = False
    waits_until: dt.datetime | None = None

    @property
    def open(self) -> bool:
        """Whether the person waits for an answer."""
        hidden = self.request.kind == "restriction" and self.request.state == "restricting"
        return self.request.state not in ANSWERED and not hidden

    @property
    def to_carry_out(self) -> bool:
        """Whether it is the platform's turn: to begin, or to go on where it was left."""
        return self.request.kind in CARRIED_OUT and self.request.state in ("approved", *UNDER_WAY)

    def lake_due(self, window: Age) -> dt.datetime:
        """When the lake is written anew for one that waits, at the latest: within the window, and the law's time."""
        since = self.request.changed_at
        return min(window.later(since), max(since, self.request.due_at - _MARGIN))

    def days_left(self, at: dt.datetime) -> int:
        """Whole days until it is late; negative ones since then."""
        left = self.request.due_at - at
        return left.days if left >= dt.timedelta() else -(-left).days

    def overdue(self, at: dt.datetime) -> bool:
        """Whether it should have been answered by then."""
        return self.open and self.request.due_at <= at

    def due_soon(self, at: dt.datetime, within: dt.timedelta) -> bool:
        """Whether it, or the confirmation of its receipt, is due within some time, and is not answered yet.

        That a receipt was confirmed is noted nowhere: it counts as done when it is clear whom the request is about.
        """
        unconfirmed = self.request.state in ("received", "verifying") and self.request.confirm_by is not None
        ends = min(self.request.due_at, self.request.confirm_by) if unconfirmed else self.request.due_at  # type: ignore[type-var]
        return self.open and not self.overdue(at) and ends <= at + within

    @property
    def next(self) -> str:
        """What is to be done, and by which command; empty where nothing is."""
        return next_step(self.request, self.plan or "")


def next_step(request: Request, plan: str) -> str:
    """What is to be done with a request in its state, and by which command; empty where nothing is.

    Args:
        request: in its state.
        plan: digest of its newest plan, or the first digits of it.
    """
    return _NEXT_OF[request.kind].get(request.state, "").format(id=request.id, plan=plan[:12])


def read_agenda(connection: Connection) -> list[Case]:
    """Every request, oldest first; none, where the warehouse knows no requests yet."""
    if not is_there(connection, sql.Identifier("platform", "erasure_request")):
        return []
    details = {number: rest for number, *rest in connection.execute(_DETAILS)}
    return [Case(each, *details.get(each.id, ())) for each in read_requests(connection)]
