"""Write files of the lake anew without some of their rows, or with others in their place.

Files are never changed. A new one has what the old one had, value by value, but for what its caller takes out or
changes: it is read back from the store and compared. Of those rows alone the hash is taken: that of a month follows.
What does not belong here: which rows, and when readers take the new files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.errors import ExportRefused
from warehouse.lake.columns import LakeColumn, schema_of
from warehouse.lake.content import ROW_GROUP, Content, content_of_batches, stored_columns
from warehouse.lake.export import DataFile, get_file, write_file
from warehouse.lake.layout import MONTH, file_path
from warehouse.lake.store import Store

#: Files that are written at a time, while others wait for the store; and rows that are in memory for it, about.
AT_ONCE, ROWS_AT_ONCE = 4, 4_000_000


@dataclass(frozen=True)
class Changed:
    """What becomes of a file's rows.

    Attributes:
        stays: that the new file has.
        gone: rows as they were that go, or are changed.
        made: what became of the latter; in ``stays``, unless the caller writes them elsewhere.
    """

    stays: pa.Table
    gone: pa.Table
    made: pa.Table


@dataclass(frozen=True)
class Rewritten:
    """A file that lost rows, or has others.

    Attributes:
        file: as it was.
        now: what takes its place; None: no row stayed.
        gone, made: as ``Changed`` has them, and what they amount to.
    """

    file: DataFile
    now: DataFile | None
    gone: pa.Table
    made: pa.Table
    gone_content: Content
    made_content: Content


@dataclass(frozen=True)
class Rewriting:
    """How files of one table are written anew.

    Attributes:
        store: at the table's root.
        columns: all of the table's; a file is written anew with those that it had.
        time: column that files tell first and last of.
        change: of a file's rows; None: it stays as it is. Called by several threads.
        name: beginning of the new files' names, of this pass alone.
    """

    store: Store
    columns: Sequence[LakeColumn]
    time: str | None
    change: Callable[[pa.Table], Changed | None]
    name: str

    def run(self, files: Sequence[DataFile]) -> Generator[Rewritten]:
        """Write files anew, some at a time; nobody reads them before they are committed.

        Raises:
            LakeUnavailable: the store refused.
            ExportRefused: a file is not what was written.
        """
        largest = max((file.rows for file in files), default=1)
        with ThreadPoolExecutor(max(1, min(AT_ONCE, ROWS_AT_ONCE // max(1, largest)))) as pool:
            for made in pool.map(self._rewritten, files):
                if made is not None:
                    yield made

    def write(self, rows: pa.Table, month: str, bucket: int) -> DataFile:
        """A new file of some rows, read back.

        Raises:
            LakeUnavailable: the store refused.
            ExportRefused: what was read back is not what was written.
        """
        stored = stored_columns(rows.schema, self.columns)
        path = file_path(month, bucket, f"{self.name}-{bucket}-{os.urandom(4).hex()}.parquet")
        made = write_file(self.store, path, month, bucket, rows, stored, self.time)
        if not _same(rows, _read(get_file(self.store, made)).cast(rows.schema)):
            raise ExportRefused(
                f"{self.store.url}/{path}: what was read back is not what was written", hint="Nothing was removed."
            )
        return made

    def forsake(self, month: str) -> None:
        """Remove what was written of a month: it is not to be."""
        for each in self.store.list(f"{MONTH}={month}/"):
            if each.path.rpartition("/")[2].startswith(f"{self.name}-"):
                self.store.remove(each.path)

    def _rewritten(self, file: DataFile) -> Rewritten | None:
        rows = _read(get_file(self.store, file))
        stored = stored_columns(rows.schema, self.columns)
        # Plain: a dictionary that was read would be written back with every value that it had.
        rows = rows.cast(schema_of(stored))
        changed = self.change(rows)
        del rows
        if changed is None:
            return None
        now = self.write(changed.stays, file.month, file.bucket) if changed.stays.num_rows else None
        amounts = map(partial(content_of_table, stored=stored), (changed.gone, changed.made))
        return Rewritten(file, now, changed.gone, changed.made, *amounts)


def content_of_table(rows: pa.Table, stored: Sequence[LakeColumn]) -> Content:
    """What rows amount to that have the types of the lake."""
    return content_of_batches(rows.to_batches(max_chunksize=ROW_GROUP), stored)


def _read(content: bytes) -> pa.Table:
    file: Any = pq.ParquetFile(pa.BufferReader(content))
    return file.read(use_threads=False)  # several files are read at once


def _same(rows: pa.Table, others: pa.Table) -> bool:
    """Whether both have the same values in the same order, bit by bit."""
    return rows.num_rows == others.num_rows and all(
        _bits(one).equals(_bits(other)) for one, other in zip(rows.columns, others.columns, strict=True)
    )


def _bits(column: Any) -> Any:
    """A column that equals itself: NaN does not, and a zero equals one of the other sign."""
    if not pa.types.is_floating(column.type):
        return column
    words = pa.int64() if column.type == pa.float64() else pa.int32()
    return pa.chunked_array([chunk.view(words) for chunk in column.chunks], words)
