"""A draft of any database loads unedited and passes the check; the worst databases that we could think of."""

from __future__ import annotations

import datetime as dt

import psycopg
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import conninfo, sql
from typer.testing import CliRunner

from pipelines.cli import app
from warehouse.catalog.loader import parse_system
from warehouse.catalog.model import HashPartition, ListPartition, RangePartition, System, Table
from warehouse.errors import ConfigurationError
from warehouse.postgres.contract import check_system
from warehouse.postgres.draft import draft_system
from warehouse.postgres.finding import Finding
from warehouse.postgres.sessions import Dsn, connect

NASTY = r"""
CREATE EXTENSION citext;
CREATE EXTENSION btree_gist;
CREATE EXTENSION pg_stat_statements;
CREATE SCHEMA "Sales Dept.";
CREATE SCHEMA billing;
CREATE SCHEMA empty_one;
CREATE TYPE status AS ENUM ('new', 'it''s "done"', 'yes, no: {x} # y');
CREATE TYPE billing.status AS ENUM ('paid', 'open');
CREATE TYPE "Sales Dept."."Odd.Type" AS ENUM ('ä', 'ß', '');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN money2 AS numeric(12,2) CHECK (VALUE >= 0);
CREATE DOMAIN moment AS timestamptz NOT NULL;
CREATE DOMAIN tags AS text[];

CREATE TABLE "Users" (
    id uuid PRIMARY KEY, "eMail" citext UNIQUE NOT NULL, "firstName" text, "PhoneNumber" varchar(20), dob date,
    "select" int, "no" boolean, "null" text, "123" int, "a b" text, "a.b" text, "quo""te" text, "größe" int,
    "weird: # {x}" text, status status, statuses status[], last_ip inet, place point, home pair,
    "UpdatedAt" moment NOT NULL,
    note text, "NOTE" text, "таблица" text, referrer uuid REFERENCES "Users");
COMMENT ON TABLE "Users" IS E'People: "all" of them # really\n\ttwo lines \u2028 \U0001F600 {x}: [y]';
COMMENT ON COLUMN "Users"."eMail" IS E'Don''t: say "it" \\ , } # \x7f';
CREATE TABLE users (id int PRIMARY KEY, name text);
CREATE TABLE billing.users (id int PRIMARY KEY, user_id uuid REFERENCES "Users",
    status billing.status, m money2, t tags);
CREATE TABLE "Sales Dept."."users" (id int, x "Sales Dept."."Odd.Type"[]);
CREATE TABLE "Sales Dept."."Order.Items" (
    "order" bigint, "line" int, owner uuid, PRIMARY KEY ("order", "line"), FOREIGN KEY (owner) REFERENCES "Users");
CREATE TABLE "select" ("from" int PRIMARY KEY, "user" uuid NOT NULL REFERENCES "Users", "where" text);
CREATE TABLE "yes" ("true" int PRIMARY KEY, "off" int REFERENCES "select");
CREATE TABLE "日本語" ("名前" text, "住所" text);
CREATE TABLE "line
break" (a int, "b
c" text);
CREATE TABLE " -> " (" -> " int PRIMARY KEY, "ok" int);
CREATE TABLE "Ärzte-Liste" (id int PRIMARY KEY);
CREATE TABLE "1st" (id int PRIMARY KEY, "2nd" int);
CREATE TABLE a_table_with_a_name_that_is_as_long_as_postgresql_lets_it_be_63 (id int PRIMARY KEY);
CREATE TABLE a_table_with_a_name_that_is_as_long_as_postgresql_lets_it_be_64 (id int PRIMARY KEY);
CREATE TABLE no_columns ();
CREATE TABLE no_names ("a b" int, "c d" text);
CREATE TABLE keyless (a int, b text, c jsonb);
CREATE TABLE nullable_unique (a int UNIQUE, b text);
CREATE TABLE odd_key ("a b" int PRIMARY KEY, c int NOT NULL UNIQUE);
CREATE TABLE only_odd_key ("a b" int PRIMARY KEY, c int);
CREATE UNIQUE INDEX ON keyless (lower(b));
CREATE UNIQUE INDEX ON keyless (a) WHERE a > 3;
CREATE TABLE deferred (id int NOT NULL UNIQUE DEFERRABLE INITIALLY DEFERRED, v int);
CREATE TABLE every_type (
    id bigserial PRIMARY KEY, a "char", b char, c bpchar, d char(3), e bit, f bit(3), g varbit(5), h interval,
    i interval day to second(3), j time(3), k timetz, l timestamp(0), m timestamptz(6)[], n int4range, o tstzmultirange,
    p oid, q regclass, r name, s xml, u tsvector, v money, w macaddr, x cidr, y uuid[], z int[][], aa float4,
    ab numeric, ac numeric(5,-2), ad int GENERATED ALWAYS AS (1) STORED, ae pg_lsn, af xid8, ag jsonpath, ah citext[],
    ai tags[], aj pair[], ak moment);
CREATE UNLOGGED TABLE cache (k text PRIMARY KEY, v bytea);
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child () INHERITS (parent);
CREATE VIEW "A View" AS SELECT 1 AS x;
CREATE MATERIALIZED VIEW summary AS SELECT 1 AS x;

CREATE TABLE rides (id bigint, at timestamptz NOT NULL, user_id uuid REFERENCES "Users", PRIMARY KEY (id, at))
    PARTITION BY RANGE (at);
CREATE TABLE rides_y2024m01 PARTITION OF rides FOR VALUES FROM ('2024-01-01+00') TO ('2024-02-01+00');
CREATE TABLE rides_y2024m02 PARTITION OF rides FOR VALUES FROM ('2024-02-01+00') TO ('2024-03-01+00');
CREATE TABLE rides_old PARTITION OF rides FOR VALUES FROM (MINVALUE) TO ('2024-01-01+00');
CREATE TABLE rides_rest PARTITION OF rides DEFAULT;
CREATE TABLE india (at timestamptz) PARTITION BY RANGE (at);
CREATE TABLE india_1 PARTITION OF india FOR VALUES FROM ('2024-01-01+05:30') TO ('2024-02-01+05:30');
CREATE TABLE yearly (at date, id int, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE yearly_2023 PARTITION OF yearly FOR VALUES FROM ('2023-01-01') TO ('2024-01-01') PARTITION BY HASH (id);
CREATE TABLE yearly_2023_0 PARTITION OF yearly_2023 FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE TABLE daily (at timestamp) PARTITION BY RANGE (at);
CREATE TABLE daily_20240131 PARTITION OF daily FOR VALUES FROM ('2024-01-31') TO ('2024-02-01');
CREATE TABLE by_int (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE by_int_1 PARTITION OF by_int FOR VALUES FROM (0) TO (1000);
CREATE TABLE by_two (a int, at date) PARTITION BY RANGE (a, at);
CREATE TABLE by_expression (at text, b date) PARTITION BY RANGE (lower(at), b);
CREATE TABLE ancient (at date) PARTITION BY RANGE (at);
CREATE TABLE ancient_1 PARTITION OF ancient FOR VALUES FROM ('0044-03-15 BC') TO ('infinity');
CREATE TABLE without_parts (at timestamptz) PARTITION BY RANGE (at);
CREATE TABLE odd_column ("at time" timestamptz, id int) PARTITION BY RANGE ("at time");
CREATE TABLE hashed (id int PRIMARY KEY) PARTITION BY HASH (id);
CREATE TABLE hashed_p00 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE hashed_p01 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE growing (id int PRIMARY KEY) PARTITION BY HASH (id);
CREATE TABLE growing_a PARTITION OF growing FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE growing_b PARTITION OF growing FOR VALUES WITH (MODULUS 4, REMAINDER 1);
CREATE TABLE listed (region text, v int) PARTITION BY LIST (region);
CREATE TABLE listed_eu PARTITION OF listed FOR VALUES IN ('eu', 'FOR VALUES FROM (''x'')');
"""


def drafted(dsn: str, name: str = "anything") -> tuple[str, System, list[Finding]]:
    with connect(Dsn(dsn)) as connection:
        text = draft_system(connection, name)
        system = parse_system(text, f"{name}.yaml")
        return text, system, check_system(connection, system)


def errors(findings: list[Finding]) -> list[str]:
    return [str(finding) for finding in findings if finding.severity == "error"]


def run(dsn: str, script: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(script.encode())


def by_source(system: System, schema: str, name: str) -> Table:
    (found,) = [table for key, table in system.tables.items() if system.source_of(key) == (schema, name)]
    return found


def test_a_nasty_database_is_drafted_and_passes(empty_database: str) -> None:
    run(empty_database, NASTY)
    text, system, findings = drafted(empty_database)
    assert errors(findings) == []
    with psycopg.connect(empty_database) as connection:
        live = connection.execute(
            "SELECT n.nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE relkind IN ('r', 'p') AND NOT relispartition AND nspname !~ '^(pg_|information_schema)'"
        ).fetchall()
    named = {system.source_of(name) for name in system.tables}
    assert set(live) - named == {("public", "no_columns"), ("public", "no_names")}
    assert all(not table.reviewed and table.erasure.action == "undecided" for table in system.tables.values())

    people = by_source(system, "public", "Users")
    assert people.key == ("id",)
    assert people.ingest.mode == "incremental"
    assert people.ingest.cursor == "UpdatedAt"
    assert people.description.startswith('People: "all" of them # really\n\ttwo lines \u2028 \U0001f600')
    assert people.columns["eMail"].description == 'Don\'t: say "it" \\ , } # \x7f'
    assert {"firstName", "no", "null", "select", "größe", "таблица"} <= set(people.columns)
    assert not {"a b", "a.b", "123", "home", "NOTE"} & set(people.columns)
    assert {"eMail", "firstName", "PhoneNumber", "dob", "last_ip", "place", "note"} <= set(people.personal)
    assert set(people.personal.values()) == {"unreviewed"}
    assert system.person is not None
    assert system.source_of(system.person.table) == ("public", "Users")
    assert system.person.identifiers == {"eMail": "email", "PhoneNumber": "phone"}

    assert [str(s.table) for s in by_source(system, "public", "yes").subjects] == ["select"]
    assert by_source(system, "public", "keyless").key == ()
    assert by_source(system, "public", "odd_key").key == ("c",)
    rides = by_source(system, "public", "rides")
    assert isinstance(rides.partition, RangePartition)
    assert (rides.partition.name, rides.ingest.mode) == ("{table}_y{year}m{month}", "partition")
    daily, yearly = by_source(system, "public", "daily").partition, by_source(system, "public", "yearly").partition
    assert isinstance(daily, RangePartition)
    assert (daily.every, daily.name) == ("day", "{table}_{year}{month}{day}")
    assert isinstance(yearly, RangePartition)
    assert (yearly.every, yearly.name) == ("year", "{table}_{year}")
    hashed = by_source(system, "public", "hashed").partition
    assert isinstance(hashed, HashPartition)
    assert (hashed.modulus, hashed.name) == (2, "{table}_p{remainder:02d}")
    assert isinstance(by_source(system, "public", "listed").partition, ListPartition)
    for name in ("india", "by_int", "by_two", "by_expression", "odd_column", "growing"):
        assert by_source(system, "public", name).partition is None, name
    assert "view public.A View" in text
    assert "materialised view public.summary" in text
    kinds = {finding.kind for finding in findings}
    assert kinds >= {
        "default-partition", "open-partition", "partitioning-not-sayable", "undeclarable-column", "undeclarable-table",
        "unlogged", "inheritance", "not-reviewed",
    }  # fmt: skip
    assert "partition-names" not in kinds


def test_what_a_draft_says_of_its_guesses(empty_database: str) -> None:
    run(
        empty_database,
        "CREATE TYPE spot AS (level int, number int);"
        "CREATE TABLE members (id int PRIMARY KEY, email text);"
        "CREATE TABLE vehicles (id int PRIMARY KEY, member_id int REFERENCES members, place spot)",
    )
    text, _, _ = drafted(empty_database)
    head, _, body = text.partition("system: anything\n")
    assert head.splitlines()[-2:] == ["#   5. Run `drivetrain catalog check`.", ""]
    assert "person:  # a guess, from its name, an email or phone column and a table that references it\n" in body
    left = "# left out: column place, because type spot is a composite type, which is not carried"
    assert f"{left}; or {{type: text, cast: text}}\n" in body
    assert f"history_starts: {dt.datetime.now(dt.UTC).year - 1}-01-01  # nothing in the database says it" in body
    run(
        empty_database,
        "CREATE TABLE stays (at timestamptz) PARTITION BY RANGE (at);"
        "CREATE TABLE stays_2 PARTITION OF stays FOR VALUES FROM ('2025-04-01+00') TO ('2025-05-01+00');"
        "CREATE TABLE stays_1 PARTITION OF stays FOR VALUES FROM ('2025-03-01+00') TO ('2025-04-01+00');"
        "CREATE VIEW a_view AS SELECT 1 AS x",
    )
    text, system, _ = drafted(empty_database)
    assert system.history_starts == dt.date(2025, 3, 1)
    assert "history_starts: 2025-03-01  # a guess, from the earliest partition; review it\n" in text
    assert "#\n# Left out: view public.a_view, which holds no rows of its own.\n\nsystem: anything\n" in text


def test_the_command_takes_the_address_from_argument_or_setting(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(empty_database, "CREATE TABLE t (id int PRIMARY KEY)")
    command = ["catalog", "draft", "--system", "parking"]
    given = CliRunner().invoke(app, [*command, empty_database], catch_exceptions=False)
    monkeypatch.setenv("DRIVETRAIN_PARKING_DSN", empty_database)
    assert CliRunner().invoke(app, command, catch_exceptions=False).stdout == given.stdout
    assert parse_system(given.stdout, "parking.yaml").system == "parking"


def test_the_draft_of_a_draft_is_the_same(empty_database: str) -> None:
    run(empty_database, NASTY)
    with connect(Dsn(empty_database)) as connection:
        assert draft_system(connection, "twice") == draft_system(connection, "twice")


def test_a_search_path_does_not_matter(empty_database: str) -> None:
    name = conninfo.conninfo_to_dict(empty_database)["dbname"]
    run(empty_database, NASTY + f'ALTER DATABASE {name} SET search_path = "Sales Dept.", billing;')
    _, system, found = drafted(empty_database)
    assert errors(found) == []
    run(
        empty_database,
        "ALTER DATABASE " + psycopg.conninfo.conninfo_to_dict(empty_database)["dbname"] + " RESET search_path;",
    )
    with connect(Dsn(empty_database)) as connection:
        assert errors(check_system(connection, system)) == []


@pytest.mark.parametrize("name", ["", "Shop", "a-b", "x" * 48, "1a", "a\n"])
def test_a_name_that_is_no_identifier_is_refused(empty_database: str, name: str) -> None:
    with connect(Dsn(empty_database)) as connection, pytest.raises(ConfigurationError, match="no name for a system"):
        draft_system(connection, name)


def test_a_database_without_tables_is_refused(empty_database: str) -> None:
    with connect(Dsn(empty_database)) as connection, pytest.raises(ConfigurationError, match="no table"):
        draft_system(connection, "nothing")


def test_a_foreign_key_of_a_way_names_the_column_that_it_references(empty_database: str) -> None:
    run(
        empty_database,
        """
        CREATE TABLE customers (id bigint PRIMARY KEY, email text NOT NULL UNIQUE, code varchar(9) NOT NULL UNIQUE);
        CREATE TABLE logins (id int PRIMARY KEY, who varchar(20) REFERENCES customers (code));
        CREATE TABLE orders (id int, shop int, who bigint REFERENCES customers, PRIMARY KEY (id, shop), UNIQUE (id));
        CREATE TABLE items (id int PRIMARY KEY, order_id int REFERENCES orders (id));
        CREATE TABLE parts (id int PRIMARY KEY, item int REFERENCES items, sub int REFERENCES parts);
        CREATE TABLE pairs (a int, b int, FOREIGN KEY (a, b) REFERENCES orders);
        """,
    )
    _, system, findings = drafted(empty_database)
    ways = {name: [(s.column, s.table, s.to) for s in table.subjects] for name, table in system.tables.items()}
    assert ways == {
        "customers": [("id", None, None)],
        "logins": [("who", "customers", "code")],
        "orders": [("who", None, None)],
        "items": [("order_id", "orders", "id")],
        "parts": [("item", "items", None)],
        "pairs": [],
    }
    assert errors(findings) == []
    assert [finding.table for finding in findings if finding.kind == "forgotten-person"] == ["pairs"]


NAMES = st.one_of(
    st.sampled_from(["id", "user", "users", "Users", "order", "a b", "é", "no", "null", "x" * 63, 'q"q', "a.b", "->"]),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12),
).filter(lambda name: len(name.encode()) <= 63)
TYPES = st.sampled_from(
    ["int", "bigint", "text", "numeric(9,3)", "timestamptz", "timestamp(3)", "date", "jsonb", "mood", "mood[]",
     "amount", "bytea", "inet", "uuid", "boolean", "int[]", "point", "pairs", "regclass", '"Odd S"."T.t"']
)  # fmt: skip
COLUMNS = st.dictionaries(NAMES, st.tuples(TYPES, st.booleans()), min_size=1, max_size=5)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tables=st.dictionaries(st.tuples(st.sampled_from(["public", "Odd S"]), NAMES), COLUMNS, min_size=1, max_size=4),
    keys=st.lists(st.integers(0, 4), min_size=4, max_size=4),
    parts=st.lists(st.sampled_from(["", "RANGE", "LIST", "HASH"]), min_size=4, max_size=4),
    comment=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20),
)
def test_any_schema_is_drafted_and_passes(
    empty_database: str,
    tables: dict[tuple[str, str], dict[str, tuple[str, bool]]],
    keys: list[int],
    parts: list[str],
    comment: str,
) -> None:
    with connect(Dsn(empty_database)) as connection:
        connection.execute('DROP SCHEMA public CASCADE; DROP SCHEMA IF EXISTS "Odd S" CASCADE')
        connection.execute('CREATE SCHEMA public; CREATE SCHEMA "Odd S"')
        connection.execute("CREATE TYPE mood AS ENUM ('a'); CREATE DOMAIN amount AS numeric(9,2)")
        connection.execute('CREATE TYPE "Odd S"."T.t" AS ENUM (\'b\'); CREATE TYPE pairs AS (a int)')
        for ((schema, name), columns), key, part in zip(tables.items(), keys, parts, strict=False):
            table = sql.Identifier(schema, name)
            body = [
                sql.SQL("{} " + kind + (" NOT NULL" if not_null else "")).format(sql.Identifier(column))  # type: ignore[arg-type]
                for column, (kind, not_null) in columns.items()
            ]
            first = next(iter(columns))
            if key < len(columns) and columns[first][0] in ("int", "bigint", "text", "timestamptz", "date", "uuid"):
                body.append(sql.SQL("PRIMARY KEY ({})").format(sql.Identifier(first)))
            by = sql.SQL("PARTITION BY " + part + " ({})").format(sql.Identifier(first)) if part else sql.SQL("")  # type: ignore[arg-type]
            try:
                connection.execute(sql.SQL("CREATE TABLE {} ({}) {}").format(table, sql.SQL(", ").join(body), by))
            except psycopg.errors.UndefinedObject:  # a type without an operator class
                continue
            connection.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(table, sql.Literal(comment)))
            connection.execute(
                sql.SQL("COMMENT ON COLUMN {}.{} IS {}").format(table, sql.Identifier(first), sql.Literal(comment))
            )
        try:
            text = draft_system(connection, "generated")
        except ConfigurationError:
            return  # no table has a name or a type that can be declared
        yaml.safe_load(text)
        system = parse_system(text, "generated.yaml")
        assert errors(check_system(connection, system)) == []
        if comment and comment.strip():
            assert comment in {table.description for table in system.tables.values()}
