"""What a set of rows amounts to, said by PostgreSQL of its tables and by us of files, in the same words.

What does not belong here: how a value is hashed (``rowhash``), and writing files (``export``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import sql

from warehouse.errors import ExportRefused
from warehouse.lake.columns import LakeColumn, record_hash
from warehouse.lake.rowhash import sum_of_hashes
from warehouse.postgres.sessions import Connection

#: Rows of a row group, and as many are hashed at a time.
ROW_GROUP = 100_000


@dataclass(frozen=True, eq=False)
class Content:
    """What a set of rows amounts to. A row and the same with NULL in columns that were added later are equal.

    A record's hash is ``h * 31 + column``, with 0 for NULL (``rowhash``): so rows, and sums of them, that lack the
    last columns have the hash of those that have NULL there once it is multiplied by 31 for each.

    Attributes:
        rows: their number.
        hash: the sum of their PostgreSQL hashes modulo 2^64.
        columns: how many columns were hashed: the table's first ones.
    """

    rows: int
    hash: int
    columns: int

    def __add__(self, other: Content) -> Content:
        return self._with(other, 1)

    def __sub__(self, other: Content) -> Content:
        return self._with(other, -1)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Content) and (difference := self - other).rows == 0 and difference.hash == 0

    def __hash__(self) -> int:
        return hash(self.rows)

    def _with(self, other: Content, sign: int) -> Content:
        columns = max(self.columns, other.columns)
        digest = self.over(columns) + sign * other.over(columns)
        return Content(self.rows + sign * other.rows, digest % 2**64, columns)

    def over(self, columns: int) -> int:
        """The hash of the same rows with NULL in columns up to so many."""
        return self.hash * pow(31, columns - self.columns, 2**64) % 2**64


NOTHING = Content(0, 0, 0)


def content_on_server(
    connection: Connection, relation: sql.Composable, columns: Sequence[LakeColumn], condition: sql.Composable
) -> Content:
    """What rows on the server amount to, as the caller's transaction sees them."""
    row = connection.execute(
        sql.SQL("SELECT count(*), coalesce(sum({}), 0) FROM {} WHERE {}").format(
            record_hash(columns), relation, condition
        )
    ).fetchone()
    assert row is not None
    return Content(row[0], int(row[1]) % 2**64, len(columns))


def content_of(content: bytes, columns: Sequence[LakeColumn]) -> Content:
    """What a Parquet file's rows amount to.

    Args:
        content: of the file.
        columns: all of the table's; the file lacks those that were added after it was written.

    Raises:
        ExportRefused: it has others.
    """
    file: Any = pq.ParquetFile(pa.BufferReader(content))
    stored = stored_columns(file.schema_arrow, columns)
    return content_of_batches(file.iter_batches(batch_size=ROW_GROUP, use_threads=False), stored)


def content_of_batches(batches: Iterable[pa.RecordBatch], stored: Sequence[LakeColumn]) -> Content:
    """What rows amount to that have exactly those columns, with their types in the lake."""
    total = Content(0, 0, len(stored))
    for batch in batches:
        values = [column.hashable(batch.column(number)) for number, column in enumerate(stored)]
        total += Content(batch.num_rows, sum_of_hashes(values, [column.kind for column in stored]), len(stored))
    return total


def stored_columns(schema: pa.Schema, columns: Sequence[LakeColumn]) -> tuple[LakeColumn, ...]:
    """Those of a table's columns that a file has: the first ones.

    Raises:
        ExportRefused: it has others.
    """
    stored = tuple(columns[: len(schema.names)])
    if schema.names != [column.name for column in stored]:
        named = ", ".join(column.name for column in columns)
        raise ExportRefused(f"a file has the columns {', '.join(schema.names)}, and the table {named}")
    return stored
