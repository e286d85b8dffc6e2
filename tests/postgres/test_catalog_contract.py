"""Every finding of the contract, against a real database.

A sound pair of policy and database has none, and each way to break it is found, as what it is and where it is.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import conninfo, sql

from demo.servers import Servers
from warehouse.catalog.loader import parse_system
from warehouse.postgres import contract
from warehouse.postgres.contract import check_system
from warehouse.postgres.finding import Finding
from warehouse.postgres.sessions import Dsn, connect

SCHEMA = """
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE DOMAIN amount AS numeric(12,2);
CREATE TABLE users (id bigint PRIMARY KEY, email text NOT NULL, mood mood, updated_at timestamptz NOT NULL);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint NOT NULL REFERENCES users, total amount,
    code varchar(8) UNIQUE);
CREATE TABLE items (id int PRIMARY KEY, order_id bigint REFERENCES orders, parent int REFERENCES items);
CREATE TABLE cities (name text, note text);
CREATE TABLE points (id bigint, at timestamptz NOT NULL, user_id integer REFERENCES users, PRIMARY KEY (id, at))
    PARTITION BY RANGE (at);
CREATE TABLE points_y2024m01 PARTITION OF points FOR VALUES FROM ('2024-01-01+00') TO ('2024-02-01+00');
CREATE TABLE points_y2024m02 PARTITION OF points FOR VALUES FROM ('2024-02-01+00') TO ('2024-03-01+00');
CREATE TABLE ledger (id bigint, user_id bigint REFERENCES users, PRIMARY KEY (id, user_id)) PARTITION BY HASH (user_id);
CREATE TABLE ledger_p0 PARTITION OF ledger FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE ledger_p1 PARTITION OF ledger FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE moods (region text NOT NULL, n int) PARTITION BY LIST (region);
CREATE TABLE moods_eu PARTITION OF moods FOR VALUES IN ('eu');
"""
POLICY = """
system: small
title: small
description: small
owner: us
history_starts: 2024-01-01
person: {table: users, key: id, identifiers: {email: email}}
defaults: {retention: lifetime, erasure: delete}
tables:
  users:
    description: people
    key: [id]
    subjects: [id]
    ingest: {mode: incremental, cursor: updated_at}
    columns:
      id: {type: bigint, personal: person_id}
      email: {type: text, personal: email}
      mood: {type: mood}
      updated_at: {type: timestamptz}
  orders:
    description: orders
    key: [id]
    subjects: [user_id]
    columns: {id: {type: bigint}, user_id: {type: int8}, total: {type: amount}, code: {type: varchar(8)}}
  items:
    description: items
    key: [id]
    subjects: [order_id -> orders, parent -> items]
    columns: {id: {type: int}, order_id: {type: bigint}, parent: {type: int}}
  cities:
    description: cities
    erasure: no_person
    columns: {name: {type: text}, note: {type: text}}
  points:
    description: points
    key: [id, at]
    subjects: [user_id]
    time: at
    ingest: {mode: partition}
    partition: {range: at, every: month, name: "{table}_y{year}m{month}"}
    columns: {id: {type: bigint}, at: {type: timestamptz}, user_id: {type: int}}
  ledger:
    description: ledger
    key: [id, user_id]
    subjects: [user_id]
    partition: {hash: user_id, modulus: 2, name: "{table}_p{remainder}"}
    columns: {id: {type: bigint}, user_id: {type: bigint}}
  moods:
    description: moods
    erasure: no_person
    partition: {list: region}
    columns: {region: {type: text}, n: {type: int}}
"""


@dataclass(frozen=True)
class Case:
    """One thing that goes wrong: in the database (``sql``), in the policy (``swap`` one text for another), or both."""

    kind: str
    where: str
    sql: str = ""
    swap: tuple[str, str] = ("", "")
    severity: str = "error"
    says: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.where} {self.sql or self.swap[1]}"[:70]


HASHES = 'partition: {hash: user_id, modulus: 2, name: "{table}_p{remainder}"}'
MONTHS = 'partition: {range: at, every: month, name: "{table}_y{year}m{month}"}'
LEDGER = "    subjects: [user_id]\n    partition: {hash"
CASES = [
    Case("missing-table", "cities.", "DROP TABLE cities", says="public.cities"),
    Case("missing-table", "cities.", "ALTER TABLE cities RENAME TO towns"),
    Case("undeclared-table", "public.towns.", "CREATE TABLE towns (id int)", says="policy does not"),
    Case("undeclared-table", "public.parted.", "CREATE TABLE parted (id int) PARTITION BY LIST (id)"),
    Case("undeclarable-table", "public.towns.", 'CREATE TABLE towns ("a b" int)', severity="warning"),
    Case("undeclared-schema", ".", "CREATE SCHEMA x; CREATE TABLE x.y (id int)", severity="warning", says="'x'"),
    Case("undeclared-column", "cities.columns.size", "ALTER TABLE cities ADD size int"),
    Case("undeclarable-column", 'cities.columns.a"b', 'ALTER TABLE cities ADD "a""b" int', severity="warning"),
    Case(
        "undeclarable-column",
        "cities.columns.p",
        "CREATE TYPE p AS (a int); ALTER TABLE cities ADD p p",
        severity="warning",
        says="composite",
    ),
    Case(
        "undeclarable-column",
        "orders.columns.a b",
        'ALTER TABLE orders ADD "a b" text',
        ("user_id: {type: int8}", "user_id: {type: int8, personal: person_id}"),
        "warning",
    ),
    Case("missing-column", "cities.columns.note", "ALTER TABLE cities DROP note"),
    Case("missing-column", "cities.columns.note", 'ALTER TABLE cities RENAME note TO "Note"'),
    Case(
        "not-carried",
        "cities.columns.note",
        "CREATE TYPE p AS (a int); ALTER TABLE cities ALTER note TYPE p USING NULL",
    ),
    Case("not-carried", "cities.columns.note", "ALTER TABLE cities ALTER note TYPE regclass USING NULL"),
    Case("other-type", "cities.columns.note.type", "ALTER TABLE cities ALTER note TYPE varchar(3)", says="varying(3)"),
    Case("other-type", "orders.columns.code.type", "ALTER TABLE orders ALTER code TYPE varchar(9)"),
    Case("other-type", "users.columns.mood.type", swap=("{type: mood}", "{type: moods}")),
    Case("other-type", "orders.columns.total.type", "", ("{type: amount}", '{type: "numeric(12,3)"}')),
    Case("no-such-key", "cities.key", swap=("erasure: no_person\n", "erasure: no_person\n    key: [name]\n")),
    Case(
        "no-such-key",
        "orders.key",
        swap=("orders\n    key: [id]", "orders\n    key: [id, user_id]"),
        says="[id, user_id]",
    ),
    Case("no-such-key", "items.key", "ALTER TABLE items DROP CONSTRAINT items_pkey CASCADE"),
    Case(
        "no-such-key",
        "cities.key",
        "CREATE UNIQUE INDEX ON cities (name) WHERE name > ''",
        ("erasure: no_person\n", "erasure: no_person\n    key: [name]\n"),
    ),
    Case(
        "nullable-key", "orders.key", swap=("orders\n    key: [id]", "orders\n    key: [code]"), says="code may be NULL"
    ),
    Case("key-not-declared", "orders.key", swap=("orders\n    key: [id]", "orders"), says="[id]"),
    Case("key-not-declared", "cities.key", "ALTER TABLE cities ALTER name SET NOT NULL, ADD UNIQUE (name)"),
    Case(
        "nullable-cursor", "users.ingest.cursor", "ALTER TABLE users ALTER updated_at DROP NOT NULL", severity="warning"
    ),
    Case(
        "nullable-time",
        "orders.time",
        "ALTER TABLE orders ADD at date",
        (
            "subjects: [user_id]\n    columns: {id: {type: bigint}, user_id: {type: int8}",
            "subjects: [user_id]\n    time: at\n    ingest: {mode: partition}\n"
            "    columns: {at: {type: date}, id: {type: bigint}, user_id: {type: int8}",
        ),
    ),
    Case("unlogged", "cities.", "ALTER TABLE cities SET UNLOGGED", severity="warning"),
    Case(
        "inheritance",
        "cities.",
        "CREATE TABLE places (name text); ALTER TABLE cities INHERIT places",
        severity="warning",
    ),
    Case(
        "not-partitioned",
        "orders.partition",
        swap=(
            "subjects: [user_id]\n    columns: {id: {type: bigint}, user_id: {type: int8}",
            "subjects: [user_id]\n    partition: {list: id}\n    columns: {id: {type: bigint}, user_id: {type: int8}",
        ),
    ),
    Case("partitioning-not-declared", "points.partition", swap=(f"    {MONTHS}\n", ""), says="range (at)"),
    Case("partitioning-not-declared", "ledger.partition", swap=(f"    {HASHES}\n", ""), says="hash (user_id)"),
    Case(
        "partitioning-not-declared",
        "moods.partition",
        swap=("    partition: {list: region}\n", ""),
        says="list (region)",
    ),
    Case(
        "partitioning-not-sayable",
        "cities.partition",
        "DROP TABLE cities; CREATE TABLE cities (name text, note text) PARTITION BY RANGE (name, note)",
        severity="warning",
    ),
    Case(
        "partitioning-not-sayable",
        "cities.partition",
        "DROP TABLE cities; CREATE TABLE cities (name text, note text) PARTITION BY LIST (lower(name))",
        severity="warning",
    ),
    Case("other-partitioning", "ledger.partition", swap=(HASHES, "partition: {list: user_id}"), says="hash (user_id)"),
    Case(
        "other-partitioning", "ledger.partition", swap=(HASHES, HASHES.replace("user_id", "id")), says="hash (user_id)"
    ),
    Case("other-modulus", "ledger.partition.modulus", swap=(HASHES, HASHES.replace("2", "4")), says="modulus 2"),
    Case("other-modulus", "ledger.partition.modulus", "DROP TABLE ledger_p1", says="1 of modulus 2"),
    Case(
        "other-period",
        "points.partition.every",
        "CREATE TABLE points_y2024 PARTITION OF points FOR VALUES FROM ('2024-03-01+00') TO ('2024-06-01+00')",
    ),
    Case(
        "other-period",
        "points.partition.every",
        "CREATE TABLE points_in PARTITION OF points FOR VALUES FROM ('2024-04-01+05:30') TO ('2024-05-01+05:30')",
        says="no calendar period",
    ),
    Case(
        "other-period",
        "points.partition.every",
        "CREATE TABLE points_2023 PARTITION OF points FOR VALUES FROM ('2023-01-01+00') TO ('2024-01-01+00')",
        severity="warning",
        says="points_2023",
    ),
    Case("other-period", "points.partition.every", swap=(MONTHS, MONTHS.replace("month,", "year,")), says="per year"),
    Case(
        "partition-names",
        "points.partition.name",
        "ALTER TABLE points_y2024m02 RENAME TO p2",
        severity="warning",
        says="p2",
    ),
    Case("partition-names", "ledger.partition.name", "ALTER TABLE ledger_p1 RENAME TO p1", severity="warning"),
    Case(
        "default-partition",
        "points.partition",
        "CREATE TABLE rest PARTITION OF points DEFAULT",
        severity="warning",
        says="rest",
    ),
    Case(
        "open-partition",
        "points.partition",
        "CREATE TABLE old PARTITION OF points FOR VALUES FROM (MINVALUE) TO ('2024-01-01+00')",
        severity="warning",
        says="old",
    ),
    Case(
        "open-partition",
        "points.partition",
        "CREATE TABLE late PARTITION OF points FOR VALUES FROM ('2024-03-01+00') TO ('infinity')",
        severity="warning",
    ),
    Case("broken-way", "orders.subjects", "ALTER TABLE orders DROP user_id", says="ends early"),
    Case(
        "broken-way",
        "orders.subjects",
        swap=(
            "[user_id]\n    columns: {id: {type: bigint}, user_id: {type: int8}",
            "[code]\n    columns: {id: {type: bigint}, user_id: {type: int8}",
        ),
        says="code is character varying(8)",
    ),
    Case(
        "broken-way",
        "items.subjects",
        "ALTER TABLE items DROP CONSTRAINT items_order_id_fkey; ALTER TABLE items ALTER order_id TYPE uuid USING NULL",
        says="orders.id",
    ),
    Case(
        "broken-way",
        "items.subjects",
        "ALTER TABLE items DROP CONSTRAINT items_order_id_fkey;"
        " ALTER TABLE items ALTER order_id TYPE bigint[] USING NULL",
    ),
    Case("broken-way", "items.subjects", swap=("[order_id -> orders, ", "[order_id -> orders.code, ")),
    Case(
        "forgotten-person",
        "cities.subjects",
        "ALTER TABLE cities ADD mayor bigint REFERENCES users",
        ("note: {type: text}", "note: {type: text}, mayor: {type: bigint}"),
        says="mayor",
    ),
    Case(
        "forgotten-person",
        "cities.subjects",
        "ALTER TABLE cities ADD o bigint REFERENCES orders",
        ("note: {type: text}", "note: {type: text}, o: {type: bigint}"),
        says="leads to orders",
    ),
    Case("forgotten-person", "public.towns.subjects", "CREATE TABLE towns (id int REFERENCES users)"),
    Case("forgotten-person", "x.y.subjects", "CREATE SCHEMA x; CREATE TABLE x.y (id int REFERENCES orders)"),
    Case(
        "forgotten-person",
        "ledger.subjects",
        "",
        (LEDGER, "    erasure: undecided\n    reviewed: false\n    partition: {hash"),
        "warning",
    ),
    Case(
        "forgotten-way",
        "orders.subjects",
        "ALTER TABLE orders ADD seller bigint REFERENCES users",
        ("total: {type: amount}", "total: {type: amount}, seller: {type: bigint}"),
        "warning",
        "seller",
    ),
    Case(
        "person-key",
        "users.email",
        "CREATE INDEX ON users (email)",
        ("key: id, identifiers", "key: email, identifiers"),
    ),
    Case(
        "no-person",
        ".person",
        swap=("person: {table: users, key: id, identifiers: {email: email}}\n", ""),
        severity="warning",
    ),
    Case(
        "not-reviewed",
        "cities.reviewed",
        swap=("erasure: no_person\n", "erasure: undecided\n    reviewed: false\n"),
        severity="warning",
        says="erasure not decided",
    ),
    Case(
        "not-reviewed",
        "cities.reviewed",
        swap=("erasure: no_person\n", "erasure: no_person\n    reviewed: false\n"),
        severity="warning",
    ),
]


@pytest.fixture
def small(empty_database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute(SCHEMA)
        yield connection


def check(dsn: str, policy: str = POLICY) -> list[Finding]:
    with connect(Dsn(dsn)) as connection:
        return check_system(connection, parse_system(policy, "small.yaml"))


def without_person(policy: str) -> str:
    """A policy without a person has no subjects, and erases nothing."""
    lines = [line for line in policy.splitlines() if "subjects:" not in line]
    return "\n".join(lines).replace("erasure: delete", "erasure: undecided, reviewed: false")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_found(case: Case, small: psycopg.Connection, empty_database: str) -> None:
    small.execute(case.sql.encode())
    policy = POLICY.replace(*case.swap, 1) if case.swap[0] else POLICY
    assert case.swap == ("", "") or policy != POLICY
    if case.kind == "no-person":
        policy = without_person(policy)
    if case.kind == "key-not-declared" and case.where == "orders.key":
        policy = policy.replace("order_id -> orders,", "order_id -> orders.id,")
    if (case.where == "orders.key" and "code" in case.swap[1]) or "id, user_id" in case.swap[1]:
        policy = policy.replace("order_id -> orders,", "order_id -> orders.id,")
    found = [f for f in check(empty_database, policy) if f.kind == case.kind and f"{f.table}.{f.field}" == case.where]
    assert [f.severity for f in found] == [case.severity], check(empty_database, policy)
    assert case.says in f"{found[0].message} {found[0].hint}"
    assert len(found[0].hint) > 15


def test_a_sound_pair_has_no_finding(small: psycopg.Connection, empty_database: str) -> None:
    assert check(empty_database) == []


def test_every_kind_of_finding_has_a_case() -> None:
    sources = Path(contract.__file__).parent.glob("contract*.py")
    kinds = {
        kind
        for source in sources
        for kind in re.findall(r'(?:error|warning|add)\(\s*"([a-z-]+)"', source.read_text(encoding="utf-8"))
    }
    assert kinds - {case.kind for case in CASES} == {"hidden-rows", "unreadable"}  # tested below, with other roles


@pytest.mark.parametrize(
    "harmless",
    [
        "CREATE EXTENSION pg_stat_statements; CREATE EXTENSION citext",
        "CREATE VIEW a_view AS SELECT 1 AS x; CREATE MATERIALIZED VIEW b_view AS SELECT 1 AS x",
        "CREATE TEMP TABLE t (id int)",
        "ALTER TABLE cities ENABLE ROW LEVEL SECURITY",
        "CREATE TABLE points_x (LIKE points); DROP TABLE points_x",
        "ALTER TABLE users ALTER mood SET DEFAULT 'good'; CREATE UNIQUE INDEX ON users (lower(email))",
        "ALTER TABLE points_y2024m01 ADD UNIQUE (id)",
    ],
)
def test_harmless_changes_are_not_found(small: psycopg.Connection, empty_database: str, harmless: str) -> None:
    small.execute(harmless.encode())
    assert check(empty_database) == []


def test_a_table_of_an_extension_needs_no_policy(small: psycopg.Connection, empty_database: str) -> None:
    small.execute("CREATE EXTENSION citext; CREATE TABLE made_by_it (id int)")
    assert [f.kind for f in check(empty_database)] == ["undeclared-table"]
    small.execute("ALTER EXTENSION citext ADD TABLE made_by_it")
    assert check(empty_database) == []


@pytest.mark.parametrize("declared", ["mood", "public.mood", "MOOD"])
def test_a_schema_in_a_types_name_counts_only_where_both_say_it(
    small: psycopg.Connection, empty_database: str, declared: str
) -> None:
    policy = POLICY.replace("{type: mood}", f"{{type: {declared}}}")
    assert check(empty_database, policy) == []
    name = conninfo.conninfo_to_dict(empty_database)["dbname"]
    small.execute(sql.SQL("ALTER DATABASE {} SET search_path = pg_catalog").format(sql.Identifier(str(name))))
    assert check(empty_database, policy) == []
    assert [f.kind for f in check(empty_database, POLICY.replace("{type: mood}", "{type: other.mood}"))] == [
        "other-type"
    ]


def test_a_domain_may_be_declared_as_what_it_rests_on(small: psycopg.Connection, empty_database: str) -> None:
    assert check(empty_database, POLICY.replace("{type: amount}", '{type: "numeric(12,2)"}')) == []


def test_an_exemption_with_a_reason_forgets_nobody(small: psycopg.Connection, empty_database: str) -> None:
    small.execute("ALTER TABLE cities ADD mayor bigint REFERENCES users")
    policy = POLICY.replace("note: {type: text}", "note: {type: text}, mayor: {type: bigint}").replace(
        "description: cities\n    erasure: no_person",
        "description: cities\n    erasure: {action: exempt, reason: public office}",
    )
    assert check(empty_database, policy) == []


def test_a_table_in_another_schema_and_under_another_name(small: psycopg.Connection, empty_database: str) -> None:
    small.execute('CREATE SCHEMA "X.y"; ALTER TABLE cities SET SCHEMA "X.y"; ALTER TABLE "X.y".cities RENAME TO "C.d"')
    policy = POLICY.replace("description: cities\n", 'description: cities\n    source: \'"X.y"."C.d"\'\n')
    assert check(empty_database, policy) == []


def test_a_key_may_be_named_in_any_order(small: psycopg.Connection, empty_database: str) -> None:
    assert check(empty_database, POLICY.replace("key: [id, at]", "key: [at, id]")) == []


@pytest.fixture
def guest(small: psycopg.Connection, empty_database: str) -> Iterator[str]:
    """Connection string of a role that may read what it was granted."""
    small.execute("CREATE ROLE contract_guest LOGIN PASSWORD 'guest'")
    small.execute(
        "GRANT USAGE ON SCHEMA public TO contract_guest; GRANT SELECT ON ALL TABLES IN SCHEMA public TO contract_guest"
    )
    yield conninfo.make_conninfo(empty_database, user="contract_guest", password="guest")
    small.execute("DROP OWNED BY contract_guest; DROP ROLE contract_guest")


def test_rows_that_are_hidden_from_the_role_are_found(small: psycopg.Connection, guest: str) -> None:
    assert check(guest) == []
    small.execute("ALTER TABLE cities ENABLE ROW LEVEL SECURITY")
    (found,) = check(guest)
    assert (found.kind, found.table, found.severity) == ("hidden-rows", "cities", "error")
    assert "ALTER ROLE contract_guest BYPASSRLS" in found.hint
    small.execute("ALTER ROLE contract_guest BYPASSRLS")
    assert check(guest) == []


def test_a_table_that_the_role_may_not_read_is_found(small: psycopg.Connection, guest: str) -> None:
    small.execute("REVOKE SELECT ON cities FROM contract_guest")
    (found,) = check(guest)
    assert (found.kind, found.table, found.severity) == ("unreadable", "cities", "error")
    assert "GRANT SELECT ON public.cities TO contract_guest" in found.hint


def test_the_check_works_on_a_replica_and_changes_nothing(
    servers: Servers, empty_database: str, small: psycopg.Connection
) -> None:
    small.execute("ALTER TABLE cities SET UNLOGGED")
    name = conninfo.conninfo_to_dict(empty_database)["dbname"]
    row = small.execute("SELECT pg_current_wal_lsn()").fetchone()
    assert row is not None
    replica = servers.server("replica").dsn(str(name))
    admin = servers.server("replica").dsn("postgres")
    for _ in range(100):
        with psycopg.connect(admin) as waiting:
            done = waiting.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", row).fetchone()
        if done == (True,):
            break
        time.sleep(0.1)
    with connect(Dsn(replica), read_only=True) as connection:
        assert check_system(connection, parse_system(POLICY, "small.yaml")) == []
