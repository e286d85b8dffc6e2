"""Every type arrives exactly, by every way into the warehouse; what cannot is refused by name.

Compared as SQL prints it on both sides (see ``ingesting``), never by the fingerprints of the code under test.
"""

from __future__ import annotations

import pytest
from ingesting import Bench

from warehouse.errors import UnsupportedType

#: type -> values, as SQL expressions; NULL is added to each.
VALUES: dict[str, list[str]] = {
    "boolean": ["true", "false"],
    "smallint": ["-32768", "32767", "0"],
    "integer": ["-2147483648", "2147483647"],
    "bigint": ["-9223372036854775808", "9223372036854775807"],
    "real": ["'-0'", "'NaN'", "'Infinity'", "'-Infinity'", "1.4e-45", "3.4028235e38", "0.1"],
    "double precision": ["'-0'", "0", "'NaN'", "'Infinity'", "'-Infinity'", "5e-324", "1.7976931348623157e308", "0.1"],
    "numeric": ["'NaN'", "'Infinity'", "'-Infinity'", "1.0", "1.00", "-0.0", "1e-200", "1e300", "0.000"],
    "numeric(12,3)": ["1.5", "-123456789.123", "'NaN'"],
    "numeric(3,-2)": ["12300"],
    "money": ["'12.50'", "'-92233720368547758.08'"],
    "text": ["''", "' '", "E'a\\nb\\tc\\\\'", "'\U0001f600 ü ß 中 \u200d'", "'\\N'", "'NULL'", "'\"(),{}'", "E'\\x01'"],
    "character varying(5)": ["''", "'äöü€😀'"],
    "character(5)": ["'ab'", "''", "'ab  c'"],
    '"char"': ["'a'", "''", "'\\377'"],
    "name": ["'x'", "''"],
    "bytea": ["''", "'\\x00ff5c27'"],
    "json": ["'{\"b\": 1,  \"a\": [1, null], \"a\": 2}'", "'null'", "'1.00'"],
    "jsonb": ["'{\"b\": 1, \"a\": [1, null]}'", "'null'", "'1.00'", "'\"\\u00fc\"'"],
    "jsonpath": ["'$.a[*] ? (@ > 1)'"],
    "uuid": ["'00000000-0000-0000-0000-000000000000'", "gen_random_uuid()"],
    "date": ["'infinity'", "'-infinity'", "'0044-03-15 BC'", "'2024-02-29'", "'9999-12-31'", "'5874897-12-31'"],
    "time without time zone": ["'00:00'", "'24:00'", "'12:34:56.789012'"],
    "time with time zone": ["'12:34:56.789012+05:30'", "'00:00-15:59'"],
    "timestamp without time zone": ["'infinity'", "'-infinity'", "'4713-01-01 BC'",
        "'294276-12-31 23:59:59.999999'"],
    "timestamp with time zone": ["'infinity'", "'-infinity'",
        "'0001-12-31 23:59:59.999999+00 BC'", "'2024-03-31 02:30+05:30'"],
    "timestamp(3) with time zone": ["'2024-03-31 02:30:00.123456+00'"],
    "interval": ["'1 mon -3 days 04:05:06.789'", "'-178000000 years'", "'infinity'", "'0'"],
    "interval day to second(2)": ["'3 days 04:05:06.789'"],
    "inet": ["'10.0.0.1/8'", "'::1'", "'10.0.0.0/8'"],
    "cidr": ["'10.0.0.0/8'", "'2001:db8::/32'"],
    "macaddr": ["'08:00:2b:01:02:03'"],
    "macaddr8": ["'08:00:2b:01:02:03:04:05'"],
    "bit(3)": ["B'101'", "B'000'"],
    "bit varying": ["B''", "B'10101010101'"],
    "point": ["'(1,-0)'", "'(NaN,Infinity)'"],
    "line": ["'{1,2,3}'"],
    "lseg": ["'[(0,0),(1,1)]'"],
    "box": ["'(1,1),(0,0)'"],
    "path": ["'((0,0),(1,1))'", "'[(0,0),(1,1)]'"],
    "polygon": ["'((0,0),(1,1),(2,0))'"],
    "circle": ["'<(1,2),3>'"],
    "tsvector": ["'a:1A,2B b c:3'", "''"],
    "tsquery": ["'a & !b | c:*'"],
    "oid": ["4294967295"],
    "xid": ["'4294967295'"],
    "xid8": ["'18446744073709551615'"],
    "cid": ["'7'"],
    "tid": ["'(4,2)'"],
    "pg_lsn": ["'16/B374D848'"],
    "pg_snapshot": ["'10:20:10,14,15'"],
    "int4range": ["'empty'", "'[1,5)'", "'(,)'"],
    "numrange": ["'[1.0,1.00]'", "'(1.5,)'"],
    "tstzrange": ["tstzrange('2024-01-01+00', NULL)", "tstzrange('-infinity', 'infinity', '[]')"],
    "daterange": ["'[2024-01-01,infinity]'"],
    "int4multirange": ["'{}'", "'{[1,2),[5,)}'"],
    "nummultirange": ["'{[1.0,2.00),[5,)}'"],
    "integer[]": ["'{}'", "'{{1,2},{3,NULL}}'", "'[2:3]={1,2}'", "'[-1:0][5:5]={{1},{2}}'"],
    "text[]": ["'{{a,NULL},{\"NULL\",\"\"}}'", "array['a,b', '\"', '\\', '{', ' ']"],
    "numeric(12,3)[]": ["array[1.5, NULL, 'NaN']"],
    "bytea[]": ["array['\\x00'::bytea, NULL]"],
    "timestamp with time zone[]": ["array['infinity', '2024-01-01+00', NULL]::timestamptz[]"],
    "jsonb[]": ["array['{\"a\": 1}', NULL]::jsonb[]"],
    "int4range[]": ["array['[1,5)', 'empty', NULL]::int4range[]"],
    "mood": ["'sad'", "'it''s, \"so\" so'", "'froh 😀'"],
    "mood[]": ["array['it''s, \"so\" so', NULL, 'sad']::mood[]", "'{}'"],
    '"Mixed"': ["'A'"],
    '"Mixed"[]': ["array['A', NULL]::\"Mixed\"[]"],
    "email": ["'a@b'"],
    "email[]": ["array['a@b', NULL]::email[]", "'[0:0]={a@b}'"],
    "numbers": ["'{1,NULL,3}'"],
    "feeling": ["'sad'"],
    "price": ["1.10"],
}  # fmt: skip

TYPES = """
CREATE TYPE mood AS ENUM ('sad', 'it''s, "so" so', 'froh 😀');
CREATE TYPE "Mixed" AS ENUM ('A', 'b');
CREATE DOMAIN email AS text CHECK (value LIKE '%@%');
CREATE DOMAIN numbers AS integer[];
CREATE DOMAIN feeling AS mood NOT NULL DEFAULT 'sad';
CREATE DOMAIN price0 AS numeric(10,2);
CREATE DOMAIN price AS price0 CHECK (value >= 0);
"""


def fill(bench: Bench, table: str, first: int = 0) -> int:
    """One row per value (all other columns NULL), one with all of the first ones, one of NULLs; returns the next id."""
    number = first
    for place, (kind, values) in enumerate(VALUES.items()):
        for value in values:
            bench.source(f"INSERT INTO {table} (id, c{place}) VALUES ({number}, ({value})::{kind})")
            number += 1
    firsts = ", ".join(f"({values[0]})::{kind}" for kind, values in VALUES.items())
    bench.source(
        f"INSERT INTO {table} (id, {', '.join(f'c{i}' for i in range(len(VALUES)))}) VALUES ({number}, {firsts})"
    )
    bench.source(f"INSERT INTO {table} (id) VALUES ({number + 1})")
    return number + 2


def make(bench: Bench, table: str, partitioned: bool = False) -> None:
    nullable = ", ".join(f"c{i} {kind}" for i, kind in enumerate(VALUES))
    bench.source(
        f"CREATE TABLE {table} (id int, at timestamptz NOT NULL DEFAULT '2024-02-10+00', {nullable},"
        " PRIMARY KEY (id, at))"
    )
    if partitioned:
        bench.monthly(table)
    else:
        bench.incremental(table, key=("id", "at"), cursor="at")


@pytest.fixture
def typed(bench: Bench) -> Bench:
    bench.source(TYPES.replace("NOT NULL DEFAULT 'sad'", ""))
    return bench


@pytest.mark.parametrize("partitioned", [False, True])
def test_every_type_arrives(typed: Bench, partitioned: bool) -> None:
    make(typed, "wide", partitioned)
    following = fill(typed, "wide")
    typed.ingest("wide")
    assert typed.assert_equal("wide") == following
    before = typed.relations()
    assert typed.ingest("wide").loads == ()
    assert typed.relations() == before
    # The same values once more, as changes: by upsert, and by the reload of a month.
    typed.source(f"UPDATE wide SET id = id + {following} WHERE id % 2 = 0")
    fill(typed, "wide", 2 * following)
    typed.ingest("wide")
    assert typed.assert_equal("wide") == 2 * following


def test_types_are_the_sources_own(typed: Bench) -> None:
    make(typed, "wide")
    typed.ingest("wide")
    expected = {
        "mood": f"{typed.raw}.{typed.name}_mood", "mood[]": f"{typed.raw}.{typed.name}_mood[]",
        '"Mixed"': f'{typed.raw}."{typed.name}_Mixed"', '"Mixed"[]': f'{typed.raw}."{typed.name}_Mixed"[]',
        "email": "text", "email[]": "text[]", "numbers": "integer[]", "feeling": f"{typed.raw}.{typed.name}_mood",
        "price": "numeric(10,2)",
    }  # fmt: skip
    found = dict(
        typed.warehouse(
            "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute"
            " WHERE attrelid = '{raw}.wide'::regclass AND attnum > 0"
        )
    )
    assert {kind: found[f"c{i}"] for i, kind in enumerate(VALUES)} == {
        kind: expected.get(kind, kind) for kind in VALUES
    }


#: Without an ordering, without a hash, or of a schema of their own.
ODD = [
    "json",
    "point",
    "xid",
    "tid",
    "jsonpath",
    "pg_snapshot",
    "line",
    "circle",
    "mood",
    '"Mixed"[]',
    "email[]",
    "feeling",
]


def test_odd_types_as_the_only_column_of_a_keyless_table(typed: Bench) -> None:
    """The raw parent is partitioned by its first column: that must work for a type without ordering, too."""
    for place, kind in enumerate(ODD):
        typed.source(f"CREATE TABLE lone_{place} (c {kind})")
        typed.source(f"INSERT INTO lone_{place} SELECT ({VALUES[kind][0]})::{kind} FROM generate_series(1, 2)")
        typed.source(f"INSERT INTO lone_{place} VALUES (NULL)")
        typed.declare(f"lone_{place}")
    with typed.snapshot() as snapshot:
        for place in range(len(ODD)):
            typed.ingest(f"lone_{place}", snapshot=snapshot)
            assert typed.assert_equal(f"lone_{place}") == 3


def test_large_values(bench: Bench) -> None:
    bench.source("CREATE TABLE large (id int PRIMARY KEY, t text, b bytea, j jsonb, a text[], updated_at int)")
    bench.source(
        "INSERT INTO large SELECT i, repeat('ü' || i, 500000),"
        " decode(repeat(md5(i::text), 40000), 'hex'), jsonb_build_object('k', repeat('x', 300000)),"
        " array_fill(repeat('y', 1000), array[300]), i FROM generate_series(1, 3) AS i"
    )
    bench.incremental("large")
    bench.ingest("large")
    assert bench.assert_equal("large") == 3
    # A change of one byte in the middle of a compressed, out-of-line value, which moves no cursor.
    bench.source("UPDATE large SET t = overlay(t placing 'x' from 400000 for 1) WHERE id = 2")
    assert bench.ingest("large").rows_written > 0
    assert bench.assert_equal("large") == 3


def test_generated_and_mixed_case_columns(bench: Bench) -> None:
    bench.source(
        'CREATE TABLE gen ("Id" int PRIMARY KEY, "Größe" numeric,'
        ' doubled numeric GENERATED ALWAYS AS ("Größe" * 2) STORED,'
        ' virtual numeric GENERATED ALWAYS AS ("Größe" + 1) VIRTUAL, "select" text, "updatedAt" int,'
        " ident int GENERATED ALWAYS AS IDENTITY)"
    )
    bench.source(
        """INSERT INTO gen ("Id", "Größe", "select", "updatedAt")
           SELECT i, i / 3.0, 'x', i FROM generate_series(1, 50) i"""
    )
    bench.incremental("gen", key=("Id",), cursor="updatedAt")
    bench.ingest("gen")
    assert bench.assert_equal("gen") == 50
    bench.source('UPDATE gen SET "Größe" = 7 WHERE "Id" = 3; DELETE FROM gen WHERE "Id" = 4')
    bench.ingest("gen")
    assert bench.assert_equal("gen") == 49


def test_a_table_with_very_many_columns(bench: Bench) -> None:
    columns = ", ".join(f"c{i} int" for i in range(1000))
    bench.source(f"CREATE TABLE many (id int PRIMARY KEY, {columns})")
    bench.source("INSERT INTO many (id, c0, c999) VALUES (1, 2, 3)")
    bench.declare("many", key=["id"])
    bench.ingest("many")
    assert bench.assert_equal("many") == 1


def test_enum_labels_added_later_keep_their_places(bench: Bench) -> None:
    bench.source(
        "CREATE TYPE size AS ENUM ('s', 'xl'); CREATE TABLE shirts (id int PRIMARY KEY, size size, sizes size[])"
    )
    bench.source("INSERT INTO shirts VALUES (1, 's', '{xl,s}'), (2, 'xl', '{}')")
    bench.declare("shirts", key=["id"])
    bench.ingest("shirts")
    bench.source("ALTER TYPE size ADD VALUE 'm' BEFORE 'xl'")
    bench.source("ALTER TYPE size ADD VALUE 'xs' BEFORE 's'")
    bench.source("ALTER TYPE size ADD VALUE 'xxl'")
    bench.source("ALTER TYPE size ADD VALUE 'l' AFTER 'm'")
    bench.source("INSERT INTO shirts VALUES (3, 'm', '{l,xs}'), (4, 'xxl', NULL), (5, 'xs', '{l}')")
    bench.ingest("shirts")
    assert bench.assert_equal("shirts") == 5
    order = bench.warehouse(f"SELECT enum_range(NULL::{{raw}}.{bench.name}_size)::text[]")
    assert order == [(["xs", "s", "m", "l", "xl", "xxl"],)]
    assert bench.warehouse("SELECT array_agg(id ORDER BY size) FROM {raw}.shirts") == [([5, 1, 3, 2, 4],)]


def test_a_renamed_enum_label(bench: Bench) -> None:
    bench.source(
        "CREATE TYPE size AS ENUM ('s', 'xl'); CREATE TABLE shirts (id int PRIMARY KEY, size size, updated_at int)"
    )
    bench.source("INSERT INTO shirts VALUES (1, 's', 1), (2, 'xl', 2)")
    bench.incremental("shirts")
    bench.ingest("shirts")
    bench.source("ALTER TYPE size RENAME VALUE 's' TO 'small'")
    bench.ingest("shirts")
    assert bench.assert_equal("shirts") == 2


@pytest.mark.parametrize(
    ("setup", "kind"),
    [
        ("CREATE TYPE pair AS (a int, b int)", "pair"),
        ("CREATE TYPE pair AS (a int, b int)", "pair[]"),
        ("CREATE TYPE pair AS (a int, b int); CREATE DOMAIN twin AS pair", "twin"),
        ("CREATE TYPE floats AS RANGE (subtype = float8)", "floats"),
        ("CREATE TYPE floats AS RANGE (subtype = float8)", "floats_multirange"),
        ("CREATE DOMAIN row_of AS int[]", "row_of[]"),
        ("", "regclass"),
        ("", "regtype[]"),
        ("", "regrole"),
        ("", "oidvector"),
        ("", "int2vector"),
    ],
)
def test_a_type_that_cannot_be_carried_is_refused_by_name(bench: Bench, setup: str, kind: str) -> None:
    bench.source(f"{setup}; CREATE TABLE odd (id int PRIMARY KEY, fine text, strange {kind})")
    bench.declare("odd", key=["id"])
    with pytest.raises(UnsupportedType) as refused:
        bench.ingest("odd")
    assert f"{bench.name}.odd.strange" in str(refused.value)
    assert "odd.fine" not in str(refused.value)
    assert bench.relations() == {}
    # Without the column the table can be ingested.
    bench.declare("odd", key=["id"], only=("id", "fine"))
    bench.source("INSERT INTO odd (id, fine) VALUES (1, 'x')")
    bench.ingest("odd")
    assert bench.assert_equal("odd") == 1
