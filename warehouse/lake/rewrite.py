"""Take rows out of files of the lake: what stays is written anew, and what goes is known by its hash.

Files are never changed. What does not belong here: which rows go, and when readers take the new files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from warehouse.lake.columns import LakeColumn, schema_of
from warehouse.lake.export import NOTHING, Content, DataFile, content_of, get_file, stored_columns, write_file
from warehouse.lake.layout import file_path
from warehouse.lake.store import Store


@dataclass(frozen=True)
class Rewritten:
    """What became of a month's files.

    Attributes:
        files: that the month has from now on; those that lost no row are the same.
        written: the new ones among them.
        content: what they amount to, read anew.
        gone: what was taken out.
    """

    files: tuple[DataFile, ...]
    written: tuple[DataFile, ...]
    content: Content
    gone: Content


def take_out(
    store: Store,
    files: Sequence[DataFile],
    columns: Sequence[LakeColumn],
    time: str | None,
    goes: Callable[[pa.Table], NDArray[np.bool_]],
    name: str,
) -> Rewritten:
    """Write files anew without some of their rows, one at a time; nobody reads them before they are committed.

    Args:
        store: at the table's root.
        files: of one month.
        columns: all of the table's; a file is written anew with those that it had.
        time: column that files tell first and last of.
        goes: which rows of a file go.
        name: beginning of the new files' names.

    Raises:
        LakeUnavailable: the store refused.
        ExportRefused: a file is not what was written.
    """
    kept: list[DataFile] = []
    written: list[DataFile] = []
    content, gone = NOTHING, NOTHING
    read: Any = pq.read_table  # type: ignore[reportUnknownMemberType]
    for file in files:
        held = get_file(store, file)
        before = content_of(held, columns)
        rows = read(pa.BufferReader(held))
        stored = stored_columns(rows.schema, columns)
        rows = rows.cast(schema_of(stored))
        leaving = goes(rows)
        if not leaving.any():
            kept.append(file)
            content += before
            continue
        after = NOTHING
        if not leaving.all():
            path = file_path(file.month, file.bucket, f"{name}-{file.bucket}-{os.urandom(4).hex()}.parquet")
            made = write_file(store, path, file.month, file.bucket, rows.filter(pa.array(~leaving)), stored, time)
            after = content_of(get_file(store, made), columns)
            kept.append(made)
            written.append(made)
        content, gone = content + after, gone + (before - after)
    return Rewritten(tuple(kept), tuple(written), content, gone)
