"""Write a month of a PostgreSQL table into Parquet files: bucketed, sorted, encoded, within bounded memory.

Rows leave the server once, as Arrow out of a binary COPY. Those of a small month stay in memory; else each batch is cut
into groups of buckets that are put aside in temporary files, and sorted and written group by group, on two threads. The
server meanwhile hashes the same rows under the same snapshot; what is read back from the files has to have that hash.

What does not belong here: when a month moves, and what of it readers see (``warehouse.tiering``).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import os
import queue
import tempfile
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
from psycopg import sql

from warehouse.errors import ExportRefused, LakeUnavailable
from warehouse.lake.columns import LakeColumn, schema_of
from warehouse.lake.content import NOTHING, ROW_GROUP, Content, content_of
from warehouse.lake.layout import Layout, file_path
from warehouse.lake.store import Store
from warehouse.postgres.arrow import arrow_cursor
from warehouse.postgres.sessions import Connection, Dsn

#: Bytes of a group of buckets, about: several times as much is in memory while it is sorted and written.
GROUP_BYTES = 24 * 2**20
#: Rows after which a bucket's next file begins.
FILE_ROWS = 4_000_000
WORKERS = 2


@dataclass(frozen=True)
class DataFile:
    """One Parquet file of the lake.

    Attributes:
        path: from the table's root.
        month, bucket: of all its rows.
        rows, bytes: how many.
        sha256: of its bytes, in hexadecimal.
        first, last: of the table's time column, as Delta's statistics write it: not later, and not earlier; None
            without such a column, or without a row that has a time.
    """

    path: str
    month: str
    bucket: int
    rows: int
    bytes: int
    sha256: str
    first: str | None = None
    last: str | None = None


@dataclass(frozen=True)
class Part:
    """The rows to write, and how.

    Attributes:
        dsn: of the server.
        snapshot: exported by the session that compares; it must stay open.
        relation: the table.
        condition: which of its rows.
        columns: all of the table's.
        layout: of the lake's table.
        time: column that files tell first and last of.
        month: of all rows, ``2024-01``.
        bytes: of the rows on the server, about.
    """

    dsn: Dsn
    snapshot: str
    relation: sql.Identifier
    condition: sql.Composable
    columns: tuple[LakeColumn, ...]
    layout: Layout
    time: str | None
    month: str
    bytes: int


def refuse_infinite(
    connection: Connection, relation: sql.Identifier, columns: Sequence[LakeColumn], condition: sql.Composable
) -> None:
    """Name the columns whose values no file can hold.

    Raises:
        ExportRefused: there are any.
    """
    timed = [column for column in columns if column.timed]
    if not timed:
        return
    counts = sql.SQL(", ").join(
        sql.SQL("count(*) FILTER (WHERE NOT isfinite({}))").format(sql.Identifier(column.name)) for column in timed
    )
    row = connection.execute(sql.SQL("SELECT {} FROM {} WHERE {}").format(counts, relation, condition)).fetchone()
    assert row is not None
    found = [f"{column.name} ({count})" for column, count in zip(timed, row, strict=True) if count]
    if found:
        raise ExportRefused(
            f"{relation.as_string(connection)}: rows with an infinite time, which no Parquet file can hold: "
            f"{', '.join(found)}",
            hint="Give them a time, or NULL. Nothing was moved.",
        )


def write_files(part: Part, store: Store, name: str) -> list[DataFile]:
    """Write the rows' files; nobody reads them before they are committed (``delta``).

    Args:
        part: which rows.
        store: at the table's root.
        name: beginning of the files' names, of this export alone.

    Raises:
        LakeUnavailable: the store does not take them, or the temporary folder.
        AccessDenied: the store refuses.
        ServerUnavailable: the session that reads them was ended.
        ExportRefused: a value does not fit its column's type in the lake.
    """
    groups = min(part.layout.buckets, max(1, -(-part.bytes // GROUP_BYTES)))
    try:
        with tempfile.TemporaryDirectory(prefix="drivetrain-export-") as folder:
            gathered = _gather(part, groups, Path(folder))
            with ThreadPoolExecutor(WORKERS) as pool:
                written = pool.map(partial(_write_group, part, store, name), range(len(gathered)), gathered)
                return [file for files in written for file in files]
    except OSError as error:  # not the store's: what that says has a class of its own
        raise LakeUnavailable(
            f"{tempfile.tempdir or 'temporary files'}: rows on their way to the lake cannot be put aside: "
            f"{error.strerror or error}",
            hint="Nothing was moved. Make room there, or name another folder by TMPDIR.",
        ) from error


def _gather(part: Part, groups: int, folder: Path) -> list[Path | list[pa.RecordBatch]]:
    """The rows by group of buckets: in memory if there is one, else in files."""
    if groups == 1:
        return [list(_batches(part))]
    paths = [folder / str(number) for number in range(groups)]
    with ExitStack() as opened:
        writers: dict[int, Any] = {}
        for batch in _batches(part):
            group = part.layout.buckets_of(batch) * groups // part.layout.buckets
            order = np.argsort(group.astype(np.uint16), kind="stable")
            places: Any = pa.array(order)
            sorted_batch = batch.take(places)
            edges = np.searchsorted(group[order], np.arange(groups + 1))
            for number in range(groups):
                if edges[number] < edges[number + 1]:
                    if number not in writers:
                        writers[number] = opened.enter_context(ipc.new_stream(paths[number].as_posix(), batch.schema))
                    writers[number].write_batch(sorted_batch.slice(edges[number], edges[number + 1] - edges[number]))
    return [path for path in paths if path.exists()]


def _batches(part: Part) -> Iterator[pa.RecordBatch]:
    """Batches from the server, read ahead by a thread of their own."""
    ahead: queue.Queue[pa.RecordBatch | BaseException | None] = queue.Queue(maxsize=2)
    stop = threading.Event()

    def read() -> None:
        try:
            for batch in _read(part):
                while not stop.is_set():
                    try:
                        ahead.put(batch, timeout=0.1)
                        break
                    except queue.Full:
                        continue
                if stop.is_set():
                    return
            ahead.put(None)
        except BaseException as error:
            ahead.put(error)

    thread = threading.Thread(target=read, name="export", daemon=True)
    thread.start()
    try:
        while (batch := ahead.get()) is not None:
            if isinstance(batch, BaseException):
                raise batch
            yield batch
    finally:
        stop.set()
        while not ahead.empty():
            ahead.get_nowait()
        thread.join()


def _read(part: Part) -> Iterator[pa.RecordBatch]:
    selected = [
        *((column.name, column.expression()) for column in part.columns),
        *part.layout.spread(),
    ]
    query = sql.SQL("SELECT {} FROM {} WHERE {}").format(
        sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(expression, sql.Identifier(name)) for name, expression in selected
        ),
        part.relation,
        part.condition,
    )
    with arrow_cursor(part.dsn, part.snapshot) as cursor:
        cursor.execute(query.as_string(None))
        yield from cursor.fetch_record_batch()


def _write_group(
    part: Part, store: Store, name: str, number: int, gathered: Path | list[pa.RecordBatch]
) -> list[DataFile]:
    """The files of a group of buckets."""
    if isinstance(gathered, Path):
        with pa.memory_map(gathered.as_posix()) as mapped:
            received = ipc.open_stream(mapped).read_all()
    else:
        if not gathered:
            return []
        received = pa.Table.from_batches(gathered)
    buckets = part.layout.buckets_of(received)
    keys = [("drivetrain bucket", "ascending"), *((column, "ascending") for column in part.layout.order)]
    unsorted: Any = _as_stored(part, received).append_column("drivetrain bucket", pa.array(buckets)).combine_chunks()
    rows: pa.Table = unsorted.sort_by(keys)
    ordered = rows.column("drivetrain bucket").to_numpy()
    rows = rows.drop_columns(["drivetrain bucket"])
    files: list[DataFile] = []
    found, starts = np.unique(ordered, return_index=True)
    for bucket, start, end in zip(found, starts, [*starts[1:], len(ordered)], strict=True):
        for offset in range(int(start), int(end), FILE_ROWS):
            count = min(FILE_ROWS, int(end) - offset)
            path = file_path(part.month, int(bucket), f"{name}-{number:03d}-{int(bucket)}-{offset}.parquet")
            piece = rows.slice(offset, count)
            files.append(write_file(store, path, part.month, int(bucket), piece, part.columns, part.time))
    return files


def _as_stored(part: Part, rows: pa.Table) -> pa.Table:
    """The rows with the types of the lake.

    Raises:
        ExportRefused: a value has none (a numeric that is NaN).
    """
    columns: list[Any] = []
    for column in part.columns:
        try:
            columns.append(column.received(rows.column(column.name)))
        except pa.ArrowInvalid as error:
            raise ExportRefused(
                f"{part.relation.as_string(None)}.{column.name}: a value of {column.type_name} does not fit "
                f"{column.arrow} of the lake: {error}",
                hint="Mend it at the source (NaN and Infinity have no decimal), or give the column the type numeric.",
            ) from None
    return pa.table(columns, schema=schema_of(part.columns))


def write_file(
    store: Store, path: str, month: str, bucket: int, rows: pa.Table, columns: Sequence[LakeColumn], time: str | None
) -> DataFile:
    """Write rows, which are of one month and bucket and in order, as one file.

    Raises:
        LakeUnavailable: the store refused.
    """
    content = encoded(rows, columns)
    store.put(path, content)
    ends = (None, None) if time is None else _ends(rows.column(time))
    return DataFile(path, month, bucket, rows.num_rows, len(content), hashlib.sha256(content).hexdigest(), *ends)


def _ends(times: pa.ChunkedArray[Any]) -> tuple[str | None, str | None]:
    """First and last as Delta's statistics write them: dates, or UTC to the millisecond, rounded outwards."""
    try:
        ends: Any = pc.min_max(times).as_py()
    except OverflowError:  # before the year 1: nothing is said of the file, and readers look into it
        return None, None
    first, last = ends["min"], ends["max"]
    if first is None or (pa.types.is_timestamp(times.type) and times.type.tz is None):
        return None, None
    if not isinstance(first, dt.datetime):
        return first.isoformat(), last.isoformat()
    last += dt.timedelta(microseconds=-last.microsecond % 1000)
    return tuple(f"{each:%Y-%m-%dT%H:%M:%S}.{each.microsecond // 1000:03d}Z" for each in (first, last))  # type: ignore[return-value]


def encoded(rows: pa.Table, columns: Sequence[LakeColumn]) -> bytes:
    """A Parquet file of rows, with the encodings of their columns."""
    file = io.BytesIO()
    write: Any = pq.write_table  # type: ignore[reportUnknownMemberType]
    write(
        rows,
        file,
        row_group_size=ROW_GROUP,
        compression="zstd",
        compression_level=3,
        use_dictionary=[column.name for column in columns if column.encoding == "dictionary"],
        column_encoding={
            column.name: column.encoding for column in columns if column.encoding not in ("dictionary", "PLAIN")
        },
        store_schema=False,
    )
    return file.getvalue()


def read_back(store: Store, files: Sequence[DataFile], columns: Sequence[LakeColumn]) -> Content:
    """What files amount to, read anew from the store; two at a time.

    Raises:
        LakeUnavailable: one is not there.
        ExportRefused: one is not what was written.
    """
    with ThreadPoolExecutor(WORKERS) as pool:
        return sum(pool.map(partial(_read_file, store, columns), files), NOTHING)


def _read_file(store: Store, columns: Sequence[LakeColumn], file: DataFile) -> Content:
    return content_of(get_file(store, file), columns)


def get_file(store: Store, file: DataFile) -> bytes:
    """A file's bytes, if they are those that were written.

    Raises:
        LakeUnavailable: it is not there.
        ExportRefused: it is another.
    """
    content = store.get(file.path)
    if len(content) != file.bytes or hashlib.sha256(content).hexdigest() != file.sha256:
        raise ExportRefused(
            f"{store.url}/{file.path} is not the file that was written: {len(content)} bytes instead of {file.bytes}, "
            "or others",
            hint="`drivetrain prove --deep` says what else is wrong. Nothing was dropped.",
        )
    return content


def export_name() -> str:
    """A name that no other export has."""
    return f"part-{os.urandom(8).hex()}"
