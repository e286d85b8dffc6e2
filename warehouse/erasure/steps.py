"""What a request does in each store, and notes of it, place by place; each step can be taken again.

What does not belong here: in which state a request may do it, and who looks afterwards (``carrying``).
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from warehouse.erasure.below import erase_below
from warehouse.erasure.caches import remove_keys
from warehouse.erasure.deleting import erase_operational
from warehouse.erasure.estate import Estate
from warehouse.erasure.exports import remove_exports
from warehouse.erasure.objects import remove_objects
from warehouse.erasure.operational import look_operational, operational_reader, raw_reader
from warehouse.erasure.remnants import sweep
from warehouse.erasure.requests import APPLICATION, holding, refuse_held
from warehouse.erasure.scope import Scope, keys_of
from warehouse.erasure.sealed import Kept, pack
from warehouse.erasure.survey import ACTIONS, EXPORTS, STORES, Line, replacement, survey
from warehouse.errors import Busy, LakeUnavailable, LegalHold, ServerUnavailable
from warehouse.postgres.introspection import read_table
from warehouse.postgres.sessions import Connection, connect
from warehouse.state.audit import note
from warehouse.state.erased import read_erased
from warehouse.state.holds import keep_holds_still
from warehouse.state.requests import write_scope
from warehouse.state.restrictions import restrict
from warehouse.state.tasks import begin_task, end_task, read_tasks
from warehouse.state.tombstones import add_tombstones, put_tombstones

#: What comes and goes by itself.
_PASSING = ("cache", "export")


@dataclass
class Steps:
    """Of one request.

    Attributes:
        operator: the platform's session that holds the request.
        kept: whose rows, by system; grows with ways that are new.
    """

    estate: Estate
    operator: Connection
    request: int
    kept: dict[str, Kept]
    tell: Callable[[str], None]
    run_id: str | None

    def did(self, store: str, place: str, action: str, rows: int, *, versions: int = 0, total: bool = False) -> None:
        """Note that a step was taken."""
        begin_task(self.operator, self.request, store, place, action)
        end_task(self.operator, self.request, store, place, rows, versions=versions, total=total)

    def bury(self) -> None:
        """Tombstones, in the warehouse and outside of it; from now on no writer lets the rows in."""
        self.tell("tombstones")
        with self.operator.transaction():
            added = 0
            for name, each in sorted(self.kept.items()):
                keys = keys_of(self.estate.catalog.systems[name], each.scope)
                added += add_tombstones(self.operator, self.request, name, keys)
                restrict(self.operator, self.request, name, keys)
            note(self.operator, "tombstones", self.request, {"added": added})
        put_tombstones(self.operator, self.estate.lake, self.request)

    def erase(self, *, lake: bool = True) -> None:
        """Objects and caches, databases, and what is below them; in this order, for rows name the former.

        Args:
            lake: its months, too; else they wait.
        """
        self._erase_exports()
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
                    self._erase_below(name, table, lake)

    def waits_for_the_lake(self) -> bool:
        """Whether months in the lake have rows still, by the plan."""
        return any(task.store == "lake" and task.state == "planned" for task in read_tasks(self.operator, self.request))

    def _erase_below(self, name: str, table: str, lake: bool) -> None:
        """The ledger of what went there counts over all runs."""
        system, each, batch = self.estate.catalog.systems[name], self.kept[name], f"request {self.request}"
        action = system.tables[table].erasure.action
        erase_below(
            self.estate.places(name), system, table, each.scope.about(table), batch, replacement(system, table, each),
            permitted=self.permitted, run_id=self.run_id, lake=lake,
        )  # fmt: skip
        done: Counter[str] = Counter()
        for part in read_erased(self.operator, name, table):
            if part.batch == batch:
                done[STORES[part.tier]] += part.rows + part.changed
        planned = {task.store for task in read_tasks(self.operator, self.request) if task.place == f"{name}.{table}"}
        for store in sorted(planned & {"warehouse", "detached", *(["lake"] if lake else [])} | set(done)):
            self.did(store, f"{name}.{table}", action, done[store], total=True)

    def permitted(self, connection: Connection) -> None:
        """In each transaction that erases: no hold is new."""
        keep_holds_still(connection)
        if new := holding(connection, self.kept):
            raise LegalHold(f"request {self.request}: {new[0]} is new", hint="What had not gone stays.")

    def _erase_exports(self) -> None:
        """Copies of the persons' data that were made for them."""
        self.tell("copies for the person")
        erased = remove_exports(
            self.estate, self.operator, {name: each.scope.persons for name, each in self.kept.items()}
        )
        if erased.removed:
            self.did("export", EXPORTS, "delete", erased.removed)
        if erased.residual:
            raise LakeUnavailable(
                f"request {self.request}: {erased.residual} copies for the person could not be removed",
                hint="May the platform delete below _drivetrain/exports? Run the request again.",
            )

    def _erase_objects(self, name: str) -> None:
        """Before the rows go that name them."""
        system, each = self.estate.catalog.systems[name], self.kept[name]
        with connect(self.estate.sources[name], see_all_rows=True, application=APPLICATION) as source:
            readers = [operational_reader(source, system), raw_reader(self.operator, system)]
            erased = remove_objects(self.estate.objects, system, each.scope, readers)
        for bucket in erased:
            self.did("objects", bucket.bucket, "delete", bucket.objects, versions=bucket.removed)
        for bucket in erased:
            if bucket.residual:
                raise LakeUnavailable(
                    f"request {self.request}: {bucket.residual} objects of {bucket.bucket} could not be removed",
                    hint="Its other objects are gone. May the platform delete there? Run the request again.",
                )

    def _erase_cache(self, name: str) -> None:
        system, cache = self.estate.catalog.systems[name], self.estate.caches.get(name)
        if cache is None or not system.caches:
            return
        self.tell(f"{name} (cache)")
        erased = remove_keys(cache, system, self.kept[name].scope)
        if erased.expected or erased.removed:
            self.did("cache", name, "delete", erased.removed)
        if erased.residual:
            raise ServerUnavailable(
                f"request {self.request}: the application goes on writing {erased.residual} keys into {cache.label}",
                hint="Sign the person out there, then run the request again.",
            )

    def _erase_operational(self, name: str) -> None:
        system, each = self.estate.catalog.systems[name], self.kept[name]
        with connect(self.estate.sources[name], see_all_rows=True, application=APPLICATION) as source:
            looked = look_operational(source, system, each.scope)
            refuse_held(self.operator, self.request, self.kept)
            erased = erase_operational(source, system, looked, each.scope, each.pseudonyms, grown=self._grown(name))
            for table in erased.tables:
                if table.actual:
                    self.did("operational", f"{name}.{table.table}", table.action, table.actual)
            if not erased.done:
                raise Busy(f"request {self.request}: rows of {name} are locked by others, or come anew")
            sweep(source, [step.relation for step in looked.steps])

    def _grown(self, name: str) -> Callable[[Scope], None]:
        """Keeps a way that is new before the rows go by which it was found."""

        def keep(scope: Scope) -> None:
            self.kept[name] = dataclasses.replace(self.kept[name], scope=scope)
            write_scope(self.operator, self.request, pack(self.kept, self.estate.keys, self.request))
            self.bury()

        return keep

    def residual(self) -> dict[tuple[str, str], int]:
        """What is there still, counted anew."""
        self.tell("counting what is left")
        lines = survey(self.estate, self.kept).lines
        return by_place(lines) | {(line.store, line.place): line.expected for line in lines if line.store in _PASSING}


def by_place(lines: Sequence[Line]) -> dict[tuple[str, str], int]:
    """Rows by table: at its source, attached or not, and below it, whichever tier they are in by now.

    What comes and goes by itself is no reason to have a plan approved anew.
    """
    found: Counter[tuple[str, str]] = Counter()
    for line in lines:
        if line.store not in _PASSING:
            store = {"objects": "objects", "operational": "operational", "detached": "operational"}
            found[store.get(line.store, "below"), line.place] += line.expected
    return dict(found)
