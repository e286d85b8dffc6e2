"""Where a row lies in the lake: its month, its bucket of subjects, and its place in the file.

A bucket holds the rows of some subjects only, sorted by subject and time: one person's erasure rewrites one file of a
month, and one person's rows lie side by side in it.

What does not belong here: the number of buckets (a table's policy).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from psycopg import sql

from warehouse.catalog.model import Table

#: The partition columns of every table in the lake. Their values are in a file's path, not in the file.
MONTH, BUCKET = "month", "bucket"
#: What the server sends of a subject that is no number: 32 bits of its MD5.
_SPREAD = "drivetrain spread"


@dataclass(frozen=True)
class Layout:
    """Of one table.

    Attributes:
        buckets: of a month.
        subject: column of the first subject; None: all rows are of bucket 0.
        whole: the subject is an integer.
        order: columns that a file is sorted by.
    """

    buckets: int
    subject: str | None
    whole: bool
    order: tuple[str, ...]

    @property
    def rule(self) -> str:
        """How a row's bucket follows from its subject, for whoever looks for files later: the policy may change."""
        return f"{self.subject if self.whole else f'md5({self.subject})'} % {self.buckets}" if self.subject else "0"

    def spread(self) -> tuple[tuple[str, sql.Composed], ...]:
        """What is selected besides the table's columns, to tell buckets by: name and expression."""
        if self.subject is None or self.whole or self.buckets == 1:
            return ()
        expression = sql.SQL("('x' || substr(md5({}::text), 1, 8))::bit(32)::bigint").format(
            sql.Identifier(self.subject)
        )
        return ((_SPREAD, expression),)

    def buckets_of(self, rows: pa.RecordBatch | pa.Table) -> NDArray[np.int32]:
        """The bucket of each row, 0 for those without a subject."""
        if self.subject is None or self.buckets == 1:
            return np.zeros(rows.num_rows, np.int32)
        columns: Any = rows
        numbers: Any = columns.column(self.subject if self.whole else _SPREAD)
        if numbers.null_count:
            numbers = numbers.fill_null(0)
        return (numbers.to_numpy(zero_copy_only=False).astype(np.int64, copy=False) % self.buckets).astype(np.int32)

    def bucket_of(self, subject: int | str | None) -> int:
        """The bucket of one subject: a number modulo the buckets; of a text, the first 32 bits of its MD5."""
        if subject is None or self.subject is None:
            return 0
        if isinstance(subject, int):
            return subject % self.buckets
        return int(hashlib.md5(subject.encode(), usedforsecurity=False).hexdigest()[:8], 16) % self.buckets


_INTEGERS = ("smallint", "integer", "bigint")


def layout_of(policy: Table, types: Mapping[str, str]) -> Layout:
    """As a policy says: by the first subject, sorted by it, the time and the key.

    Args:
        policy: of the table.
        types: PostgreSQL's, by column.
    """
    subject = policy.subjects[0].column if policy.subjects else None
    order = dict.fromkeys(each for each in (subject, policy.time, *policy.key) if each is not None)
    buckets = policy.tiers.cold.buckets if policy.tiers.cold else 1
    return Layout(buckets, subject, types.get(subject or "") in _INTEGERS, tuple(order))


def file_path(month: str, bucket: int, name: str) -> str:
    """Of a file, from the table's root, as Delta's readers know it."""
    return f"{MONTH}={month}/{BUCKET}={bucket}/{name}"
