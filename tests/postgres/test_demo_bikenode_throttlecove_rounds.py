"""bikenode and throttlecove after rounds of changes: which rows are new, late, updated and gone, and what still holds.

What does not belong here: the databases as they were filled (``test_demo_bikenode_throttlecove``), and how rounds are
counted (``test_demo_generate``).
"""

from __future__ import annotations

import datetime as dt

import psycopg
import pytest
from psycopg import sql
from ride_databases import MIDNIGHT, SCALE, SYSTEMS, TODAY, MakeDatabase, content

from demo.generate import change, fill
from warehouse.catalog import load_catalog


def quality_violations(dsn: str, system: str) -> list[str]:
    """Every rule of the catalog that some row breaks, in SQL of this test's own."""
    broken: list[str] = []
    with psycopg.connect(dsn) as connection:
        for name, table in load_catalog().systems[system].tables.items():
            for column, rule in table.quality.items():
                conditions: list[str] = []
                if rule.between:
                    conditions.append(f"c NOT BETWEEN {rule.between[0]} AND {rule.between[1]}")
                if rule.among:
                    conditions.append(f"c::text NOT IN ({', '.join(repr(str(value)) for value in rule.among)})")
                if rule.not_null:
                    conditions.append("c IS NULL")
                if rule.matches:
                    conditions.append(f"c::text !~ '{rule.matches}'")
                if rule.not_before:
                    conditions.append(f"c < t.{rule.not_before}")
                if rule.within:
                    conditions.append(
                        f"c - t.{rule.of} NOT BETWEEN - interval '{rule.within}' AND interval '{rule.within}'"
                    )
                if rule.references:
                    other, to = rule.references.split(".")
                    conditions.append(f"c NOT IN (SELECT {to} FROM {other})")
                if rule.unique:
                    conditions.append(f"c IN (SELECT {column} FROM {name} GROUP BY 1 HAVING count(*) > 1)")
                for condition in conditions:
                    query = f"SELECT count(*) FROM {name} AS t, LATERAL (SELECT t.{column} AS c) AS v WHERE {condition}"
                    row = connection.execute(query.encode()).fetchone()
                    if row and row[0]:
                        broken.append(f"{name}.{column}: {condition}: {row[0]} rows")
    return broken


@pytest.mark.parametrize("system", SYSTEMS)
def test_rows_obey_the_rules_of_the_catalog_also_after_changes(system: str, make_database: MakeDatabase) -> None:
    dsn = make_database()
    fill(dsn, system, seed=11, scale=SCALE, today=TODAY)
    assert quality_violations(dsn, system) == []

    change(dsn, system, seed=11, round=1, today=TODAY)
    assert quality_violations(dsn, system) == []


@pytest.mark.parametrize("system", SYSTEMS)
def test_changes_are_new_late_updated_and_deleted_rows_and_repeatable(system: str, make_database: MakeDatabase) -> None:
    first, second = make_database(), make_database()
    for dsn in (first, second):
        fill(dsn, system, seed=3, scale=0.05, today=TODAY)
    with psycopg.connect(first) as connection:
        connection.execute("CREATE SCHEMA before")
        for table in load_catalog().systems[system].tables:
            connection.execute(sql.SQL("CREATE TABLE before.{0} AS TABLE public.{0}").format(sql.Identifier(table)))

    for dsn in (first, second):
        assert change(dsn, system, seed=3, round=1, today=TODAY)
    assert content(first) == content(second)

    forms: dict[str, set[str]] = {"new": set(), "updated": set(), "deleted": set()}
    with psycopg.connect(first) as connection:
        for name, table in load_catalog().systems[system].tables.items():
            key = sql.SQL(", ").join(sql.Identifier(column) for column in table.key)
            row = connection.execute(
                sql.SQL(
                    """
                    SELECT count(*) FILTER (WHERE was IS NULL), count(*) FILTER (WHERE now IS NULL),
                        count(*) FILTER (WHERE was <> now)
                    FROM (SELECT t::text AS now, {key} FROM public.{table} AS t) AS a
                    FULL JOIN (SELECT t::text AS was, {key} FROM before.{table} AS t) AS b USING ({key})
                    """
                ).format(key=key, table=sql.Identifier(name))
            ).fetchone()
            assert row is not None
            for form, count in zip(("new", "deleted", "updated"), row, strict=True):
                if count:
                    forms[form].add(name)
        late = connection.execute(
            "SELECT count(*) FROM rides WHERE created_at >= %s AND started_at < %s - interval '31 days'",
            [MIDNIGHT + dt.timedelta(minutes=10)] * 2,
        ).fetchone()
        current = connection.execute(
            "SELECT count(*) FROM rides WHERE created_at >= %s AND started_at >= %s - interval '1 day'",
            [MIDNIGHT + dt.timedelta(minutes=10)] * 2,
        ).fetchone()
        # What is ingested by updated_at must show every change by it.
        silent = {
            name: connection.execute(
                sql.SQL(
                    "SELECT count(*) FROM public.{table} AS a JOIN before.{table} AS b USING ({key})"
                    " WHERE a::text <> b::text AND a.{cursor} <= b.{cursor}"
                ).format(
                    table=sql.Identifier(name),
                    key=sql.SQL(", ").join(sql.Identifier(column) for column in table.key),
                    cursor=sql.Identifier(table.ingest.cursor),
                )
            ).fetchone()
            for name, table in load_catalog().systems[system].tables.items()
            if table.ingest.cursor
        }
    incremental = {n for n, t in load_catalog().systems[system].tables.items() if t.ingest.mode == "incremental"}
    assert {"users", "rides"} <= forms["new"]
    assert {"users", "rides"} <= forms["updated"]
    assert "rides" in forms["deleted"]
    assert len(forms["deleted"]) >= 3
    assert forms["deleted"].isdisjoint(incremental)
    assert late is not None
    assert late[0] > 0
    assert current is not None
    assert current[0] > 0
    assert silent == dict.fromkeys(incremental, (0,))
