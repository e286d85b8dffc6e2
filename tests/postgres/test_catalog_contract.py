"""Every finding of the contract, against a real database: each way to break a sound pair is found, as what and where.

What belongs here: a case for each kind of finding. What does not: what is none (``test_catalog_contract_agrees``), and
what a session may not see (``test_catalog_contract_access``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from small_system import POLICY, check

from warehouse.postgres import contract


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
    Case(
        "split-under-way",
        "public.drivetrain_0123456789ab_state.",
        "CREATE TABLE drivetrain_0123456789ab_state (id int)",
        severity="warning",
        says="`drivetrain partitions rehash|convert small.TABLE`, or undo it by --abandon",
    ),
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
        says="partition the table at the source",
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


def test_every_kind_of_finding_has_a_case() -> None:
    sources = Path(contract.__file__).parent.glob("contract*.py")
    kinds = {
        kind
        for source in sources
        for kind in re.findall(r'(?:error|warning|add)\(\s*"([a-z-]+)"', source.read_text(encoding="utf-8"))
    }
    assert kinds - {case.kind for case in CASES} == {"hidden-rows", "unreadable"}  # see test_catalog_contract_access
