"""Queries over warehouse and lake: the same answers wherever months are, and files that cannot matter left alone."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from ingesting import Bench
from tiering import LATER, NO_HOT, TYPES, environment, move, moved, tier
from typer.testing import CliRunner

from pipelines.cli import app
from warehouse.catalog.model import Catalog
from warehouse.errors import ConfigurationError
from warehouse.lake.store import Store
from warehouse.postgres.sessions import connect
from warehouse.reading.query import Answer, run_query


@pytest.fixture(params=["file", "s3"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(tmp_path.as_uri()) if request.param == "file" else request.getfixturevalue("bucket")


def ask(bench: Bench, lake: Store, text: str) -> Answer:
    catalog = Catalog(systems={bench.name: bench.system})
    with connect(bench.pair.target, read_only=True) as connection:
        return run_query(connection, bench.pair.target, catalog, lake, text.replace("facts", f"{bench.name}.facts"))


def rows(bench: Bench, lake: Store, text: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in ask(bench, lake, text).rows.to_pylist()]


QUERIES = [
    "SELECT count(*), count(DISTINCT id), min(at), max(at) FROM facts",
    "SELECT id, v FROM facts WHERE at >= '2024-01-31' AND at < '2024-02-02' ORDER BY id",
    "SELECT date_trunc('month', at) AS month, count(*) FROM facts GROUP BY 1 ORDER BY 1",
    "SELECT a.id, b.v FROM facts AS a JOIN facts AS b ON b.id = a.id + 200 WHERE a.id < 5 ORDER BY 1",
    "SELECT * FROM facts WHERE v = 'v130'",
    "SELECT count(*) FROM facts WHERE id IN (3, 150, 300, 9999)",
    "WITH few AS (SELECT * FROM facts WHERE id < 130) SELECT max(at) FROM few WHERE id >= 120",
    "SELECT count(*) FROM facts AS a LEFT JOIN facts AS b ON b.id = a.id * 2 WHERE b.id IS NULL",
]


def test_answers_are_the_same_in_every_state_of_a_move(facts: Bench, lake: Store) -> None:
    tier(facts, NO_HOT)
    facts.ingest("facts")
    before = [rows(facts, lake, query) for query in QUERIES]
    assert before[0][0][:2] == (360, 360)
    assert len(before[1]) == 8
    move(facts, lake, LATER, keep=dt.timedelta(days=1))
    assert facts.warehouse("SELECT count(*) FROM {raw}.facts") == [(0,)]
    assert [rows(facts, lake, query) for query in QUERIES] == before
    moved(facts, lake, LATER + dt.timedelta(days=1))
    assert [rows(facts, lake, query) for query in QUERIES] == before
    facts.source("UPDATE facts SET v = 'v3' WHERE id = 3")
    facts.source("UPDATE facts SET v = v WHERE id = 4")
    facts.ingest("facts")
    assert [rows(facts, lake, query) for query in QUERIES] == before


def test_the_command_gives_every_column_the_name_that_it_has_in_the_query(
    facts: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tier(facts, NO_HOT)
    facts.ingest("facts")
    for name, value in environment(facts, tmp_path).items():
        monkeypatch.setenv(name, value)
    query = f"SELECT count(*), count(*), max(id) AS Last, min(v)||'!' FROM {facts.name}.facts"
    result = CliRunner().invoke(app, ["sql", query, "--csv"])
    assert result.stdout == "count(*),count(*),Last,min(v)||'!'\n360,360,359,v0!\n"


def test_only_files_that_may_matter_are_looked_into(facts: Bench, lake: Store) -> None:
    tier(facts, NO_HOT)
    facts.ingest("facts")
    moved(facts, lake, LATER)
    one = ask(facts, lake, "SELECT v FROM facts WHERE at < '2024-02-01'")
    assert (one.files, one.all_files) == (1, 3)
    assert 0 < one.bytes < one.all_bytes
    assert one.rows.num_rows == 124
    none = ask(facts, lake, "SELECT v FROM facts WHERE at >= '2030-01-01'")
    assert (none.files, none.rows.num_rows) == (0, 0)


def test_one_person_s_files_are_found_though_the_policy_has_other_buckets_now(facts: Bench, lake: Store) -> None:
    facts.source("ALTER TABLE facts ADD who bigint; UPDATE facts SET who = id % 10")
    facts.source("CREATE TABLE riders (id bigint PRIMARY KEY, email text)")
    facts.declare("riders", key=("id",), subjects=["id"], erasure="delete")
    facts.person = {"table": "riders", "key": "id", "identifiers": {"email": "email"}}
    further = {"subjects": ["who"], "erasure": "delete", "partition": facts.tables["facts"]["partition"]}
    facts.monthly("facts", tiers={"warm": "3 months", "cold": {"buckets": 4}}, **further)
    facts.ingest("facts")
    moved(facts, lake, LATER)
    query = "SELECT count(*) FROM facts WHERE who = 7"
    before = ask(facts, lake, query)
    assert (before.files, before.all_files) == (3, 12)
    facts.monthly("facts", tiers={"warm": "3 months", "cold": {"buckets": 3}}, **further)
    after = ask(facts, lake, query)
    assert after.rows == before.rows
    assert [*after.rows.to_pylist()[0].values()] == [36]
    assert after.files == after.all_files, "nobody can tell which of them"


def test_every_type_can_be_compared_and_is_told_alike(bench: Bench, lake: Store) -> None:
    columns = ", ".join(f"c{number} {kind}" for number, kind in enumerate(TYPES))
    bench.source(
        f"CREATE TABLE facts (id bigint, at timestamptz, {columns}, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)"
    )
    bench.source(
        "CREATE TABLE facts_y2024m01 PARTITION OF facts FOR VALUES FROM ('2024-01-01+00') TO ('2024-02-01+00')"
    )
    texts = ", ".join("'" + each[0].replace("'", "''") + "'" for each in TYPES.values())
    bench.source(f"INSERT INTO facts VALUES (1, '2024-01-05+00', {texts})")
    tier(bench, NO_HOT)
    bench.ingest("facts")
    whole = rows(bench, lake, "SELECT * FROM facts")
    compared = {
        f"c{number}": len(rows(bench, lake, f"SELECT id FROM facts WHERE c{number} = '{each[0]}'"))
        for number, (kind, each) in enumerate(TYPES.items())
        if kind in ("text", "uuid", "numeric(12,2)", "date", "bigint", "timestamp with time zone", "boolean")
    }
    assert [column for column, found in compared.items() if found != 1] == []
    moved(bench, lake, LATER)
    assert rows(bench, lake, "SELECT * FROM facts") == whole
    for column, found in compared.items():
        value = list(TYPES.values())[int(column[1:])][0]
        assert len(rows(bench, lake, f"SELECT id FROM facts WHERE {column} = '{value}'")) == found


def test_what_cannot_be_answered_is_said(facts: Bench, lake: Store) -> None:
    facts.ingest("facts")
    for text, said in {
        "SELECT id FROM facts WHERE id = 'x'": "cannot be read so: invalid input syntax for type bigint",
        "SELECT sum(v) FROM facts": "cannot be run",
        "SELECT * FROM other.facts_of": "there is no table",
    }.items():
        with pytest.raises(ConfigurationError, match=said):
            ask(facts, lake, text)
