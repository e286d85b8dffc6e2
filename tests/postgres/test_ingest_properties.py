"""Random rows and random histories: after every load both sides hold the same, by a comparison of their own."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import psycopg
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from ingesting import Bench, Databases, bench_on

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
MODES = ("full", "incremental", "partition")
#: No shrinking: a failing program is short, and each step of it costs a load.
SOME = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
MOMENTS = st.datetimes(dt.datetime(2023, 12, 30), dt.datetime(2024, 3, 2)).map(lambda each: each.replace(tzinfo=dt.UTC))
MOODS = st.sampled_from(["sad", "ok", 'a "b" {c},d'])
NUMBERS = st.decimals(-(10**30), 10**30, allow_nan=False)
COLUMNS: dict[str, tuple[str, st.SearchStrategy[Any]]] = {
    "a_text": ("text", TEXT),
    "a_char": ("char(4)", TEXT.map(lambda each: each[:4])),
    "a_numeric": ("numeric", NUMBERS | st.sampled_from(["1.0", "1.00", "NaN", "Infinity"])),
    "a_float": ("float8", st.floats()),
    "a_real": ("real", st.floats(width=32).filter(lambda each: math.isnan(each) or abs(each) != math.inf)),
    "a_bigint": ("bigint", st.integers(-(2**63), 2**63 - 1)),
    "a_bytea": ("bytea", st.binary(max_size=20)),
    "a_moment": ("timestamptz", MOMENTS | st.sampled_from(["infinity", "-infinity", "0044-03-15 BC"])),
    "a_date": ("date", st.dates()),
    "a_interval": ("interval", st.timedeltas(dt.timedelta(days=-9999), dt.timedelta(days=9999))),
    "a_json": ("json", st.recursive(st.none() | st.booleans() | st.integers(), st.lists).map(repr).map(
        lambda each: each.replace("None", "null").replace("True", "true").replace("False", " false"))),
    "some_texts": ("text[]", st.lists(st.none() | TEXT, max_size=4)),
    "some_ints": ("int[]", st.lists(st.lists(st.none() | st.integers(0, 9), min_size=2, max_size=2), max_size=3)),
    "a_mood": ("mood", MOODS),
    "some_moods": ("mood[]", st.lists(st.none() | MOODS, max_size=3)),
    "a_uuid": ("uuid", st.uuids()),
    "a_bool": ("boolean", st.booleans()),
}  # fmt: skip
VALUES = st.fixed_dictionaries({}, optional={name: st.none() | each for name, (_, each) in COLUMNS.items()})

#: (what, which rows by id modulo 7, the new moment, new values)
CHANGES = st.tuples(
    st.sampled_from(["insert", "insert", "update", "touch", "delete", "move", "rekey"]),
    st.integers(0, 6), MOMENTS, VALUES,
)  # fmt: skip


class Histories:
    """The same source table three times, one for each mode."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.following = bench, 0
        bench.source("""CREATE TYPE mood AS ENUM ('sad', 'ok', 'a "b" {c},d')""")
        columns = ", ".join(f"{name} {kind}" for name, (kind, _) in COLUMNS.items())
        for mode in MODES:
            bench.source(
                f"CREATE TABLE t_{mode} (id int, at timestamptz NOT NULL, changed int NOT NULL, {columns},"
                " PRIMARY KEY (id, at))"
            )
            cursor = {"cursor": "changed"} if mode == "incremental" else {}
            bench.declare(f"t_{mode}", key=("id", "at"), time="at", ingest={"mode": mode, **cursor})

    def change(self, clock: int, change: tuple[str, int, dt.datetime, dict[str, Any]]) -> None:
        what, which, moment, values = change
        names = list(values)
        given: dict[str, Any] = {**values, "which": which, "moment": moment, "clock": clock}
        casts = {name: f"%({name})s::{COLUMNS[name][0]}" for name in names}
        if what == "insert":
            given["id"] = self.following
            self.following += 1
            listed = "".join(f", {name}" for name in names), "".join(f", {casts[name]}" for name in names)
            query = f"INSERT INTO {{t}} (id, at, changed{listed[0]}) VALUES (%(id)s, %(moment)s, %(clock)s{listed[1]})"
        elif what == "delete":
            query = "DELETE FROM {t} WHERE id %% 7 = %(which)s"
        else:
            assignments = {
                "update": ["changed = %(clock)s", *(f"{name} = {casts[name]}" for name in names)],
                "touch": [f"{name} = {casts[name]}" for name in names] or ["a_text = 'behind the cursor''s back'"],
                "move": ["at = %(moment)s"],
                "rekey": ["id = id + 1000", "changed = 0"],
            }[what]
            query = f"UPDATE {{t}} SET {', '.join(assignments)} WHERE id %% 7 = %(which)s"
        for mode in MODES:
            self.bench.admin.execute(query.replace("{t}", f"t_{mode}").encode(), given)

    def check(self) -> None:
        for mode in MODES:
            self.bench.ingest(f"t_{mode}")
            self.bench.assert_equal(f"t_{mode}")


@SOME
@given(program=st.lists(st.lists(CHANGES, max_size=6), min_size=1, max_size=4))
def test_every_history_arrives_by_every_mode(pair: Databases, program: list[list[Any]]) -> None:
    with bench_on(pair) as bench:
        histories = Histories(bench)
        for clock, changes in enumerate(program):
            for change in changes:
                histories.change(clock, change)
            histories.check()


MONTHS = [dt.date(2024, month, 1) for month in range(1, 6)]
STEPS = st.tuples(st.sampled_from(["insert", "insert", "delete", "drop", "make", "load"]), st.integers(0, 3))


@SOME
@given(program=st.lists(STEPS, min_size=3, max_size=14))
def test_what_the_source_dropped_stays_and_what_it_deleted_goes(
    pair: Databases, program: list[tuple[str, int]]
) -> None:
    """Against a model: a month that has a partition is the source's, one that lost it stays as last loaded."""
    with bench_on(pair) as bench:
        bench.source("CREATE TABLE t (id int, at timestamptz NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)")
        bench.monthly("t")
        model: dict[int, set[int]] = {}
        source: dict[int, set[int]] = {}
        for number, (what, place) in enumerate([("make", 0), ("make", 1), *program, ("load", 0)]):
            start, end = MONTHS[place], MONTHS[place + 1]
            if what == "make" and place not in source:
                bench.source(f"CREATE TABLE p{place} PARTITION OF t FOR VALUES FROM ('{start}+00') TO ('{end}+00')")
                source[place] = set()
            elif what == "drop" and place in source:
                bench.source(f"DROP TABLE p{place}")
                del source[place]
            elif what == "insert" and place in source:
                bench.source(f"INSERT INTO t VALUES ({number}, '{end}+00'::timestamptz - interval '1 second')")
                source[place].add(number)
            elif what == "delete" and source.get(place):
                gone = source[place].pop()
                bench.source(f"DELETE FROM t WHERE id = {gone}")
            elif what == "load":
                result = bench.ingest("t")
                model |= {place: set(ids) for place, ids in source.items()}
                kept = {MONTHS[place] for place, ids in model.items() if ids and place not in source}
                assert set(result.left_source) == kept
                found = bench.warehouse("SELECT id FROM {raw}.t")
                assert sorted(row[0] for row in found) == sorted(set().union(*model.values()))


def test_the_comparison_itself_sees_a_difference(bench: Bench) -> None:
    """Of the tests here, the comparison decides: it must tell what it is to tell."""
    bench.source(
        "CREATE TABLE t (id int PRIMARY KEY, v text, n numeric); INSERT INTO t VALUES (1, '', 1.0), (2, NULL, 2)"
    )
    bench.declare("t", key=["id"])
    bench.ingest("t")
    bench.assert_equal("t")
    for spoil in ("v = NULL WHERE id = 1", "v = '' WHERE id = 2", "n = 1.00 WHERE id = 1", "id = 3 WHERE id = 2"):
        with psycopg.connect(bench.pair.warehouse_admin) as connection:
            connection.execute(f"UPDATE {bench.raw}.t SET {spoil}".encode())
            original, bench.store = bench.store, connection
            try:
                bench.assert_equal("t")
            except AssertionError:
                continue
            finally:
                bench.store = original
                connection.rollback()
            raise AssertionError(spoil)
