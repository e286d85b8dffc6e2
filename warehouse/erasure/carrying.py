"""Carry an approved request out, from wherever it was left.

Each step ends in a state of the request, and can be taken again by anybody from there: what is erased is not there to
be erased twice, and what was promised is counted anew at the end. Tombstones are committed, and copied out of the
cluster, before the first row is deleted.

What does not belong here: what happens in each store (``operational``, ``below``).
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from warehouse.catalog.version import policy_version
from warehouse.erasure.below import erase_below
from warehouse.erasure.deleting import erase_operational
from warehouse.erasure.estate import Estate, Kept, pack, unpack
from warehouse.erasure.objects import remove_objects
from warehouse.erasure.operational import look_operational, operational_reader, raw_reader
from warehouse.erasure.remnants import sweep
from warehouse.erasure.requests import APPLICATION, holding, operator_of, refuse_held, scoped
from warehouse.erasure.scope import Scope
from warehouse.erasure.survey import ACTIONS, Line, replacement, survey
from warehouse.errors import Busy, LakeUnavailable, LegalHold, RequestRefused, TransientError
from warehouse.postgres.introspection import read_table
from warehouse.postgres.sessions import Connection, connect
from warehouse.state.audit import note
from warehouse.state.holds import keep_holds_still
from warehouse.state.requests import (
    Plan,
    Request,
    State,
    move_request,
    read_approval,
    read_plan,
    read_request,
    read_scope,
    write_scope,
)
from warehouse.state.tombstones import add_tombstones, put_tombstones

_UNDER_WAY = ("restricting", "executing", "retry_wait", "rebuilding", "verifying_erasure")


@dataclass(frozen=True)
class Outcome:
    """How far a request came.

    Attributes:
        state: of the request now.
        lines: what was expected, by store and place.
        done: rows that went or changed, by store and place.
        residual: rows that are left, by store and place; empty if it is done.
    """

    request: int
    state: str
    lines: tuple[Line, ...]
    done: Mapping[tuple[str, str], int]
    residual: Mapping[tuple[str, str], int]


def run_request(
    estate: Estate,
    request: int,
    *,
    rebuild: Callable[[Mapping[str, Scope]], None] = lambda _: None,
    tell: Callable[[str], None] = lambda _: None,
    run_id: str | None = None,
) -> Outcome:
    """Carry out an approved request, or go on where it was cut off.

    Args:
        estate: every store.
        request: which.
        rebuild: makes the models of the systems anew, and takes the persons out of what is left of them there.
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
        self.move("restricting")

    def _drifted(self, why: str) -> None:
        self.move("scoping", {"why": why})
        raise RequestRefused(
            f"request {self.request.id}: {why} than when its plan was approved",
            hint="Nothing was deleted. Plan it anew, and have that approved: `drivetrain erasure plan`.",
        )

    def go_on(self, rebuild: Callable[[Mapping[str, Scope]], None]) -> Outcome:
        """From restricting to the end."""
        done: Counter[tuple[str, str]] = Counter()
        if self.state == "restricting":
            self._bury()
            self.move("executing")
        if self.state in ("retry_wait", "failed_needs_operator"):
            self.move("executing")
        if self.state == "executing":
            done += self._erase()
            self.move("rebuilding")
        if self.state == "rebuilding":
            self.tell("models")
            rebuild({name: each.scope for name, each in sorted(self.kept.items())})
            self.move("verifying_erasure")
        residual = self._residual()
        if residual:
            self.move("failed_needs_operator", {"reason": "rows are left", "rows": sum(residual.values())})
        else:
            keeps = any(line.action == "pseudonymise" for line in self.lines)
            with self.operator.transaction():
                self.move("completed_with_retention" if keeps else "completed")
                write_scope(self.operator, self.request.id, None)
        return Outcome(self.request.id, self.state, self.lines, dict(done), residual)

    def _bury(self) -> None:
        """Tombstones, in the warehouse and outside of it; from now on no writer lets the rows in."""
        self.tell("tombstones")
        with self.operator.transaction():
            added = 0
            for name, each in sorted(self.kept.items()):
                system = self.estate.catalog.systems[name]
                keys: dict[tuple[str, str], set[str]] = {}
                for table, about in each.scope.values.items():
                    for subject in system.tables[table].subjects:
                        if subject.column in about:
                            keys.setdefault(system.target_of(subject), set()).update(about[subject.column])
                added += add_tombstones(self.operator, self.request.id, name, keys)
            note(self.operator, "tombstones", self.request.id, {"added": added})
        put_tombstones(self.operator, self.estate.lake, self.request.id)

    def _erase(self) -> Counter[tuple[str, str]]:
        done: Counter[tuple[str, str]] = Counter()
        for name in sorted(self.kept):
            self.tell(f"{name} (objects)")
            done += self._erase_objects(name)
            self.tell(f"{name} (operational)")
            done += self._erase_operational(name)
        for name, each in sorted(self.kept.items()):
            system = self.estate.catalog.systems[name]
            for table in sorted(each.scope.values):
                there = read_table(self.operator, system.raw_schema, table) is not None
                if there and system.tables[table].erasure.action in ACTIONS:
                    self.tell(f"{name}.{table} (warehouse and lake)")
                    erased = erase_below(
                        self.estate.places(name), system, table, each.scope.about(table), f"request {self.request.id}",
                        replacement(system, table, each), permitted=self._permitted, run_id=self.run_id,
                    )  # fmt: skip
                    for part in erased:
                        store = {"cold": "lake", "left": "operational"}.get(part.tier, "warehouse")
                        done[store, f"{name}.{table}"] += part.rows + part.changed
        return done

    def _permitted(self, connection: Connection) -> None:
        """In each transaction that erases: no hold is new."""
        keep_holds_still(connection)
        if new := holding(connection, self.kept):
            raise LegalHold(f"request {self.request.id}: {new[0]} is new", hint="What had not gone stays.")

    def _erase_objects(self, name: str) -> Counter[tuple[str, str]]:
        """Before the rows go that name them."""
        system, each = self.estate.catalog.systems[name], self.kept[name]
        with connect(self.estate.sources[name], see_all_rows=True, application=APPLICATION) as source:
            readers = [operational_reader(source, system), raw_reader(self.operator, system)]
            erased = remove_objects(self.estate.objects, system, each.scope, readers)
        for bucket in erased:
            if bucket.residual:
                raise LakeUnavailable(
                    f"request {self.request.id}: {bucket.residual} objects of {bucket.bucket} could not be removed",
                    hint="Its other objects are gone. May the platform delete there? Run the request again.",
                )
        return Counter({("objects", bucket.bucket): bucket.removed for bucket in erased})

    def _erase_operational(self, name: str) -> Counter[tuple[str, str]]:
        system, each = self.estate.catalog.systems[name], self.kept[name]
        with connect(self.estate.sources[name], see_all_rows=True, application=APPLICATION) as source:
            looked = look_operational(source, system, each.scope)
            refuse_held(self.operator, self.request.id, self.kept)
            erased = erase_operational(source, system, looked, each.scope, each.pseudonyms, grown=self._grown(name))
            if not erased.done:
                raise Busy(f"request {self.request.id}: rows of {name} are locked by others, or come anew")
            sweep(source, [step.relation for step in looked.steps])
        return Counter({("operational", f"{name}.{table.table}"): table.actual for table in erased.tables})

    def _grown(self, name: str) -> Callable[[Scope], None]:
        """Keeps a way that is new before the rows go by which it was found."""

        def keep(scope: Scope) -> None:
            self.kept[name] = Kept(scope, self.kept[name].pseudonyms)
            write_scope(self.operator, self.request.id, pack(self.kept, self.estate.keys, self.request.id))
            self._bury()

        return keep

    def _residual(self) -> dict[tuple[str, str], int]:
        """What is there still, counted anew."""
        self.tell("counting what is left")
        return _by_place(survey(self.estate, self.kept).lines)


def _by_place(lines: Sequence[Line]) -> dict[tuple[str, str], int]:
    """Rows by table: at its source, and below it, whichever tier they are in by now."""
    found: Counter[tuple[str, str]] = Counter()
    for line in lines:
        found[line.store if line.store in ("objects", "operational") else "below", line.place] += line.expected
    return dict(found)
