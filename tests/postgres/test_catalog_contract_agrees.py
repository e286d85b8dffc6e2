"""What the contract finds nothing in: a sound pair of policy and database, however either is written.

What does not belong here: anything that is a finding (``test_catalog_contract``).
"""

from __future__ import annotations

import psycopg
import pytest
from psycopg import conninfo, sql
from small_system import POLICY, check


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
