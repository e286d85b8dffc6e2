"""A month out of a real server into Parquet files and back: every type, exactly, or refused."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from tiering import TYPES

from warehouse.errors import ExportRefused, LakeUnavailable
from warehouse.lake import export
from warehouse.lake.columns import LakeColumn, lake_columns
from warehouse.lake.content import NOTHING, Content, content_on_server
from warehouse.lake.delta import LakeTable
from warehouse.lake.export import Part, read_back, refuse_infinite, write_files
from warehouse.lake.layout import Layout
from warehouse.lake.store import Store
from warehouse.postgres.carriage import Carriage, CarriedColumn
from warehouse.postgres.sessions import Dsn, connect

TRUE = sql.SQL("true")
RELATION = sql.Identifier("public", "facts")
COLUMNS = lake_columns(
    Carriage(
        tuple(CarriedColumn(f"c {number}", sql.SQL(name), name) for number, name in enumerate(TYPES))  # type: ignore[arg-type]
    )
)


@pytest.fixture
def table(empty_database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(empty_database, autocommit=True) as connection:
        columns = ", ".join(f'"c {number}" {name}' for number, name in enumerate(TYPES))
        connection.execute(f"CREATE TABLE facts ({columns})".encode())
        yield connection


@pytest.fixture
def lake(tmp_path: Path) -> LakeTable:
    return LakeTable(Store(tmp_path.as_uri()).under("app", "facts"), COLUMNS, "c 11")


def exported(
    dsn: str, lake: LakeTable, columns: Sequence[LakeColumn] = COLUMNS, layout: Layout | None = None
) -> tuple[Content, Content, list[export.DataFile]]:
    """What the server says, what the files say, and the files."""
    with connect(Dsn(dsn)) as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        ((snapshot,),) = connection.execute("SELECT pg_export_snapshot()").fetchall()
        layout = layout or Layout(4, "c 0", True, ("c 0", "c 11"))
        part = Part(Dsn(dsn), snapshot, RELATION, TRUE, tuple(columns), layout, "c 11", "2024-01", 1000)
        files = write_files(part, lake.store, export.export_name())
        return (
            content_on_server(connection, RELATION, columns, TRUE),
            read_back(lake.store, files, columns),
            files,
        )


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(*(st.sampled_from(values) | st.none() for values in TYPES.values())), max_size=30))
def test_what_is_read_back_is_what_the_server_has(
    table: psycopg.Connection, empty_database: str, lake: LakeTable, rows: list[tuple[str | None, ...]]
) -> None:
    table.execute("TRUNCATE facts")
    with table.cursor() as cursor, cursor.copy("COPY facts FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
    server, files, written = exported(empty_database, lake)
    assert files == server
    assert files.rows == len(rows) == sum(file.rows for file in written)


@pytest.mark.parametrize("name", TYPES)
def test_a_changed_value_of_any_type_is_seen(
    table: psycopg.Connection, empty_database: str, lake: LakeTable, name: str
) -> None:
    """Or the comparison would prove nothing."""
    number = list(TYPES).index(name)
    table.execute(f'INSERT INTO facts ("c {number}") VALUES (%s::{name})'.encode(), [TYPES[name][-1]])
    _, one, _ = exported(empty_database, lake)
    table.execute(f'UPDATE facts SET "c {number}" = NULL'.encode())
    server, other, _ = exported(empty_database, lake)
    assert one.rows == other.rows == 1
    assert one.hash != other.hash
    assert server == other


def test_much_is_put_aside_and_comes_out_the_same(
    table: psycopg.Connection, empty_database: str, lake: LakeTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.execute(
        'INSERT INTO facts ("c 0", "c 4", "c 11", "c 16")'
        " SELECT i % 1000, i / 7.0, '2024-01-01+00'::timestamptz + i * interval '13 s', 'ride ' || i % 77"
        " FROM generate_series(1, 100000) AS i"
    )
    monkeypatch.setattr(export, "GROUP_BYTES", 100)
    layout = Layout(7, "c 0", True, ("c 0", "c 11"))
    server, files, written = exported(empty_database, lake, layout=layout)
    assert files == server
    assert server.rows == 100_000
    assert {file.bucket for file in written} == set(range(7))
    for file in written:
        rows = pq.read_table(Path(lake.store.root) / file.path, columns=["c 0", "c 11"]).to_pylist()
        assert {row["c 0"] % 7 for row in rows} == {file.bucket}
        assert rows == sorted(rows, key=lambda row: (row["c 0"], row["c 11"]))


@pytest.mark.parametrize("subject", [16, 20])
def test_a_subject_that_is_no_number_has_the_bucket_that_its_text_gives(
    table: psycopg.Connection, empty_database: str, lake: LakeTable, subject: int
) -> None:
    column = f"c {subject}"
    table.execute(
        f'INSERT INTO facts ("{column}") SELECT gen_random_uuid()::text::{COLUMNS[subject].type_name}'
        " FROM generate_series(1, 50)".encode()
    )
    table.execute("INSERT INTO facts DEFAULT VALUES")
    layout = Layout(8, column, False, (column,))
    _, files, written = exported(empty_database, lake, layout=layout)
    assert files.rows == 51
    assert len(written) > 1
    for file in written:
        for row in pq.read_table(Path(lake.store.root) / file.path).to_pylist():
            assert layout.bucket_of(row[column]) == file.bucket


@pytest.mark.parametrize("column", ["c 10", "c 11", "c 12"])
def test_an_infinite_time_is_refused_by_name(table: psycopg.Connection, empty_database: str, column: str) -> None:
    table.execute(f"""INSERT INTO facts ("{column}") VALUES ('infinity'), ('-infinity'), ('2024-01-01')""".encode())
    with connect(Dsn(empty_database)) as connection, pytest.raises(ExportRefused, match=rf"{column} \(2\)"):
        refuse_infinite(connection, RELATION, COLUMNS, TRUE)


def test_a_decimal_that_is_no_number_is_refused(
    table: psycopg.Connection, empty_database: str, lake: LakeTable
) -> None:
    table.execute("""INSERT INTO facts ("c 6") VALUES ('NaN')""")
    with pytest.raises(ExportRefused, match=r"facts.*c 6: a value of numeric\(12,2\) does not fit"):
        exported(empty_database, lake)


def test_nothing_is_a_month_too(table: psycopg.Connection, empty_database: str, lake: LakeTable) -> None:
    assert exported(empty_database, lake) == (NOTHING, NOTHING, [])


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_a_damaged_file_is_not_taken_for_what_was_written(
    table: psycopg.Connection, empty_database: str, lake: LakeTable, damage: str
) -> None:
    table.execute('INSERT INTO facts ("c 0") SELECT generate_series(1, 10)')
    _, _, (file, *others) = exported(empty_database, lake)
    place = Path(lake.store.root) / file.path
    content = bytearray(place.read_bytes())
    if damage == "cut":
        place.write_bytes(content[:-1])
    elif damage == "flipped":
        content[10] ^= 1
        place.write_bytes(content)
    else:
        place.unlink()
    with pytest.raises(LakeUnavailable if damage == "gone" else ExportRefused, match="part-"):
        read_back(lake.store, [file, *others], COLUMNS)


def test_a_failure_of_the_server_meanwhile_is_raised(
    table: psycopg.Connection, empty_database: str, lake: LakeTable
) -> None:
    part = Part(
        Dsn(empty_database),
        "00000000-00000000-1",
        RELATION,
        TRUE,
        COLUMNS,
        Layout(1, None, True, ()),
        None,
        "2024-01",
        1,
    )
    with pytest.raises(Exception, match="snapshot"):
        write_files(part, lake.store, "x")


def test_an_export_is_committed_once(table: psycopg.Connection, empty_database: str, lake: LakeTable) -> None:
    table.execute(
        """INSERT INTO facts ("c 0", "c 11", "c 4") VALUES (1, '2024-01-05 10:00:00.123456+00', %s)""", [math.pi]
    )
    _, _, files = exported(empty_database, lake)
    assert lake.open() is None
    assert lake.commit("an export", files)
    assert not lake.commit("an export", files)
    assert lake.files() == {file.path: file.bytes for file in files}
    assert lake.open().to_pyarrow_dataset().to_table(columns=["c 4", "month", "bucket"]).to_pylist() == [
        {"c 4": math.pi, "month": "2024-01", "bucket": 1}
    ]
    log = (Path(lake.store.root) / "_delta_log/00000000000000000001.json").read_text()
    assert '{\\"c 11\\": \\"2024-01-05T10:00:00.123Z\\"}' in log
    assert '{\\"c 11\\": \\"2024-01-05T10:00:00.124Z\\"}' in log
    replacement = [dataclasses.replace(file, path=f"{file.path}.2") for file in files]
    assert lake.commit("another", replacement, removed=[file.path for file in files])
    assert set(lake.files()) == {file.path for file in replacement}


def test_a_place_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LakeUnavailable, match="Not a directory"):
        Store((tmp_path / "file").as_uri()).put("month=2024-01/x", b"")
