"""What is read of live tables and types, and how each type would travel."""

from __future__ import annotations

import psycopg
import pytest

from warehouse.errors import UnsupportedType
from warehouse.postgres.carriage import carriage, refusal
from warehouse.postgres.introspection import LiveTable, read_schemas, read_table, read_tables
from warehouse.postgres.sessions import Dsn, connect

TYPES = """
CREATE EXTENSION citext;
CREATE SCHEMA "Odd S";
CREATE TYPE "Odd S"."My.Type" AS ENUM ('b', 'a');
CREATE TYPE status AS ENUM ('x');
CREATE TYPE pair AS (a int);
CREATE DOMAIN money2 AS numeric(12,2);
CREATE DOMAIN money3 AS money2;
CREATE DOMAIN numbers AS int[];
"""


def live(dsn: str, script: str, schema: str = "public", name: str = "t") -> LiveTable:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(script.encode())
    with connect(Dsn(dsn)) as connection:
        table = read_table(connection, schema, name)
    assert table is not None
    return table


def test_an_empty_database_has_no_tables(empty_database: str) -> None:
    with connect(Dsn(empty_database)) as connection:
        assert read_schemas(connection) == []
        assert read_tables(connection, []) == {}
        assert read_tables(connection, ["public", "nowhere"]) == {}
        assert read_table(connection, "public", "t") is None


@pytest.mark.parametrize(
    ("declared", "name", "carrier", "travels"),
    [
        ("bigint", "bigint", "bigint", "bigint binary"),
        (
            "timestamptz(3)",
            "timestamp(3) with time zone",
            "timestamp(3) with time zone",
            "timestamp(3) with time zone binary",
        ),
        ("varchar(3)[]", "character varying(3)[]", "character varying(3)[]", "character varying(3)[] binary"),
        ("char", "character(1)", "character(1)", "character(1) binary"),
        ("int[][]", "integer[]", "integer[]", "integer[] binary"),
        ("money3", "money3", "numeric(12,2)", "numeric(12,2) binary"),
        ("money3[]", "money3[]", "numeric(12,2)[]", "numeric(12,2)[] text"),
        ("numbers", "numbers", "integer[]", "integer[] text"),
        ("numbers[]", "numbers[]", "integer[]", None),
        ('"Odd S"."My.Type"', '"Odd S"."My.Type"', '"Odd S"."My.Type"', "raw_x.Odd S_My.Type binary"),
        ('"Odd S"."My.Type"[]', '"Odd S"."My.Type"[]', '"Odd S"."My.Type"[]', "raw_x.Odd S_My.Type[] text"),
        ("status", "status", "status", "raw_x.status binary"),
        ("citext", "citext", "citext", "text binary"),
        ("citext[]", "citext[]", "citext[]", "text[] text"),
        ("pair", "pair", "pair", None),
        ("pair[]", "pair[]", "pair[]", None),
        ("regclass", "regclass", "regclass", None),
        ("int4range", "int4range", "int4range", "int4range binary"),
        ("tstzmultirange[]", "tstzmultirange[]", "tstzmultirange[]", "tstzmultirange[] binary"),
    ],
)
def test_types(empty_database: str, declared: str, name: str, carrier: str, travels: str | None) -> None:
    (column,) = live(empty_database, f"{TYPES} CREATE TABLE t (c {declared})").columns
    assert (column.type.name, column.type.carrier) == (name, carrier)
    if travels is None:
        assert refusal(column) is not None
        with pytest.raises(UnsupportedType, match=r"x\.t\.c: type"):
            carriage([column], "raw_x", "x.t")
    else:
        way = carriage([column], "raw_x", "x.t")
        assert f"{way.columns[0].type_name} {way.format}" == travels


def test_an_enum_keeps_its_order(empty_database: str) -> None:
    (column,) = live(empty_database, TYPES + 'CREATE TABLE t (c "Odd S"."My.Type")').columns
    assert (column.type.labels, column.type.type_schema, column.type.type_name) == (("b", "a"), "Odd S", "My.Type")


def test_keys_are_those_that_identify_a_row(empty_database: str) -> None:
    table = live(
        empty_database,
        """
        CREATE TABLE t (a int, b int, c int, d int, PRIMARY KEY (b, a), UNIQUE (c) INCLUDE (d),
                        UNIQUE (d) DEFERRABLE);
        CREATE UNIQUE INDEX ON t (a) WHERE a > 0;
        CREATE UNIQUE INDEX ON t ((a + b));
        ALTER TABLE t DROP COLUMN IF EXISTS z, ADD gone int;
        ALTER TABLE t DROP gone;
        """,
    )
    assert table.primary_key == ("b", "a")
    assert table.unique_keys == (("b", "a"), ("c",))
    assert [column.name for column in table.columns] == ["a", "b", "c", "d"]


def test_partitions_and_their_partitions(empty_database: str) -> None:
    table = live(
        empty_database,
        """
        CREATE TABLE t (a int, b int) PARTITION BY RANGE (a, (b + 1));
        CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0, 0) TO (1, 0) PARTITION BY HASH (b);
        CREATE TABLE t_1_0 PARTITION OF t_1 FOR VALUES WITH (MODULUS 1, REMAINDER 0);
        CREATE TABLE t_d PARTITION OF t DEFAULT;
        """,
    )
    assert (table.strategy, table.partition_columns) == ("range", ("a", ""))
    assert [(p.name, p.level, p.leaf) for p in table.partitions] == [
        ("t_1", 1, False),
        ("t_1_0", 2, True),
        ("t_d", 1, True),
    ]
    assert table.partitions[2].bound == "DEFAULT"


def test_foreign_keys_are_read_in_order_once(empty_database: str) -> None:
    table = live(
        empty_database,
        """
        CREATE SCHEMA other;
        CREATE TABLE other.o (x int, y int, PRIMARY KEY (x, y));
        CREATE TABLE t (b int, a int, FOREIGN KEY (b, a) REFERENCES other.o (y, x)) PARTITION BY LIST (a);
        CREATE TABLE t_1 PARTITION OF t FOR VALUES IN (1);
        """.replace("(x, y));", "(x, y), UNIQUE (y, x));"),
    )
    (key,) = table.foreign_keys
    assert (key.columns, key.schema, key.table, key.referenced) == (("b", "a"), "other", "o", ("y", "x"))
