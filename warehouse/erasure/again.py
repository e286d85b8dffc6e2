"""Who is erased and there again: in warehouse and lake, by the gate's own question; and in operational databases.

Keys are digested by the warehouse's server: what another store has is sent there, and the key of the digests stays.

What does not belong here: what becomes of their rows (``replaying``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from itertools import islice
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
from psycopg import sql

from warehouse.catalog.model import System
from warehouse.erasure.cold import in_the_lake
from warehouse.erasure.estate import Estate
from warehouse.erasure.operational import raw_reader
from warehouse.erasure.replacing import make_pseudonyms
from warehouse.erasure.requests import APPLICATION
from warehouse.erasure.scope import Scope, find_scope
from warehouse.erasure.sealed import Kept
from warehouse.erasure.survey import ACTIONS
from warehouse.lake.content import stored_columns
from warehouse.postgres.introspection import read_table
from warehouse.postgres.persons import column_types
from warehouse.postgres.relations import is_there
from warehouse.postgres.sessions import Connection, connect, translated
from warehouse.state.tiered import Tiered, tiered
from warehouse.state.tombstones import buried, erased_among, erased_values

#: Keys that are sent to the warehouse at a time.
_KEYS = 20_000

_compute: Any = pc
About = Mapping[str, frozenset[str]]


def systems_with_erased(estate: Estate, operator: Connection) -> Iterator[System]:
    """Those that have tombstones."""
    for name, system in sorted(estate.catalog.systems.items()):
        if system.person is not None and buried(operator, name):
            yield system


def tables_of_persons(estate: Estate, operator: Connection, system: System) -> Iterator[Tiered]:
    """A system's tables of which erasure does anything, and that were ever ingested."""
    for name, policy in sorted(system.tables.items()):
        there = policy.subjects and read_table(operator, system.raw_schema, name) is not None
        if there and policy.erasure.action in ACTIONS:
            yield tiered(operator, system, name, estate.lake)


def find_again(estate: Estate, operator: Connection, system: System, before: Kept | None) -> Kept | None:
    """Whose rows a system has below its source: as the gate asks, and over every way from there.

    Args:
        estate: every store.
        operator: a session of the warehouse.
        system: which.
        before: what was found earlier: rows on the way may be gone by now. Pseudonyms that were given stay.
    """
    assert system.person is not None
    persons = set(before.scope.persons) if before is not None else set[str]()
    values: dict[str, About] = {}
    for table in tables_of_persons(estate, operator, system):
        values[table.name] = _erased_in(operator, table)
        for subject in table.policy.subjects:
            if subject.table is None:
                persons |= values[table.name].get(subject.column, frozenset())
    ways = find_scope(system, persons, [raw_reader(operator, system)])
    joined = _joined(values, ways.values, before.scope.values if before is not None else {})
    if not joined:
        return None
    given = dict(before.pseudonyms) if before is not None else {}
    return Kept(Scope(system.system, frozenset(persons), joined), _pseudonyms(system, persons, given))


def _erased_in(operator: Connection, table: Tiered) -> About:
    """By subject column, the values of erased persons: in the raw table, in what moves keep of it, and in the lake."""
    system, name, moves = table.system, table.name, in_the_lake(operator, table)
    relations = [sql.Identifier(system.raw_schema, name), *(table.kept(move.id) for move in moves)]
    found: list[About] = [
        erased_values(operator, relation, system, name, list(column_types(operator, relation)))
        for relation in relations
        if is_there(operator, relation)
    ]
    targets = buried(operator, system.system)
    for subject in table.policy.subjects if moves else ():
        if (target := system.target_of(subject)) in targets:
            there = _in_the_lake(table, subject.column)
            found.append({subject.column: _erased_of(operator, system.system, target, there)})
    return _merged(found)


def _in_the_lake(table: Tiered, column: str) -> Set[str]:
    """What a column has in any file of the lake's table, as text; no other column is read."""
    values: set[str] = set()
    for path in table.lake.files():
        with table.lake.store.open(path) as opened:
            file: Any = pq.ParquetFile(opened)
            if column in {each.name for each in stored_columns(file.schema_arrow, table.columns)}:
                for batch in file.iter_batches(columns=[column], use_threads=False):
                    distinct: Any = _compute.unique(batch.column(0)).cast("string")
                    values.update(value for value in distinct.to_pylist() if value is not None)
    return values


def _erased_of(operator: Connection, system: str, target: tuple[str, str], keys: Iterable[str]) -> frozenset[str]:
    found: frozenset[str] = frozenset()
    left = iter(keys)
    while batch := list(islice(left, _KEYS)):
        found |= erased_among(operator, system, target, batch)
    return found


def _merged(found: Iterable[About]) -> About:
    values: dict[str, frozenset[str]] = {}
    for each in found:
        for column, more in each.items():
            if more:
                values[column] = values.get(column, frozenset()) | more
    return values


def _joined(*scopes: Mapping[str, About]) -> dict[str, About]:
    names = {name for each in scopes for name in each}
    joined = {name: _merged(each.get(name, {}) for each in scopes) for name in names}
    return {name: about for name, about in joined.items() if about}


def _pseudonyms(system: System, persons: Set[str], given: dict[str, str]) -> dict[str, str]:
    """Of all: the old ones are known to nobody."""
    assert system.person is not None
    lacking = set(persons) - set(given)
    if lacking and any(table.erasure.action == "pseudonymise" for table in system.tables.values()):
        given |= make_pseudonyms(system.tables[system.person.table].columns[system.person.key].type, lacking)
    return given


def look_at_sources(estate: Estate, tell: Callable[[str], None] = lambda _: None) -> dict[str, int]:
    """How many erased persons each operational database has again; systems that have none are not named.

    Raises:
        ServerUnavailable, AccessDenied: one does not answer.
    """
    found: dict[str, int] = {}
    with connect(estate.warehouse, read_only=True, application=APPLICATION) as operator:
        for system in systems_with_erased(estate, operator):
            assert system.person is not None
            target = (system.person.table, system.person.key)
            tell(f"{system.system} (operational)")
            with connect(
                estate.sources[system.system], read_only=True, see_all_rows=True, application=APPLICATION
            ) as source:
                persons = _erased_of(operator, system.system, target, _keys(source, system))
            if persons:
                found[system.system] = len(persons)
    return found


def _keys(source: Connection, system: System) -> Iterator[str]:
    """Of every person in an operational database; streamed."""
    assert system.person is not None
    column, relation = sql.Identifier(system.person.key), sql.Identifier(*system.source_of(system.person.table))
    query = sql.SQL("SELECT {0}::text FROM {1} WHERE {0} IS NOT NULL").format(column, relation)
    with translated(f"{system.system} (source)"), source.transaction(), source.cursor("drivetrain_keys") as cursor:
        cursor.itersize = _KEYS
        for (key,) in cursor.execute(query):
            yield key
