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
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from warehouse.catalog.version import policy_version
from warehouse.erasure.below import erase_below
from warehouse.erasure.caches import remove_keys
from warehouse.erasure.certificate import read_certificate
from warehouse.erasure.certifying import certified
from warehouse.erasure.deleting import erase_operational
from warehouse.erasure.estate import Estate
from warehouse.erasure.objects import remove_objects
from warehouse.erasure.operational import look_operational, operational_reader, raw_reader
from warehouse.erasure.remnants import sweep
from warehouse.erasure.requests import APPLICATION, asked_for, holding, operator_of, refuse_held, scoped
from warehouse.erasure.scope import Scope, keys_of
from warehouse.erasure.sealed import Kept, pack, unpack
from warehouse.erasure.survey import ACTIONS, STORES, Line, replacement, survey
from warehouse.erasure.witness import Verdict
from warehouse.errors import Busy, LakeUnavailable, LegalHold, RequestRefused, ServerUnavailable, TransientError
from warehouse.postgres.introspection import read_table
from warehouse.postgres.sessions import Connection, connect
from warehouse.state.audit import note
from warehouse.state.erased import read_erased
from warehouse.state.holds import keep_holds_still
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
from warehouse.state.restrictions import restrict
from warehouse.state.tasks import Task, begin_task, end_task, note_residual, plan_tasks, read_tasks
from warehouse.state.tombstones import add_tombstones, put_tombstones

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
        verdict: what somebody else found.
        certificate: its number; empty if there is none.
    """

    request: int
    state: str
    lines: tuple[Line, ...]
    tasks: tuple[Task, ...]
    residual: Mapping[tuple[str, str], int]
    verdict: Verdict
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
) -> Outcome:
    """Carry out an approved request, or go on where it was cut off.

    Args:
        estate: every store.
        request: which.
        rebuild: makes the models of the systems anew, and takes the persons out of what is left of them there; rows
            that it took out, by place.
        tell: is told of each step.
        run_id: noted in the ledger.

    Raises:
        RequestRefused: it is not approved, the approval is over, or what there is has changed since.
        LegalHold: a hold is new.
        TransientError: a store does not answer; the request waits, and goes on when it is run again.
    """
    with operator_of(estate, request) as operator:
        found = read_request(operator, request)
        plan = read_plan(operator, request)
        sealed = read_scope(operator, request)
        if plan is None or sealed is None or found.state not in ("approved", *_UNDER_WAY, "failed_needs_operator"):
            raise RequestRefused(
                f"request {request} is {found.state}: there is nothing to carry out",
                hint="`drivetrain erasure status` says what is next.",
            )
        kept = unpack(sealed, estate.keys, request)
        case = _Case(estate, operator, found, plan, kept, tell, run_id)
        if found.state == "approved":
            case.begin()
        try:
            return case.go_on(rebuild)
        except TransientError as error:
            if case.state == "executing":
                case.move("retry_wait", {"failure": type(error).__name__})
            raise
        except LegalHold as error:
            if case.state == "executing":
                case.move("blocked_hold", {"reason": error.message})
            raise


@dataclass
class _Case:
    estate: Estate
    operator: Connection
    request: Request
    plan: Plan
    kept: dict[str, Kept]
    tell: Callable[[str], None]
    run_id: str | None

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

    def begin(self) -> None:
        """From approved to restricting, if all is as it was approved."""
        approval = read_approval(self.operator, self.plan)
        now = dt.datetime.now(dt.UTC)
        if approval is None or approval.expires_at <= now:
            self.move("scoping", {"why": "the approval is over"})
            raise RequestRefused(
                f"request {self.request.id}: its approval is over", hint="Nothing was deleted. Plan it anew."
            )
        refuse_held(self.operator, self.request.id, self.kept)
        if self.plan.document["policy"] != policy_version(self.estate.catalog):
            self._drifted("the catalog has changed")
        now_there = survey(self.estate, scoped(self.estate, self.operator, self.request.id))
        if _by_place(now_there.lines) != _by_place(self.lines):
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

    def go_on(self, rebuild: Rebuild) -> Outcome:
        """From restricting to the end."""
        if self.state == "restricting":
            self._bury()
            self.move("executing")
        if self.state in ("retry_wait", "failed_needs_operator"):
            self.move("executing")
        verdict, residual = self._round(rebuild)
        for _ in range(_ROUNDS - 1):
            if verdict.unseen or not residual:
                break
            self.move("executing", {"why": "residue", "rows": sum(residual.values())})
            verdict, residual = self._round(rebuild)
        if verdict.clean and not residual:
            return self._complete(verdict)
        why = f"not looked at: {verdict.unseen[0]}" if verdict.unseen else "rows are left"
        self.move("failed_needs_operator", {"reason": why, "rows": sum(residual.values())})
        return self._outcome(verdict, residual)

    def _round(self, rebuild: Rebuild) -> tuple[Verdict, dict[tuple[str, str], int]]:
        """Erase, make the models anew, and look: what somebody else finds, and what is left by either count."""
        if self.state == "executing":
            self._erase()
            self.move("rebuilding")
        if self.state == "rebuilding":
            self.tell("models")
            for place, rows in rebuild({name: each.scope for name, each in sorted(self.kept.items())}).items():
                self._did("models", place, "rebuild", rows)
            self.move("verifying_erasure")
        verdict = self._verify()
        return verdict, {**verdict.left, **self._residual()}

    def _verify(self) -> Verdict:
        """Somebody else looks everywhere."""
        self.tell("verifying")
        verdict = self.estate.witness.look(self.kept, tell=self.tell)
        with self.operator.transaction():
            note_residual(self.operator, self.request.id, verdict.left)
            write_mentions(self.operator, self.request.id, [dataclasses.asdict(each) for each in verdict.mentions])
            detail = {"by": verdict.verifier, "left": sum(verdict.left.values()), "unseen": len(verdict.unseen)}
            note(self.operator, "erasure verified", self.request.id, detail)
        return verdict

    def _complete(self, verdict: Verdict) -> Outcome:
        """Over, and certified, in one transaction; what the request kept to itself goes with it."""
        self.tell("certifying")
        made = certified(self.estate, self.operator, self.request, self.plan, self.kept, verdict)
        with self.operator.transaction():
            self.move(made.state, {"certificate": made.number})
            certify(self.operator, self.request.id, made.number, made.content)
            if made.state != "completed_pending_backup_expiry":
                write_scope(self.operator, self.request.id, None)
        return self._outcome(verdict, {}, made.number)

    def _outcome(self, verdict: Verdict, residual: Mapping[tuple[str, str], int], certificate: str = "") -> Outcome:
        tasks = tuple(read_tasks(self.operator, self.request.id))
        return Outcome(self.request.id, self.state, self.lines, tasks, residual, verdict, certificate)

    def _did(self, store: str, place: str, action: str, rows: int, *, versions: int = 0, total: bool = False) -> None:
        begin_task(self.operator, self.request.id, store, place, action)
        end_task(self.operator, self.request.id, store, place, rows, versions=versions, total=total)

    def _bury(self) -> None:
        """Tombstones, in the warehouse and outside of it; from now on no writer lets the rows in."""
        self.tell("tombstones")
        with self.operator.transaction():
            added = 0
            for name, each in sorted(self.kept.items()):
                keys = keys_of(self.estate.catalog.systems[name], each.scope)
                added += add_tombstones(self.operator, self.request.id, name, keys)
                restrict(self.operator, self.request.id, name, keys)
            note(self.operator, "tombstones", self.request.id, {"added": added})
        put_tombstones(self.operator, self.estate.lake, self.request.id)

    def _erase(self) -> None:
        for name in sorted(self.kept):
            self.tell(f"{name} (objects)")
            self._erase_objects(name)
            self._erase_cache(name)
            self.tell(f"{name} (operational)")
            self._erase_operational(name)
        for name, each in sorted(self.kept.items()):
            system = self.estate.catalog.systems[name]
            for table in sorted(each.scope.values):
                there = read_table(self.operator, system.raw_schema, table) is not None
                if there and system.tables[table].erasure.action in ACTIONS:
                    self.tell(f"{name}.{table} (warehouse and lake)")
                    self._erase_below(name, table)

    def _erase_below(self, name: str, table: str) -> None:
        """The ledger of what went there counts over all runs."""
        system, each, batch = self.estate.catalog.systems[name], self.kept[name], f"request {self.request.id}"
        action = system.tables[table].erasure.action
        erase_below(
            self.estate.places(name), system, table, each.scope.about(table), batch, replacement(system, table, each),
            permitted=self._permitted, run_id=self.run_id,
        )  # fmt: skip
        done: Counter[str] = Counter()
        for part in read_erased(self.operator, name, table):
            if part.batch == batch:
                done[STORES[part.tier]] += part.rows + part.changed
        planned = {task.store for task in read_tasks(self.operator, self.request.id) if task.place == f"{name}.{table}"}
        for store in sorted(planned & {"warehouse", "lake", "detached"} | set(done)):
            self._did(store, f"{name}.{table}", action, done[store], total=True)

    def _permitted(self, connection: Connection) -> None:
        """In each transaction that erases: no hold is new."""
        keep_holds_still(connection)
        if new := holding(connection, self.kept):
            raise LegalHold(f"request {self.request.id}: {new[0]} is new", hint="What had not gone stays.")

    def _erase_objects(self, name: str) -> None:
        """Before the rows go that name them."""
        system, each = self.estate.catalog.systems[name], self.kept[name]
        with connect(self.estate.sources[name], see_all_rows=True, application=APPLICATION) as source:
            readers = [operational_reader(source, system), raw_reader(self.operator, system)]
            erased = remove_objects(self.estate.objects, system, each.scope, readers)
        for bucket in erased:
            self._did("objects", bucket.bucket, "delete", bucket.objects, versions=bucket.removed)
        for bucket in erased:
            if bucket.residual:
                raise LakeUnavailable(
                    f"request {self.request.id}: {bucket.residual} objects of {bucket.bucket} could not be removed",
                    hint="Its other objects are gone. May the platform delete there? Run the request again.",
                )

    def _erase_cache(self, name: str) -> None:
        system, cache = self.estate.catalog.systems[name], self.estate.caches.get(name)
        if cache is None or not system.caches:
            return
        self.tell(f"{name} (cache)")
        erased = remove_keys(cache, system, self.kept[name].scope)
        if erased.expected or erased.removed:
            self._did("cache", name, "delete", erased.removed)
        if erased.residual:
            raise ServerUnavailable(
                f"request {self.request.id}: the application goes on writing {erased.residual} keys into {cache.label}",
                hint="Sign the person out there, then run the request again.",
            )

    def _erase_operational(self, name: str) -> None:
        system, each = self.estate.catalog.systems[name], self.kept[name]
        with connect(self.estate.sources[name], see_all_rows=True, application=APPLICATION) as source:
            looked = look_operational(source, system, each.scope)
            refuse_held(self.operator, self.request.id, self.kept)
            erased = erase_operational(source, system, looked, each.scope, each.pseudonyms, grown=self._grown(name))
            for table in erased.tables:
                if table.actual:
                    self._did("operational", f"{name}.{table.table}", table.action, table.actual)
            if not erased.done:
                raise Busy(f"request {self.request.id}: rows of {name} are locked by others, or come anew")
            sweep(source, [step.relation for step in looked.steps])

    def _grown(self, name: str) -> Callable[[Scope], None]:
        """Keeps a way that is new before the rows go by which it was found."""

        def keep(scope: Scope) -> None:
            self.kept[name] = dataclasses.replace(self.kept[name], scope=scope)
            write_scope(self.operator, self.request.id, pack(self.kept, self.estate.keys, self.request.id))
            self._bury()

        return keep

    def _residual(self) -> dict[tuple[str, str], int]:
        """What is there still, counted anew."""
        self.tell("counting what is left")
        lines = survey(self.estate, self.kept).lines
        return _by_place(lines) | {(line.store, line.place): line.expected for line in lines if line.store == "cache"}


def _by_place(lines: Sequence[Line]) -> dict[tuple[str, str], int]:
    """Rows by table: at its source, attached or not, and below it, whichever tier they are in by now.

    Keys in a cache come and go: they are no reason to have a plan approved anew.
    """
    found: Counter[tuple[str, str]] = Counter()
    for line in lines:
        if line.store != "cache":
            store = {"objects": "objects", "operational": "operational", "detached": "operational"}
            found[store.get(line.store, "below"), line.place] += line.expected
    return dict(found)


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
