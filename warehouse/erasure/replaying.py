"""Replay the tombstones that a restored warehouse has lost: erase again who was erased since its backup.

A copy that the warehouse does not know closes it (``refuse_restored``). First what the copies say is committed: from
then on no writer lets the rows in. Then every raw table and every month of the lake is asked the question that the gate
asks, and from the persons found every way is followed; the rows go, or get new pseudonyms, for those of before are
known to nobody. All is counted anew; only when nothing is left are the copies known, and the warehouse is open. Then
models are made anew. Whoever is cut off begins again: what was found is kept, encrypted, until the end.

What does not belong here: operational databases that were restored: who is there again is counted, not erased.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from warehouse.erasure.again import find_again, systems_with_erased, tables_of_persons
from warehouse.erasure.below import erase_below, look_below
from warehouse.erasure.estate import Estate
from warehouse.erasure.following import Followed, follow_lake, follow_left
from warehouse.erasure.requests import APPLICATION, holding
from warehouse.erasure.scope import Scope
from warehouse.erasure.sealed import Kept, pack, unpack
from warehouse.erasure.survey import STORES, replacement
from warehouse.errors import Busy, LegalHold
from warehouse.postgres.sessions import Connection, connect, translated
from warehouse.state.audit import head_kept, note
from warehouse.state.erased import Pass, read_erased
from warehouse.state.holds import keep_holds_still
from warehouse.state.migrate import migrate
from warehouse.state.tiered import Tiered, lock
from warehouse.state.tombstones import (
    Copy,
    add_tombstones,
    note_copy,
    put_tombstones,
    read_copies,
    read_replay,
    replay_tombstones,
    reserve_requests,
    unknown_copies,
    write_replay,
)

#: What it is noted as; and what its scope is sealed for: no request has the number.
_BATCH, _NO_REQUEST = "replay of tombstones", 0
#: Rows by store and ``system.table``.
Rows = Mapping[tuple[str, str], int]
Rebuild = Callable[[Mapping[str, Scope]], Mapping[str, int]]


@dataclass(frozen=True)
class Outcome:
    """What a replay found and did; of a dry run, what it would do.

    Attributes:
        unknown: requests whose copies the warehouse did not know.
        added: tombstones that it lacked.
        followed: rows that the lake, or what is kept at the source, had lost since the backup.
        found: rows of erased persons.
        done: rows that went or changed, by this run.
        left: rows that are there still: the warehouse stays closed.
        models: rows of models that named erased persons still after these were made anew.
    """

    unknown: tuple[int, ...] = ()
    added: int = 0
    followed: Rows = field(default_factory=dict[tuple[str, str], int])
    found: Rows = field(default_factory=dict[tuple[str, str], int])
    done: Rows = field(default_factory=dict[tuple[str, str], int])
    left: Rows = field(default_factory=dict[tuple[str, str], int])
    models: Mapping[str, int] = field(default_factory=dict[str, int])


def look(estate: Estate, tell: Callable[[str], None] = lambda _: None) -> Outcome:
    """What a replay would do; nothing is changed.

    Raises:
        Restored: copies are of another key, or the lake is of another time.
        LakeUnavailable: the lake does not answer.
    """
    with _session(estate) as operator, operator.transaction(force_rollback=True):
        replay = _Replay(estate, operator, read_copies(estate.lake), tell)
        return replay.look()


def replay(
    estate: Estate,
    *,
    rebuild: Rebuild = lambda _: {},
    tell: Callable[[str], None] = lambda _: None,
    run_id: str | None = None,
) -> Outcome:
    """Erase again who was erased since the backup, or go on where that was cut off. Without any, nothing is changed.

    Args:
        estate: every store.
        rebuild: makes the models of systems anew, once the warehouse is open; rows that it took out, by place.
        tell: is told of each step.
        run_id: noted in the ledger.

    Raises:
        Restored: copies are of another key, or the lake is of another time.
        LegalHold: a hold stands; what had not gone stays.
        Busy: another replay, or an ingestion, is running.
        LakeUnavailable: the lake does not answer.
    """
    with _session(estate) as operator, head_kept(operator, estate.lake):
        return _Replay(estate, operator, read_copies(estate.lake), tell, run_id).run(rebuild)


@contextmanager
def _session(estate: Estate) -> Generator[Connection]:
    with connect(estate.warehouse, application=APPLICATION) as operator:
        migrate(operator)
        ((free,),) = operator.execute(
            "SELECT pg_try_advisory_lock(hashtextextended('drivetrain replay', 0))"
        ).fetchall()
        if not free:
            raise Busy("another replay of tombstones is running", hint="Nothing was changed. Wait for it to end.")
        yield operator


@dataclass
class _Replay:
    estate: Estate
    operator: Connection
    copies: list[Copy]
    tell: Callable[[str], None]
    run_id: str | None = None

    def look(self) -> Outcome:
        unknown = tuple(unknown_copies(self.operator, self.estate.lake))
        if not unknown and read_replay(self.operator) is None:
            return Outcome()
        added = replay_tombstones(self.operator, self.copies)
        followed = self._follow()
        return Outcome(unknown, added, followed, self._count(self._find()))

    def run(self, rebuild: Rebuild) -> Outcome:
        unknown = tuple(unknown_copies(self.operator, self.estate.lake))
        if not unknown and read_replay(self.operator) is None:
            return Outcome()  # what is there of persons who are being erased is their requests' to take
        with self.operator.transaction():
            added = replay_tombstones(self.operator, self.copies)
        reserve_requests(self.operator, self.copies[-1].request)
        followed = self._follow()
        kept = self._find()
        outcome = Outcome(unknown, added, followed, self._count(kept))
        self._keep(kept)
        outcome = replace(outcome, done=self._erase(kept))
        if left := self._count(self._find()):
            return replace(outcome, left=left)
        self._open(outcome)
        if kept:
            self.tell("models")
            outcome = replace(outcome, models=rebuild({name: each.scope for name, each in sorted(kept.items())}))
        with self.operator.transaction():
            write_replay(self.operator, None)
        return outcome

    def _follow(self) -> Rows:
        """The ledger has what is there: in the lake, and of what is kept at the source."""
        rows: dict[tuple[str, str], int] = {}
        for system in systems_with_erased(self.estate, self.operator):
            with connect(
                self.estate.sources[system.system], read_only=True, see_all_rows=True, application=APPLICATION
            ) as source:
                for table in tables_of_persons(self.estate, self.operator, system):
                    self.tell(f"{table.where} (ledger)")
                    for store, months in self._follow_table(source, table).items():
                        if months:
                            rows[store, table.where] = sum(month.rows for month in months)
        return rows

    def _follow_table(self, source: Connection, table: Tiered) -> dict[str, list[Followed]]:
        run = Pass(_BATCH, table.system.system, table.name, self.run_id)
        with connect(self.estate.warehouse, application=APPLICATION) as keeper, translated(table.where):
            lock(keeper, table)
            followed = {
                "lake": follow_lake(self.operator, self.estate.warehouse, table, run),
                "detached": follow_left(self.operator, source, table, run),
            }
            keeper.execute("SELECT pg_advisory_unlock_all()")  # now: a closed session ends somewhat later
            return followed

    def _find(self) -> dict[str, Kept]:
        """Whose rows are there, by system; and what was found before."""
        sealed = read_replay(self.operator)
        kept = unpack(sealed, self.estate.keys, _NO_REQUEST) if sealed is not None else {}
        for system in systems_with_erased(self.estate, self.operator):
            self.tell(f"{system.system} (looking)")
            found = find_again(self.estate, self.operator, system, kept.get(system.system))
            if found is not None:
                kept[system.system] = found
        return kept

    def _count(self, kept: Mapping[str, Kept]) -> Rows:
        """Rows of theirs in the warehouse and in the lake, exactly."""
        rows = Counter[tuple[str, str]]()
        for name, each in sorted(kept.items()):
            system = self.estate.catalog.systems[name]
            with connect(self.estate.sources[name], see_all_rows=True, application=APPLICATION) as source:
                for table in tables_of_persons(self.estate, self.operator, system):
                    about, becomes = each.scope.about(table.name), replacement(system, table.name, each)
                    for found in look_below(self.operator, table, about, becomes, source):
                        rows[STORES[found.tier], table.where] += found.rows
        return dict(rows)

    def _refuse_held(self, connection: Connection, kept: Mapping[str, Kept]) -> None:
        """In each transaction that erases, too: a hold stops it, be it one of the backup that was released since."""
        keep_holds_still(connection)
        if held := holding(connection, kept):
            raise LegalHold(
                f"who was erased since the backup cannot be erased again: {held[0]} stands",
                hint="What had not gone stays, and the warehouse is closed. If it was released since, release it again:"
                " `drivetrain hold release`.",
            )

    def _keep(self, kept: Mapping[str, Kept]) -> None:
        """What was found, sealed; and tombstones of ways that the requests did not know, for they were gone by then."""
        with self.operator.transaction():
            self._refuse_held(self.operator, kept)
            write_replay(self.operator, pack(kept, self.estate.keys, _NO_REQUEST))
            for name, each in sorted(kept.items()):
                system = self.estate.catalog.systems[name]
                keys: dict[tuple[str, str], set[str]] = {}
                for table, about in each.scope.values.items():
                    for subject in system.tables[table].subjects:
                        if subject.column in about:
                            keys.setdefault(system.target_of(subject), set()).update(about[subject.column])
                add_tombstones(self.operator, self.copies[-1].request, name, keys)

    def _erase(self, kept: Mapping[str, Kept]) -> Rows:
        rows = Counter[tuple[str, str]]()
        for name, each in sorted(kept.items()):
            system = self.estate.catalog.systems[name]
            for table in tables_of_persons(self.estate, self.operator, system):
                if not (about := each.scope.about(table.name)):
                    continue
                self.tell(table.where)
                known = {part.id for part in read_erased(self.operator, name, table.name)}
                erase_below(
                    self.estate.places(name), system, table.name, about, _BATCH, replacement(system, table.name, each),
                    permitted=lambda connection: self._refuse_held(connection, kept), run_id=self.run_id,
                )  # fmt: skip
                for part in read_erased(self.operator, name, table.name):
                    if part.id not in known:
                        rows[STORES[part.tier], table.where] += part.rows + part.changed
        return {place: count for place, count in rows.items() if count}

    def _open(self, outcome: Outcome) -> None:
        """Nothing is left: the copies are known from now on, and the warehouse is open."""
        put_tombstones(self.operator, self.estate.lake, self.copies[-1].request)  # with the ways that were found
        with self.operator.transaction():
            for copy in self.copies:
                note_copy(self.operator, copy.request, copy.bytes)
            rows = Counter[str]()
            for (store, _), count in outcome.done.items():
                rows[store] += count
            detail = {
                "requests": list(outcome.unknown), "added": outcome.added, "rows": dict(rows),
                "followed": sum(outcome.followed.values()), "left": 0,
            }  # fmt: skip
            note(self.operator, "tombstones replayed", None, detail)
