"""What the contract finds nothing in: a sound pair of policy and database, however either is written.

What does not belong here: anything that is a finding (``test_catalog_contract``).
"""

from __future__ import annotations

import psycopg
import pytest
from psycopg import conninfo, sql
from small_system import POLICY, check

from warehouse.catalog.naming import split_mark


def test_a_sound_pair_has_no_finding(small: psycopg.Connection, empty_database: str) -> None:
    assert check(empty_database) == []


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


PLAIN = "CREATE TABLE points (id bigint PRIMARY KEY, at timestamptz NOT NULL, user_id integer REFERENCES users)"


@pytest.mark.parametrize("key", ["[id]", "[id, at]"])
def test_of_a_table_to_be_converted_only_the_conversion_is_missing(
    small: psycopg.Connection, empty_database: str, key: str
) -> None:
    policy = POLICY.replace("key: [id, at]", f"key: {key}")
    small.execute(f"DROP TABLE points; {PLAIN}".encode())
    (found,) = check(empty_database, policy)
    assert (found.kind, found.table) == ("not-partitioned", "points")
    assert "drivetrain partitions convert small.points" in found.hint


def test_after_the_conversion_the_grown_key_is_named(small: psycopg.Connection, empty_database: str) -> None:
    (found,) = check(empty_database, POLICY.replace("key: [id, at]", "key: [id]"))
    assert (found.kind, found.hint) == ("no-such-key", "Write key: [id, at].")


def test_a_partition_column_that_may_be_null_completes_no_key(small: psycopg.Connection, empty_database: str) -> None:
    small.execute(f"DROP TABLE points; {PLAIN}; ALTER TABLE points ALTER at DROP NOT NULL".encode())
    assert {f.kind for f in check(empty_database)} == {"not-partitioned", "no-such-key", "nullable-time"}


@pytest.mark.parametrize("end", ["0", "rest", "old", "state"])
def test_what_lies_beside_a_split_is_reported_as_that_alone(
    small: psycopg.Connection, empty_database: str, end: str
) -> None:
    made = f"CREATE TABLE drivetrain_0123456789ab_{end} (id bigint, at date, user_id bigint REFERENCES users)"
    small.execute(f"{made} PARTITION BY RANGE (at)".encode())
    assert [(f.severity, f.kind) for f in check(empty_database)] == [("warning", "split-under-way")]
    small.execute(f"CREATE TABLE {split_mark('public', 'points', 'points_y2024m01')}_state (id int)".encode())
    hints = [finding.hint for finding in check(empty_database) if "012345" not in finding.table]
    assert "rehash|convert small.points`" in hints[0]
    small.execute(made.replace("drivetrain_", "dt_").encode())
    assert [f.kind for f in check(empty_database) if f.severity == "error"] == ["undeclared-table", "forgotten-person"]
