"""The Delta log of a table in the lake: which files are its rows, and which export each commit was.

What the log says is public to whoever reads the bucket, and outlives the files: so it tells of a file its rows and the
range of its time, and nothing of a subject or of any other column.

What does not belong here: the files' content (``export``), and which months readers take from the lake (``state``).
"""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from warehouse.lake.columns import LakeColumn, schema_of
from warehouse.lake.export import DataFile
from warehouse.lake.layout import BUCKET, MONTH
from warehouse.lake.store import Store
from warehouse.lake.trouble import told


@dataclass(frozen=True)
class LakeTable:
    """One table in the lake.

    Attributes:
        store: at its root.
        columns: that its files have.
        time: the column that the log tells the range of.
        description: for whoever reads the table elsewhere.
    """

    store: Store
    columns: tuple[LakeColumn, ...]
    time: str | None
    description: str = ""

    def schema(self) -> pa.Schema:
        """Of the table: its files' columns, and those that are in their paths."""
        files: Any = schema_of(self.columns)
        return files.append(pa.field(MONTH, pa.string())).append(pa.field(BUCKET, pa.int32()))

    def open(self) -> Any:
        """The newest version, as deltalake has it; None if the table was never written.

        Raises:
            LakeUnavailable: the store does not answer, or the log cannot be read.
            AccessDenied: the store refuses.
        """
        from deltalake import DeltaTable
        from deltalake.exceptions import TableNotFoundError

        with self._answering():
            try:
                return DeltaTable(self.store.url, storage_options=self.store.delta_options)
            except TableNotFoundError:
                return None

    def ensure(self) -> Any:
        """The newest version of the table, with all columns; it is made if there is none."""
        from deltalake import DeltaTable

        if (table := self.open()) is not None:
            return self._with_all_columns(table)
        if self.store.local:  # deltalake makes no folder
            from pathlib import Path

            with self._answering():
                Path(self.store.root).mkdir(parents=True, exist_ok=True)
        with self._answering():
            DeltaTable.create(
                self.store.url,
                schema=self.schema(),
                mode="ignore",
                partition_by=[MONTH, BUCKET],
                description=self.description,
                configuration={
                    "delta.dataSkippingStatsColumns": self.time or MONTH,
                    "delta.logRetentionDuration": "interval 0 seconds",
                    "delta.deletedFileRetentionDuration": "interval 0 seconds",
                },
                storage_options=self.store.delta_options,
            )
        return self.open()

    def _with_all_columns(self, table: Any) -> Any:
        """Columns that were added since: files of before read as NULL there."""
        from deltalake import Schema

        known = {field.name for field in table.schema().fields}
        added = [field for field in Schema.from_arrow(self.schema()).fields if field.name not in known]
        if added:
            with self._answering():
                table.alter.add_columns(added)
        return table

    def commit(self, export: str, added: Sequence[DataFile], removed: Iterable[str] = ()) -> bool:
        """Let the files of one export be the table's, and others no longer, in one commit.

        Args:
            export: its id. A commit of the same export that is there already is not made again: repeating it would
                double the rows.
            added: written before.
            removed: paths of files that are the table's.

        Returns:
            False: it was made before.

        Raises:
            LakeUnavailable: the commit was not confirmed; if it was made nevertheless, the next call finds it.
            AccessDenied: the store refuses.
        """
        from deltalake import CommitProperties, Transaction
        from deltalake.transaction import AddAction, RemoveAction

        table = self.ensure()
        if self._made(table, export):
            return False
        now = int(time.time() * 1000)
        gone = set(removed)
        actions: list[Any] = [
            AddAction(
                path=file.path,
                size=file.bytes,
                partition_values={MONTH: file.month, BUCKET: str(file.bucket)},
                modification_time=now,
                data_change=True,
                stats=self._statistics(file),
            )
            for file in added
        ]
        actions += [
            RemoveAction(
                path=each["path"],
                deletion_timestamp=now,
                data_change=True,
                partition_values={MONTH: each["month"], BUCKET: str(each["bucket"])},
                size=each["bytes"],
            )
            for each in (self._entries(table) if gone else [])  # a long list, of all months
            if each["path"] in gone
        ]
        with self._answering():
            table.create_write_transaction(
                actions,
                mode="append",
                schema=self.schema(),
                partition_by=[MONTH, BUCKET],
                commit_properties=CommitProperties(app_transactions=[Transaction(export, 1)]),
            )
        return True

    def committed(self, export: str) -> bool:
        """Whether the commit of an export is there."""
        table = self.open()
        return table is not None and self._made(table, export)

    def files(self) -> dict[str, int]:
        """The table's files now: bytes by path."""
        table = self.open()
        return {} if table is None else {each["path"]: each["bytes"] for each in self._entries(table)}

    def _made(self, table: Any, export: str) -> bool:
        with self._answering():  # the log is read only now
            return table.transaction_version(export) is not None

    def _entries(self, table: Any) -> list[dict[str, Any]]:
        with self._answering():
            actions: Any = pa.table(table.get_add_actions(flatten=True))
        names = {"path": "path", "bytes": "size_bytes", "month": f"partition.{MONTH}", "bucket": f"partition.{BUCKET}"}
        return actions.select(list(names.values())).rename_columns(list(names)).to_pylist()

    def _statistics(self, file: DataFile) -> str:
        ends = {
            name: {self.time: value}
            for name, value in (("minValues", file.first), ("maxValues", file.last))
            if self.time and value is not None
        }
        return json.dumps({"numRecords": file.rows, **ends})

    @contextmanager
    def _answering(self) -> Generator[None]:
        """What deltalake raises, as the platform's own errors."""
        from deltalake.exceptions import DeltaError

        try:
            yield
        except (DeltaError, OSError) as error:
            raise told(self.store.url, error) from error
