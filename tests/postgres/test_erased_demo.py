"""Persons are erased from the five systems' own tables: nothing of theirs is left, and nothing of others' changes."""

from __future__ import annotations

import datetime as dt

import psycopg
import pytest
from psycopg import sql
from ride_databases import MakeDatabase

from demo.generate import fill
from demo.servers import SYSTEMS
from warehouse.catalog import load_catalog
from warehouse.catalog.model import System
from warehouse.erasure.deleting import erase_operational
from warehouse.erasure.operational import look_operational, operational_reader
from warehouse.erasure.replacing import make_pseudonyms
from warehouse.erasure.scope import find_scope
from warehouse.postgres.sessions import Dsn, connect

#: By table and key, a row: each column as text.
Rows = dict[str, dict[str, dict[str, str | None]]]
TODAY = dt.date(2026, 6, 15)


def content(dsn: str, system: System) -> Rows:
    """Every row of every table, by its key: each column as text."""
    found: Rows = {}
    with psycopg.connect(dsn, options="-c timezone=UTC") as connection:
        for name, table in system.tables.items():
            columns = list(table.columns)
            query = sql.SQL("SELECT concat_ws(',', {}), {} FROM {}").format(
                sql.SQL(", ").join(map(sql.Identifier, table.key)),
                sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(c)) for c in columns),
                sql.Identifier(*system.source_of(name)),
            )
            found[name] = {key: dict(zip(columns, row, strict=True)) for key, *row in connection.execute(query)}
    return found


def about(system: System, rows: Rows, person: str) -> dict[str, set[str]]:
    """Keys of the rows that are about a person, found row by row, without the code under test."""
    assert system.person is not None
    keys: dict[str, set[str]] = {name: set() for name in rows}
    while True:
        before = {name: len(found) for name, found in keys.items()}
        for name, table in system.tables.items():
            for subject in table.subjects:
                if subject.table is None:
                    values = {person}
                else:
                    to = subject.to or system.tables[subject.table].key[0]
                    values = {rows[subject.table][key][to] for key in keys[subject.table]}
                keys[name] |= {key for key, row in rows[name].items() if row[subject.column] in values}
        if before == {name: len(found) for name, found in keys.items()}:
            return keys


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_person_of_the_demonstration(make_database: MakeDatabase, name: str) -> None:
    dsn = make_database()
    fill(dsn, name, seed=7, scale=0.02, today=TODAY)
    system = load_catalog().systems[name]
    assert system.person is not None
    before = content(dsn, system)
    persons = before[system.person.table]
    busiest = max(list(persons)[:60], key=lambda key: sum(map(bool, about(system, before, key).values())))
    mine = about(system, before, busiest)
    with connect(Dsn(dsn), see_all_rows=True) as source:
        scope = find_scope(system, {busiest}, [operational_reader(source, system)])
        plan = look_operational(source, system, scope)
        assert {each.table: each.rows for each in plan.tables if each.rows} == {
            table: count
            for table, keys in mine.items()
            if system.tables[table].erasure.action in ("delete", "redact", "pseudonymise")
            and (count := sum(_to_do(system, table, before[table][key], busiest) for key in keys))
        }
        kind = system.tables[system.person.table].columns[system.person.key].type
        done = erase_operational(source, system, plan, scope, make_pseudonyms(kind, {busiest}), sleep=lambda _: None)
        assert done.done
        assert [(t.table, t.expected) for t in done.tables] == [(t.table, t.actual) for t in done.tables]
        again = look_operational(source, system, scope)
        assert not any(each.rows for each in again.tables)
    after = content(dsn, system)
    _compare(system, before, after, mine, busiest)


def _to_do(system: System, table: str, row: dict[str, str | None], person: str) -> bool:
    policy = system.tables[table]
    if policy.erasure.action == "delete":
        return True
    for subject in policy.subjects:
        if subject.table is None and row[subject.column] == person:
            return True
        if subject.table is not None:
            own = policy.own_columns(subject)
            if any(row[column] is not None for column in own):
                return True
    return False


def _compare(system: System, before: Rows, after: Rows, mine: dict[str, set[str]], person: str) -> None:
    secrets: set[str] = set()
    for table, keys in mine.items():
        policy = system.tables[table]
        for key in keys:
            row = before[table][key]
            secrets |= {
                value
                for column, kind in policy.personal.items()
                if kind in ("email", "phone", "name", "bank_account", "government_id", "free_text", "username")
                and policy.columns[column].whose
                in (None, *(each.column for each in policy.subjects if row[each.column] == person))
                and (value := row[column]) is not None and len(value) > 7
            }  # fmt: skip
    kept = {v for t, rows in before.items() for k, r in rows.items() if k not in mine[t] for v in r.values()}
    for table, rows in after.items():
        policy = system.tables[table]
        others = {key: row for key, row in before[table].items() if key not in mine[table]}
        differing = {
            column
            for key, row in others.items()
            for column, value in row.items()
            if key not in rows or (rows[key][column] != value)
        }
        # What the application's own ON DELETE SET NULL empties in others' rows is said in the plan.
        assert differing <= _set_null(system, table), table
        if policy.erasure.action == "delete":
            assert not set(rows) & mine[table]
        else:
            assert len(rows) == len(before[table])
            own = {column for subject in policy.subjects for column in policy.own_columns(subject)}
            for column in set(policy.columns) - own - _set_null(system, table):
                values = (sorted(str(row[column]) for row in side.values()) for side in (before[table], rows))
                assert next(values) == next(values), (table, column)
        assert not (secrets - kept) & {value for row in rows.values() for value in row.values()}, table


def _set_null(system: System, table: str) -> set[str]:
    return {
        ("bikenode", "forum_posts"): {"parent_id"},
        ("bikenode", "transactions"): {"listing_id"},
        ("throttlecove", "posts"): {"shared_id"},
    }.get((system.system, table), set())
