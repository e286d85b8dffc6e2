"""``erasing_operational``: a person with 100,000 rows is erased from an application's tables while four sessions write.

They write to the person's own rows, too: those are what they could have to wait for. The limit deletes and changes the
same rows with one statement for each table, while nobody writes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import psycopg
import yaml
from psycopg import sql

from benchmarks.model import LIMIT, OURS, Benchmark, BenchmarkError, Prepared, Sample
from benchmarks.stage import Stage
from benchmarks.writers import Operation, Writers, beside
from warehouse.catalog.loader import parse_system
from warehouse.catalog.model import System
from warehouse.erasure.deleting import erase_operational
from warehouse.erasure.operational import look_operational, operational_reader
from warehouse.erasure.remnants import sweep
from warehouse.erasure.replacing import make_pseudonyms
from warehouse.erasure.scope import find_scope
from warehouse.postgres.sessions import Dsn, connect

#: Rows of others at scale 1, of them a fifth in the ledger; and those of the person.
ROWS, OWN = 10_000_000, 100_000
WRITERS, PERSONS, PERSON = 4, 5_000, 7
BEFORE = 10.0
_DATABASE = "erasing_operational"
_LEDGER = OWN // 5

_TABLES = """
CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL UNIQUE, seen timestamptz);
CREATE TABLE points (id bigint, at timestamptz, user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    lat double precision, note text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE ledger (user_id bigint, id bigint, amount numeric(12,2) NOT NULL, holder text, PRIMARY KEY (user_id, id))
    PARTITION BY HASH (user_id);
CREATE SEQUENCE ids START 1000000001;
"""
_INDEX = "CREATE INDEX ON points (user_id, at)"
_FILL = """
INSERT INTO points SELECT i, '2026-01-01+00'::timestamptz + i * (interval '180 days' / {n}), {who}, i / 7.0, 'at ' || i
    FROM generate_series({low}::bigint, {high}) AS i
"""
_BOOK = """
INSERT INTO ledger SELECT {who}, i, i / 100.0, 'holder' FROM generate_series({low}::bigint, {high}) AS i
"""


def _system() -> System:
    def column(kind: str, personal: str | None = None) -> dict[str, str]:
        return {"type": kind, **({"personal": personal} if personal else {})}

    def table(columns: dict[str, Any], key: list[str], subject: str, **more: Any) -> dict[str, Any]:
        return {"description": "t", "key": key, "subjects": [subject], "columns": columns, **more}

    person = column("bigint", "person_id")
    tables = {
        "users": table({"id": person, "email": column("text", "email"), "seen": column("timestamptz")}, ["id"], "id"),
        "points": table(
            {"id": column("bigint"), "at": column("timestamptz"), "user_id": person,
             "lat": column("double precision", "location"), "note": column("text")}, ["id", "at"], "user_id",
            time="at", partition={"range": "at", "every": "month", "name": "{table}_y{year}m{month}"}),
        "ledger": table(
            {"user_id": person, "id": column("bigint"), "amount": column("numeric(12,2)"),
             "holder": column("text", "name")}, ["user_id", "id"], "user_id",
            partition={"hash": "user_id", "modulus": 4, "name": "{table}_p{remainder}"},
            retention={"until": "law", "basis": "books"}, erasure={"action": "pseudonymise", "basis": "books"}),
    }  # fmt: skip
    written = {
        "system": "erased", "title": "e", "description": "e", "owner": "us", "history_starts": "2026-01-01",
        "person": {"table": "users", "key": "id", "identifiers": {"email": "email"}},
        "defaults": {"retention": "lifetime", "erasure": "delete"}, "tables": tables,
    }  # fmt: skip
    return parse_system(yaml.safe_dump(written), "erased.yaml")


def _writers(dsn: str, rows: int) -> Writers:
    """Insert for others; correct rows of others, of the person, and the person's own; book; in turn.

    None changes the person's ledger: it is only appended to. A writer that waits for a row whose partition key changes
    is refused by PostgreSQL (40001), whoever changes it.
    """
    others, own = range(1, rows + 1), range(rows + 1, rows + OWN - _LEDGER + 1)
    return Writers(
        dsn,
        {
            "insert": Operation(
                "INSERT INTO points SELECT nextval('ids'), '2026-03-15+00', 8 + %s, 1, 'new'", (range(PERSONS - 8),)
            ),
            "update of others": Operation("UPDATE points SET note = 'seen' WHERE id = %s", (others,), shared=False),
            "update of the person's": Operation("UPDATE points SET note = 'seen' WHERE id = %s", (own,), shared=False),
            "update of the person": Operation(f"UPDATE users SET seen = now() WHERE id = {PERSON}".encode()),
            "locking the person": Operation(f"SELECT FROM users WHERE id = {PERSON} FOR KEY SHARE".encode()),
            "booking": Operation(
                "INSERT INTO ledger SELECT 8 + %s, nextval('ids'), 1, 'new'", (range(PERSONS - 8),)
            ),
        },
        WRITERS,
        seed=rows,
    )  # fmt: skip


def _fill(connection: psycopg.Connection, rows: int) -> None:
    """The same rows again, those of the person spread over all months."""
    connection.execute("DROP TABLE IF EXISTS points, ledger, users; DROP SEQUENCE IF EXISTS ids")
    connection.execute(_TABLES.encode())
    for month in range(1, 8):
        bounds = f"FROM ('2026-{month:02d}-01+00') TO ('2026-{month + 1:02d}-01+00')"
        connection.execute(f"CREATE TABLE points_y2026m{month:02d} PARTITION OF points FOR VALUES {bounds}".encode())
    for remainder in range(4):
        with_ = f"WITH (MODULUS 4, REMAINDER {remainder})"
        connection.execute(f"CREATE TABLE ledger_p{remainder} PARTITION OF ledger FOR VALUES {with_}".encode())
    connection.execute(f"INSERT INTO users SELECT i, 'u' || i FROM generate_series(1, {PERSONS}) AS i".encode())
    anybody, mine = f"8 + (i * 7919) % ({PERSONS} - 8)", str(PERSON)
    spread = f"(({rows} / {OWN - _LEDGER}::numeric) * (i - {rows}))::bigint"
    connection.execute(_FILL.format(n=rows + OWN, who=anybody, low=1, high=rows * 4 // 5).encode())
    own = _FILL.replace("+ i *", "+ {spread} *")
    connection.execute(
        own.format(n=rows + OWN, who=mine, low=rows + 1, high=rows + OWN - _LEDGER, spread=spread).encode()
    )
    connection.execute(_BOOK.format(who=anybody, low=1, high=rows // 5).encode())
    connection.execute(_BOOK.format(who=mine, low=rows + 1, high=rows + _LEDGER).encode())
    connection.execute(_INDEX)
    connection.execute("VACUUM ANALYZE points")
    connection.execute("VACUUM ANALYZE ledger")
    connection.execute("VACUUM ANALYZE users")
    connection.execute("CHECKPOINT")


def prepare(stage: Stage) -> Prepared:
    """Ready: an empty database; the rows are made anew before each turn."""
    rows = int(ROWS * stage.scale)
    server = stage.servers.server("operational")
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_DATABASE)))
    dsn = server.dsn(_DATABASE)
    notes = [
        f"{OWN:,} rows of the person among {rows:,} of others, in {7 + 4} partitions: {OWN - _LEDGER:,} are deleted,"
        f" {_LEDGER:,} pseudonymised. {WRITERS} sessions without a pause; half of what they write is the person's.",
        "Ours: looked up, erased in short transactions, counted again; without VACUUM. The limit: one DELETE and one"
        " UPDATE while nobody writes.",
    ]
    system = _system()

    def ours() -> Mapping[str, Sample]:
        with psycopg.connect(dsn, autocommit=True) as connection:
            _fill(connection, rows)
        return _erase(dsn, system, rows, notes)

    def limit() -> Mapping[str, Sample]:
        with psycopg.connect(dsn, autocommit=True) as connection:
            _fill(connection, rows)
            began = time.monotonic()
            connection.execute(f"DELETE FROM points WHERE user_id = {PERSON}".encode())
            connection.execute(f"UPDATE ledger SET user_id = -5, holder = NULL WHERE user_id = {PERSON}".encode())
            connection.execute(f"DELETE FROM users WHERE id = {PERSON}".encode())
            return {LIMIT: Sample(time.monotonic() - began)}

    return Prepared({"erasing beside writers": ours, "one statement for each table": limit}, notes)


def _erase(dsn: str, system: System, rows: int, notes: list[str]) -> Mapping[str, Sample]:
    writers = _writers(dsn, rows)
    with beside(writers) as before:
        time.sleep(BEFORE)
    persons = {str(PERSON)}
    with connect(Dsn(dsn), see_all_rows=True) as source, beside(writers) as during:
        began = time.monotonic()
        scope = find_scope(system, persons, [operational_reader(source, system)])
        plan = look_operational(source, system, scope)
        done = erase_operational(source, system, plan, scope, make_pseudonyms("bigint", persons))
        took = time.monotonic() - began
    with connect(Dsn(dsn)) as source:
        began = time.monotonic()
        sweep(source, [step.relation for step in plan.steps])
        swept = time.monotonic() - began
    gone = sum(each.actual for each in done.tables)
    failures = [*before.failures, *during.failures]
    if failures or not done.done or gone < OWN:
        raise BenchmarkError(f"writers failed: {failures[:3]}; {gone:,} rows went, of {OWN:,}; {done}")
    waits = ", ".join(f"{name} {during.longest(name) * 1000:.0f} ms" for name in writers.operations)
    notes.append(
        f"Writers made {during.count:,} transactions meanwhile, {during.count / took:,.0f} a second ("
        f"{before.count / BEFORE:,.0f} before), 0 errors; longest waits: {waits}; VACUUM and ANALYZE {swept:.1f} s."
    )
    return {
        OURS: Sample(took),
        "longest wait of a writer": Sample(during.longest()),
        "longest wait of a writer before": Sample(before.longest()),
        "median transaction of a writer": Sample(during.median),
        "median transaction of a writer before": Sample(before.median),
    }


BENCHMARK = Benchmark(
    name="erasing_operational",
    ours="erasing a person with 100,000 rows beside writers, counted before and after",
    limit="one DELETE and one UPDATE of the same rows while nobody writes",
    prepare=prepare,
)
