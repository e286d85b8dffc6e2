"""The hash of rows in numpy is PostgreSQL's own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from warehouse.lake.rowhash import Kind, sum_of_hashes

TYPES: dict[str, tuple[Kind, pa.DataType, st.SearchStrategy[Any]]] = {
    "smallint": ("int4", pa.int16(), st.integers(-(2**15), 2**15 - 1)),
    "integer": ("int4", pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    "bigint": ("int8", pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "real": ("float8", pa.float32(), st.floats(width=32)),
    "double precision": ("float8", pa.float64(), st.floats()),
    "text": ("bytes", pa.string(), st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))),
    "bytea": ("bytes", pa.binary(), st.binary(max_size=40)),
}
ROWS = st.lists(
    st.tuples(*(strategy | st.none() for _, _, strategy in TYPES.values())),  # type: ignore[reportUnknownArgumentType]
    max_size=40,
)


@pytest.fixture
def table(empty_database: str) -> Any:
    with psycopg.connect(empty_database, autocommit=True) as connection:
        columns = sql.SQL(", ").join(
            sql.SQL(f"c{number} {name}")
            for number, name in enumerate(TYPES)  # type: ignore[arg-type]
        )
        connection.execute(sql.SQL("CREATE TABLE t ({})").format(columns))
        yield connection


def in_postgres(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT coalesce(sum(hash_record_extended(t, 0)), 0) FROM t").fetchone()
    assert row is not None
    return int(row[0]) % 2**64


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_sums_are_the_servers(table: psycopg.Connection, rows: list[tuple[Any, ...]]) -> None:
    table.execute("TRUNCATE t")
    with table.cursor() as cursor, cursor.copy("COPY t FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(["int2", "int4", "int8", "float4", "float8", "text", "bytea"])
        for row in rows:
            copy.write_row(row)
    columns = [pa.array([row[number] for row in rows], kind) for number, (_, kind, _) in enumerate(TYPES.values())]
    assert sum_of_hashes(columns, [kind for kind, _, _ in TYPES.values()]) == in_postgres(table)


def test_more_rows_than_a_block(table: psycopg.Connection) -> None:
    table.execute(
        "INSERT INTO t (c2, c4, c5) SELECT i, i / 7.0, repeat('x', i % 40) FROM generate_series(1, 50000) AS i"
    )
    i = np.arange(1, 50001)
    nothing = pa.nulls(50000)
    columns = [
        nothing.cast(pa.int16()), nothing.cast(pa.int32()), pa.array(i), nothing.cast(pa.float32()),
        pa.array(i / 7.0), pa.array(["x" * (n % 40) for n in i]), nothing.cast(pa.binary()),
    ]  # fmt: skip
    assert sum_of_hashes(columns, [kind for kind, _, _ in TYPES.values()]) == in_postgres(table)


@pytest.mark.parametrize("value", [0.0, -0.0, math.nan, math.inf, -math.inf, 5e-324])
def test_a_float_that_is_no_ordinary_one(table: psycopg.Connection, value: float) -> None:
    table.execute("INSERT INTO t (c4) VALUES (%s)", [value])
    columns = [pa.nulls(1, kind) for _, kind, _ in TYPES.values()]
    columns[4] = pa.array([value])
    assert sum_of_hashes(columns, [kind for kind, _, _ in TYPES.values()]) == in_postgres(table)
