"""Erase persons from the lake: files that hold rows about them are written anew, once for all persons of a pass.

Files are told by month, by bucket (where that follows from the column that leads to persons), by the statistics in
their footers, and at last by the columns themselves: no other file is written anew. Of each month the ledger has the
new files and the record first, in one transaction; then, once for all months, the lake's table has them, and what was
before is removed with every version. Whoever is cut off between begins there.

What does not belong here: which rows (``marking``).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import sql

from warehouse.erasure.marking import Marking, column_types, unquoted
from warehouse.erasure.passing import Found, Passing
from warehouse.errors import ExportRefused, LakeUnavailable
from warehouse.lake.columns import schema_of
from warehouse.lake.content import NOTHING, ROW_GROUP, Content, content_on_server, stored_columns
from warehouse.lake.export import WORKERS, DataFile
from warehouse.lake.layout import Layout
from warehouse.lake.rewrite import Rewriting, Rewritten
from warehouse.postgres.arrow import arrow_cursor
from warehouse.postgres.sessions import Connection, Dsn, translated
from warehouse.state.content import forget_content
from warehouse.state.erased import begin_erased, end_erased, read_erased
from warehouse.state.moves import Move, read_files, read_layouts, read_moves, replace_files
from warehouse.state.settling import give_up, settle_months
from warehouse.state.tiered import Tiered

_TRUE = sql.SQL("true")


@dataclass(frozen=True)
class Candidate:
    """A file that can hold rows about the persons, and by which subject columns."""

    file: DataFile
    subjects: tuple[str, ...]


def candidates(files: Sequence[DataFile], marking: Marking, layout: Layout, rule: str | None) -> list[Candidate]:
    """Which of a month's files can hold such rows.

    Args:
        files: of the month.
        marking: which rows.
        layout: the table's now.
        rule: by which the month's files were told apart.
    """
    buckets = marking.buckets(layout) if rule == layout.rule else None
    found: list[Candidate] = []
    for file in files:
        apart = buckets is not None and file.bucket not in buckets
        subjects = tuple(name for name in marking.wanted if not (apart and name == layout.subject))
        if subjects:
            found.append(Candidate(file, subjects))
    return found


def rows_in_file(table: Tiered, marking: Marking, candidate: Candidate) -> int:
    """Exactly how many such rows a file holds: its footer is read, and of row groups that may have any the columns that
    lead to persons.

    Raises:
        LakeUnavailable: it is not there.
        ExportRefused: it has other columns than the table.
    """
    with table.lake.store.open(candidate.file.path) as opened:
        file: Any = pq.ParquetFile(opened)
        stored = {column.name: column for column in stored_columns(file.schema_arrow, table.columns)}
        subjects = [name for name in candidate.subjects if name in stored]
        groups = [
            group
            for group in range(file.metadata.num_row_groups)
            if any(may_hold(file, group, list(stored).index(name), marking, name) for name in subjects)
        ]
        if not groups:
            return 0
        needed = {each for name in subjects for each in marking.needed(name) if each in stored}
        looked_at = [column for name, column in stored.items() if name in needed]
        rows: pa.Table = file.read_row_groups(groups, columns=[column.name for column in looked_at], use_threads=False)
    marks = marking.marked(rows.cast(schema_of(looked_at)), subjects)
    return int(sum(marks.values()).astype(bool).sum()) if marks else 0  # type: ignore[union-attr]


def may_hold(file: Any, group: int, column: int, marking: Marking, subject: str) -> bool:
    """Whether a row group can have such a row by a subject, which is that column of the file."""
    statistics = file.metadata.row_group(group).column(column).statistics
    if statistics is None or not statistics.has_min_max:
        return statistics is None or statistics.null_count != file.metadata.row_group(group).num_rows
    return marking.may_hold(subject, statistics.min, statistics.max)


def look_cold(connection: Connection, table: Tiered, marking: Marking) -> list[Found]:
    """Rows in the lake, exactly, and the files that would be written anew for them; by month."""
    found: list[Found] = []
    for move, counts in _counted(connection, table, marking):
        files = {candidate.file: rows for candidate, rows in counts if rows}
        if files:
            found.append(Found("cold", move.month, sum(files.values()), len(files), sum(file.bytes for file in files)))
    return found


def _counted(
    connection: Connection, table: Tiered, marking: Marking
) -> Iterator[tuple[Move, list[tuple[Candidate, int]]]]:
    layouts = read_layouts(connection, table.system.system, table.name)
    with ThreadPoolExecutor(WORKERS) as pool:
        for move in in_the_lake(connection, table):
            of_month = candidates(read_files(connection, move), marking, table.layout, layouts[move.id])
            counts = pool.map(partial(rows_in_file, table, marking), of_month)
            yield move, list(zip(of_month, counts, strict=True))


def in_the_lake(connection: Connection, table: Tiered) -> list[Move]:
    """The moves by which readers take months from the lake."""
    moves = read_moves(connection, table.system.system, table.name)
    return [each for each in moves if each.from_tier == "warm" and each.state in ("flipped", "dropped")]


@dataclass(frozen=True)
class Cold:
    """One pass over a table in the lake.

    Attributes:
        passing: over the table.
        dsn: of the warehouse, for the session that sends rows there.
    """

    passing: Passing
    dsn: Dsn

    def give_up_moves(self) -> None:
        """A month that is on its way into the lake is warm again: what was written has the persons, and nobody else
        can go on, for this session has the lock.
        """
        connection, table = self.passing.warehouse, self.passing.table
        for move in read_moves(connection, table.system.system, table.name):
            if move.from_tier == "warm" and move.state in ("planned", "exported", "verified"):
                give_up(connection, table, move, "rows of it are erased", self.passing.run.run_id)

    def erase(self) -> None:
        """Take every such row out of the lake.

        Raises:
            ExportRefused: the lake is not what the ledger says; nothing of that month went.
            LakeUnavailable: the lake does not answer; the next run goes on.
        """
        connection, table = self.passing.warehouse, self.passing.table
        if not read_layouts(connection, table.system.system, table.name):
            return  # nothing of it was ever on its way there
        written: list[DataFile] = []
        if self.passing.marking.wanted:
            counted = list(_counted(connection, table, self.passing.marking))
            hits = [(move, [candidate.file for candidate, rows in counts if rows]) for move, counts in counted]
            if any(files for _, files in hits):
                with arrow_cursor(self.dsn) as cursor:
                    for move, files in hits:
                        written += self._month(move, files, cursor) if files else []
        self._settle(written)

    def _month(self, move: Move, hits: Sequence[DataFile], cursor: Any) -> list[DataFile]:
        """New files in the place of some, and the record of what they lack."""
        passing, table = self.passing, self.passing.table
        files = read_files(passing.warehouse, move)
        assert move.content is not None
        if (rows := sum(file.rows for file in files)) != move.content.rows:
            raise ExportRefused(
                f"{move.name}: its files have {rows:,} rows, and the ledger {move.content.rows:,}",
                hint="Nothing was removed. `drivetrain prove --deep` says what is wrong.",
            )
        layout = table.layout
        rule = read_layouts(passing.warehouse, move.system, move.table)[move.id]
        lake, told_by = table.lake, layout if rule == layout.rule else None
        rewriting = Rewriting(
            lake.store, lake.columns, lake.time, lambda rows: passing.marking.change(rows, told_by),
            f"{move.export}-{os.urandom(4).hex()}",
        )  # fmt: skip
        noted = False
        try:
            with self._aside(move) as aside:
                made = list(self._rewritten(rewriting, hits, cursor, aside))
                written = [each.now for each in made if each.now is not None]
                written += self._relocated(rewriting, made, layout, f"{move.month:%Y-%m}")
                replaced = {each.file.path for each in made}
                now = [file for file in files if file.path not in replaced] + written
                gone = sum((each.gone_content for each in made), NOTHING)
                became = sum((each.made_content for each in made), NOTHING)
                with translated(move.name), unquoted(move.name), passing.warehouse.transaction():
                    passing.permitted()
                    self._tell(move, aside, gone, became)
                    begin_erased(passing.warehouse, passing.run, move.month, "cold", gone, became)
                    self._replace(move, now, move.content - gone + became)
                    noted = True  # a commit that is not confirmed may have been made: the files must stay
        except BaseException:
            if not noted:
                with contextlib.suppress(LakeUnavailable):
                    rewriting.forsake(f"{move.month:%Y-%m}")
            raise
        return written

    def _replace(self, move: Move, files: Sequence[DataFile], content: Content) -> None:
        passing = self.passing
        replace_files(passing.warehouse, move, files, content, "rows of it were erased", passing.run.run_id)
        if not files:
            kept = passing.table.kept(move.id)  # nothing is in it either
            passing.warehouse.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(kept))
            forget_content(passing.warehouse, move.system, move.table, [f"{move.month:%Y-%m}"])

    def _rewritten(
        self, rewriting: Rewriting, hits: Sequence[DataFile], cursor: Any, aside: str
    ) -> Iterator[Rewritten]:
        """Each file; the rows that go are sent to the warehouse, some files' at a time, and remembered no longer."""
        waiting: list[pa.Table] = []
        for each in rewriting.run(hits):
            waiting.append(each.gone)
            if sum(rows.num_rows for rows in waiting) >= ROW_GROUP:
                self._send(waiting, cursor, aside)
                waiting = []
            yield replace(each, gone=each.gone.schema.empty_table())
        if waiting:
            self._send(waiting, cursor, aside)
        cursor.connection.commit()  # for the session that keeps the ledger to see

    def _send(self, tables: Sequence[pa.Table], cursor: Any, aside: str) -> None:
        rows = pa.concat_tables(tables, promote_options="default")
        for column in self.passing.table.columns[len(rows.column_names) :]:  # that were added later
            nothing: Any = pa.array([None] * rows.num_rows, column.arrow)
            rows = rows.append_column(column.name, nothing)
        cursor.adbc_ingest(aside, rows, mode="create_append", db_schema_name=self.passing.table.system.raw_schema)

    def _relocated(self, rewriting: Rewriting, made: Sequence[Rewritten], layout: Layout, month: str) -> list[DataFile]:
        """Files of rows whose subject is another now, each where that subject's rows are looked for."""
        apart = [each for each in made if each.made.num_rows and _stays_without(each)]
        if not apart:
            return []
        rows: Any = pa.concat_tables([each.made for each in apart], promote_options="default")
        rows = rows.select([column.name for column in self.passing.table.columns if column.name in rows.column_names])
        buckets = np.array([layout.bucket_of(subject) for subject in rows.column(layout.subject).to_pylist()])
        order = [(name, "ascending") for name in layout.order if name in rows.column_names]
        written: list[DataFile] = []
        for bucket in np.unique(buckets):
            of_bucket = rows.filter(pa.array(buckets == bucket)).sort_by(order)
            written.append(rewriting.write(of_bucket, month, int(bucket)))
        return written

    @contextlib.contextmanager
    def _aside(self, move: Move) -> Generator[str]:
        """Where rows that go are in the warehouse, for as long as it takes to tell of them."""
        passing = self.passing
        name = f"erased_{move.id}"
        drop = sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(passing.table.system.raw_schema, name))
        passing.warehouse.execute(drop)  # of a run that was cut off
        try:
            yield name
        finally:
            if not passing.warehouse.closed:
                passing.warehouse.execute(drop)

    def _tell(self, move: Move, aside: str, gone: Content, became: Content) -> None:
        """Models and the ledger of contents, of rows as PostgreSQL has them; which must be those of the files.

        Raises:
            ExportRefused: they are not.
        """
        passing, table = self.passing, self.passing.table
        types = column_types(passing.warehouse, sql.Identifier(table.system.raw_schema, table.name))
        typed = sql.SQL(", ").join(
            sql.SQL("{c}::{t} AS {c}").format(c=sql.Identifier(name), t=sql.SQL(kind))  # type: ignore[arg-type]
            for name, kind in types.items()
        )
        relation = sql.SQL("(SELECT {} FROM {})").format(typed, sql.Identifier(table.system.raw_schema, aside))
        named = sql.SQL("{} AS went").format(relation)
        made = passing.marking.select(named, types) if passing.marking.replacement is not None else None
        found = content_on_server(passing.warehouse, named, table.columns, passing.marking.condition(types))
        found_made = content_on_server(passing.warehouse, made, table.columns, _TRUE) if made is not None else NOTHING
        if found != gone or found_made != became:
            raise ExportRefused(
                f"{move.name}: {found.rows:,} rows ({found.hash:016x}) were sent to the warehouse, and {gone.rows:,} "
                f"({gone.hash:016x}) were taken out of files; {found_made.rows:,} were made of them, and "
                f"{became.rows:,}",
                hint="Nothing was removed.",
            )
        passing.tell(relation, _TRUE, made, f"{move.month:%Y-%m}")

    def _settle(self, written: Sequence[DataFile]) -> None:
        """The lake has what the ledger says: of months that lost rows, and of those with objects that are nobody's."""
        passing, table = self.passing, self.passing.table
        whose = (table.system.system, table.name)
        begun = [each for each in read_erased(passing.warehouse, *whose) if each.tier == "cold" and not each.done]
        months = {each.month for each in begun if each.month is not None}
        unknown = self._with_unknown() - months
        if not months | unknown:
            return
        with passing.warehouse.transaction():
            numbers = {
                **{each.id: each.month for each in begun},
                **{begin_erased(passing.warehouse, passing.run, month, "cold"): month for month in sorted(unknown)},
            }
        details = settle_months(passing.warehouse, table, sorted(months | unknown), f"erased-{max(numbers)}", written)
        with passing.warehouse.transaction():
            for number, month in numbers.items():
                assert month is not None
                end_erased(passing.warehouse, number, details[month])

    def _with_unknown(self) -> set[dt.date]:
        """Months whose folder, or whose part of the lake's table, has what the ledger does not know: of one that came
        back, or of a run that was cut off.
        """
        connection, table = self.passing.warehouse, self.passing.table
        known = {file.path for move in in_the_lake(connection, table) for file in read_files(connection, move)}
        there = {each.path for each in table.lake.store.versions("month=")} | set(table.lake.files())
        return {dt.date.fromisoformat(f"{path[6:13]}-01") for path in there - known}


def _stays_without(each: Rewritten) -> bool:
    """Whether rows that were changed are not in the file that took the old one's place."""
    stayed = 0 if each.now is None else each.now.rows
    return stayed < each.file.rows - (each.gone_content.rows - each.made.num_rows)
