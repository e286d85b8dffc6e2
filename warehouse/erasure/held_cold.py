"""Rows of the lake about some persons: of the files that can hold them the row groups that do, and not a byte besides.

What does not belong here: which files can hold them, and which rows (``cold``, ``marking``).
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.erasure.cold import Candidate, candidates, in_the_lake, may_hold
from warehouse.erasure.marking import Marking
from warehouse.lake.columns import LakeColumn, schema_of
from warehouse.lake.content import stored_columns
from warehouse.lake.export import WORKERS
from warehouse.postgres.sessions import Connection
from warehouse.state.moves import extent_of_lake, read_files, read_layouts
from warehouse.state.tiered import Tiered

#: A file of no more bytes is fetched whole: its footer alone is fetched with as many.
_SMALL = 1 << 18


@dataclass
class LakeRead:
    """How much of the lake was read: grows while it is.

    Attributes:
        files, bytes: that were read: of files their footers, and what was needed of them.
        all_files, all_bytes: of the tables that were asked.
    """

    files: int = 0
    bytes: int = 0
    all_files: int = 0
    all_bytes: int = 0


class _Counted:
    """A file that counts what is read of it."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.read_bytes = 0

    def read(self, size: int = -1) -> bytes:
        content: bytes = self._file.read(size)
        self.read_bytes += len(content)
        return content

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def cold_rows(connection: Connection, table: Tiered, marking: Marking, read: LakeRead) -> Iterator[pa.Table]:
    """The rows, file by file, with the columns that each file has and their types in the lake.

    Args:
        connection: of the warehouse, in the transaction whose ledger says which files readers take.
        table: which.
        marking: which rows; nothing becomes of them.
        read: is added to.

    Raises:
        LakeUnavailable: a file is not there.
        ExportRefused: a file has other columns than the table.
    """
    files, size = extent_of_lake(connection, table.system.system, table.name)
    read.all_files += files
    read.all_bytes += size
    if not files:
        return
    layouts = read_layouts(connection, table.system.system, table.name)
    every = [
        candidate
        for move in in_the_lake(connection, table)
        for candidate in candidates(read_files(connection, move), marking, table.layout, layouts[move.id])
    ]
    with ThreadPoolExecutor(WORKERS) as pool:
        for first in range(0, len(every), WORKERS):  # no more of them are in memory
            for rows, count in pool.map(partial(_rows_of_file, table, marking), every[first : first + WORKERS]):
                read.files += 1
                read.bytes += count
                yield from rows


def _rows_of_file(table: Tiered, marking: Marking, candidate: Candidate) -> tuple[list[pa.Table], int]:
    store, path = table.lake.store, candidate.file.path
    if candidate.file.bytes <= _SMALL:
        content = store.get(path)
        return _rows_in(pq.ParquetFile(pa.BufferReader(content)), table, marking, candidate), len(content)
    with store.open(path) as opened:
        counted: Any = _Counted(opened)
        return _rows_in(pq.ParquetFile(pa.PythonFile(counted, "r")), table, marking, candidate), counted.read_bytes


def _rows_in(file: Any, table: Tiered, marking: Marking, candidate: Candidate) -> list[pa.Table]:
    stored = stored_columns(file.schema_arrow, table.columns)
    names = [column.name for column in stored]
    subjects = [name for name in candidate.subjects if name in names]
    found: list[pa.Table] = []
    for group in range(file.metadata.num_row_groups):
        led = [name for name in subjects if may_hold(file, group, names.index(name), marking, name)]
        if led and (rows := _rows_of_group(file, group, stored, led, marking)).num_rows:
            found.append(rows)
    return found


def _rows_of_group(file: Any, group: int, stored: tuple[LakeColumn, ...], led: list[str], marking: Marking) -> pa.Table:
    """First the columns that lead to persons; the others only where these do."""
    leading = [column for column in stored if column.name in led]
    rest = [column for column in stored if column.name not in led]
    rows: pa.Table = _read(file, group, leading)
    marks = np.zeros(rows.num_rows, np.bool_)
    for flags in marking.marked(rows, led).values():
        marks |= flags
    rows = rows.filter(pa.array(marks))
    if rows.num_rows and rest:
        others = _read(file, group, rest).filter(pa.array(marks))
        for name in others.column_names:
            rows = rows.append_column(others.schema.field(name), others.column(name))  # type: ignore[arg-type]
    return rows


def _read(file: Any, group: int, columns: list[LakeColumn]) -> pa.Table:
    names = [column.name for column in columns]
    return file.read_row_group(group, columns=names, use_threads=False).select(names).cast(schema_of(columns))
