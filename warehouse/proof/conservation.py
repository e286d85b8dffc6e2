"""Every row accounted for: what the ledger says of each month, held against the stores themselves.

For a month that left its source, what came from there is what the warehouse has of it, what the lake has, what
reached its retention and what was erased: neither less (lost) nor more (duplicated). What the lake's table has is what
the ledger's moves wrote, and nothing else (resurrected), and each file is what was written (altered). ``deep`` reads
every byte: files are loaded back into PostgreSQL, cast to the columns' own types, and hashed there.

What does not belong here: mending anything; and any code of the verbs whose work this is.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import sql

from warehouse.catalog.model import System
from warehouse.lake.store import Store
from warehouse.lake.trouble import told
from warehouse.postgres.arrow import arrow_cursor
from warehouse.postgres.sessions import Connection, Dsn
from warehouse.proof import sql as queries

Kind = Literal["lost", "duplicated", "altered", "resurrected", "unfinished"]
Amount = tuple[int, int]
_MODULUS = 2**64


@dataclass(frozen=True)
class Finding:
    """One way in which the law does not hold; ``unfinished`` is none: somebody was cut off, and the next run goes on.

    Attributes:
        system, table: whose.
        month: None where it is of no month.
        kind: what is wrong.
        message: with the figures.
    """

    system: str
    table: str
    month: dt.date | None
    kind: Kind
    message: str


@dataclass(frozen=True)
class Account:
    """One month of one table: how many rows each tier has of it.

    Attributes:
        warm: in the raw table.
        cold: in the lake's table, by its log.
        came: that left the source; None for a month that the source has still.
        expired: that reached their retention in the warehouse or in the lake.
        erased: that went from there with the persons whom they were about, after they had left the source.
    """

    month: dt.date
    warm: int
    cold: int
    came: int | None
    expired: int = 0
    erased: int = 0


@dataclass
class TableProof:
    """What was found of one table.

    Attributes:
        accounts: by month.
        findings: empty if every row is accounted for.
        files, bytes: of the lake that were looked at; read whole, if deep.
    """

    system: str
    table: str
    accounts: list[Account] = field(default_factory=list[Account])
    findings: list[Finding] = field(default_factory=list[Finding])
    files: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class _Move:
    id: int
    month: dt.date
    from_tier: str
    part: int
    state: str
    relation: str | None
    content: Amount | None
    kept: Amount | None
    export: str | None

    @property
    def counts(self) -> bool:
        """Whether readers take its rows from the lower tier."""
        return self.state in ("flipped", "dropped")


@dataclass(frozen=True)
class _File:
    move: int
    path: str
    rows: int
    bytes: int
    sha256: str


def prove_table(
    connection: Connection,
    dsn: Dsn,
    system: System,
    name: str,
    root: Store,
    *,
    deep: bool,
    source: Connection | None = None,
) -> TableProof:
    """Hold a table's months against the ledger.

    Args:
        connection: a canonical session of the warehouse; everything is read in one snapshot of it.
        dsn: of the same, for files that are loaded back.
        system, name: whose table; one that is kept by month.
        root: of the lake.
        deep: read every byte of the lake, and hash every row of the warehouse, and of what is kept.
        source: a canonical session of the operational database that sees all rows: for what left the table there and
            is kept still. What it has never left is compared by ingestion, under a snapshot of its own.

    Raises:
        LakeUnavailable: the lake does not answer.
        AccessDenied: the lake refuses.
    """
    proof = TableProof(system.system, name)
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        _Proof(connection, dsn, system, name, root.under(system.system, name), deep, proof, source).run()
    return proof


@dataclass
class _Proof:
    connection: Connection
    dsn: Dsn
    system: System
    name: str
    store: Store
    deep: bool
    proof: TableProof
    source: Connection | None
    columns: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    expired: dict[dt.date, Amount] = field(default_factory=dict[dt.date, Amount])
    erased: dict[dt.date, Amount] = field(default_factory=dict[dt.date, Amount])
    touched: set[dt.date] = field(default_factory=set[dt.date])
    shortened: set[int] = field(default_factory=set[int])
    unfinished: set[dt.date] = field(default_factory=set[dt.date])

    def find(self, month: dt.date | None, kind: Kind, message: str) -> None:
        self.proof.findings.append(Finding(self.system.system, self.name, month, kind, message))

    def run(self) -> None:
        whose = (self.system.system, self.name)
        raw = sql.Identifier(self.system.raw_schema, self.name)
        quoted = raw.as_string(self.connection)
        exists = self.connection.execute("SELECT to_regclass(%s) IS NOT NULL", (quoted,)).fetchone()
        if exists is None or not exists[0]:
            return
        files = [_File(*row) for row in self.connection.execute(queries.FILES, whose)]
        time = self.system.tables[self.name].time
        assert time is not None
        columns: list[tuple[str, str]] = self.connection.execute(queries.COLUMNS, (quoted,)).fetchall()  # type: ignore[assignment]
        moves = [_move(row, len(columns)) for row in self.connection.execute(queries.MOVES, whose)]
        left = [move.month for move in moves if move.counts and move.from_tier == "hot"] if self.deep else []
        counted = queries.by_month(raw, time, queries.row_hash(columns, None, cast=False), left)
        warm = {month: (rows, int(digest)) for month, rows, digest in self.connection.execute(counted)}
        known = {month: (rows, tier) for month, rows, _, tier in self.connection.execute(queries.CHUNKS, whose)}
        for month, rows, digest, over, begun in self.connection.execute(queries.EXPIRED, whose):
            before, (more, added) = self.expired.get(month, (0, 0)), _amount(rows, digest, over, len(columns))
            self.expired[month] = (before[0] + more, before[1] + added)
            if begun and month not in self.unfinished:
                self.unfinished.add(month)
                self.find(month, "unfinished", "files of rows that expired are being removed")
        for month, rows, digest, over, begun, some in self.connection.execute(queries.ERASED, whose):
            before, (more, added) = self.erased.get(month, (0, 0)), _amount(rows, digest, over, len(columns))
            self.erased[month] = (before[0] + more, before[1] + added)
            if some:
                self.touched.add(month)
            if begun and month not in self.unfinished:
                self.unfinished.add(month)
                self.find(month, "unfinished", "files of rows that were erased are being removed")
        self.shortened = {move for move, _ in self.connection.execute(queries.ERASED_KEPT, whose)}
        self._lake(moves, files, columns)
        by_month: dict[dt.date, list[_Move]] = {}
        for move in moves:
            by_month.setdefault(move.month, []).append(move)
        for month in sorted(
            {*warm, *known, *self.expired, *self.erased, *(m.month for m in moves if m.state != "undone")}
        ):
            self._month(month, warm.get(month, (0, 0)), known.get(month), by_month.get(month, []))
        self.columns = columns
        self._kept(
            self.connection, self.system.raw_schema, "moved_", [move for move in moves if move.from_tier == "warm"]
        )
        if self.source is not None:
            schema, _ = self.system.source_of(self.name)
            self._kept(self.source, schema, "drivetrain_left_", [m for m in moves if m.from_tier == "hot"])

    def _month(
        self,
        month: dt.date,
        held: Amount,
        known: tuple[int, str] | None,
        moves: Sequence[_Move],
    ) -> None:
        """What came is what there is."""
        warm, digest = held
        live = [move for move in moves if move.counts]
        hot = [move.content for move in live if move.from_tier == "hot" and move.content]
        cold = [move.content for move in live if move.from_tier == "warm" and move.content]
        rows_cold = sum(rows for rows, _ in cold)
        came = sum(rows for rows, _ in hot) if hot else None
        expired, expired_hash = self.expired.get(month, (0, 0))
        erased, erased_hash = self.erased.get(month, (0, 0))
        self.proof.accounts.append(Account(month, warm, rows_cold, came, expired, erased))
        for move in moves:
            if move.state in ("planned", "detached", "exported", "verified"):
                self.find(month, "unfinished", f"move {move.id} ({move.from_tier}) is {move.state}")
        if any(move.state == "detached" and move.part == 0 for move in moves):
            return  # the warehouse is about to be given what left
        if hot:
            assert came is not None
            due_rows = came - rows_cold - expired - erased
            if expired and warm > due_rows:
                told = f"the warehouse has {warm:,} rows of {due_rows:,}: {expired:,} had reached their retention"
                self.find(month, "resurrected", told)
            else:
                self._compare(month, "the warehouse", warm, due_rows)
            if self.deep and warm == due_rows:
                due = (sum(h for _, h in hot) - sum(h for _, h in cold) - expired_hash - erased_hash) % _MODULUS
                self._compare_hash(month, "the warehouse", digest, due)
        elif cold:
            self._compare(month, "the warehouse", warm, 0)
        elif known is not None and known[1] == "warehouse":
            self._compare(month, "the warehouse", warm, known[0])
        elif month in self.touched:  # nothing else was there
            self._compare(month, "the warehouse", warm, 0)

    def _compare(self, month: dt.date, where: str, found: int, due: int) -> None:
        if found < due:
            self.find(month, "lost", f"{where} has {found:,} rows of {due:,}")
        elif found > due and month in self.touched:
            self.find(month, "resurrected", f"{where} has {found:,} rows of {due:,}: others of it were erased")
        elif found > due:
            self.find(month, "duplicated", f"{where} has {found:,} rows, and {due:,} are accounted for")

    def _compare_hash(self, month: dt.date, where: str, found: int, due: int) -> None:
        if found != due:
            self.find(month, "altered", f"{where} has other content than what came ({found:016x}, not {due:016x})")

    def _kept(self, connection: Connection, schema: str, prefix: str, moves: Sequence[_Move]) -> None:
        """What moves keep on one side until it is dropped is there, is what moved, and nothing else is."""
        names = {f"{prefix}{move.id}": move for move in moves}
        there = {name for (name,) in connection.execute(queries.KEPT, (schema, f"^{prefix}[0-9]+$")) if name in names}
        for name, move in sorted(names.items()):
            relation = sql.Identifier(schema, name)
            if move.state in ("detached", "flipped"):
                if name not in there:
                    self.find(move.month, "lost", f"{schema}.{name} is gone, and was to be kept")
                elif self.deep and move.kept is not None:
                    columns: list[tuple[str, str]] = connection.execute(
                        queries.COLUMNS, (relation.as_string(connection),)
                    ).fetchall()  # type: ignore[assignment]
                    hashed = queries.row_hash(self.columns, {name for name, _ in columns}, cast=False)
                    row = connection.execute(queries.amount(relation, hashed)).fetchone()
                    assert row is not None
                    if row[0] > move.kept[0] and move.id in self.shortened:
                        told = f"{schema}.{name} has {row[0]:,} rows of {move.kept[0]:,}: others of it were erased"
                        self.find(move.month, "resurrected", told)
                    elif (row[0], int(row[1])) != move.kept:
                        self.find(move.month, "altered", f"{schema}.{name} is not what moved")
            elif name in there and move.state in ("dropped", "undone", "expired"):
                self.find(move.month, "resurrected", f"{schema}.{name} is there, and was to be gone")

    def _lake(self, moves: Sequence[_Move], files: Sequence[_File], columns: list[tuple[str, str]]) -> None:
        """The lake's table has the files of moves that count, each as it was written; its folder has no others."""
        by_id = {move.id: move for move in moves}
        counted = [file for file in files if by_id[file.move].counts]
        under_way = {move.export for move in moves if move.export and move.state in ("planned", "exported", "verified")}
        came_back = {move.export for move in moves if move.export and move.state == "undone"}
        active = self._log()
        there = {each.path: each.bytes for each in self.store.list() if not each.path.startswith("_delta_log/")}
        self._versions(set(there))
        for file in counted:
            month = by_id[file.move].month
            self.proof.files += 1
            self.proof.bytes += file.bytes
            if file.path not in active and month not in self.unfinished:  # else the next run puts it there
                self.find(month, "lost", f"{file.path} is not in the lake's table ({file.rows:,} rows)")
            if file.path not in there:
                self.find(month, "lost", f"{file.path} is gone ({file.rows:,} rows)")
            elif there[file.path] != file.bytes:
                self.find(month, "altered", f"{file.path} has {there[file.path]:,} bytes, and had {file.bytes:,}")
        named = {file.path for file in counted}
        for path in sorted({*active, *there} - named):
            export = "-".join(path.rpartition("/")[2].split("-")[:2])
            if path.partition("/")[0] in {f"month={month:%Y-%m}" for month in self.unfinished}:
                continue  # the next run ends it
            if export in under_way or (export in came_back and path in active):
                continue  # its move is not done, or the next one takes it out
            what = "in the lake's table" if path in active else "in its folder"
            self.find(None, "resurrected", f"{path} is {what}, and no month has it")
        by_move: dict[int, list[_File]] = {}
        for file in counted:
            by_move.setdefault(file.move, []).append(file)
        for move in moves:
            if move.counts and move.from_tier == "warm" and move.content:
                of_move = by_move.get(move.id, [])
                rows = sum(file.rows for file in of_move)
                if rows != move.content[0]:
                    self._compare(move.month, "the lake's files of it", rows, move.content[0])
                if self.deep:
                    self._read(move, of_move, there, columns)

    def _versions(self, there: set[str]) -> None:
        """A bucket that keeps versions has none of files that are gone."""
        versions = self.store.versions()
        for path in sorted({each.path for each in versions} - there):
            if not path.startswith("_delta_log/"):
                self.find(None, "resurrected", f"the bucket keeps an old version of {path}")

    def _log(self) -> set[str]:
        """The paths of the lake's table, by its own log."""
        from deltalake import DeltaTable
        from deltalake.exceptions import TableNotFoundError

        try:
            table: Any = DeltaTable(self.store.url, storage_options=self.store.delta_options)
            actions: Any = pa.table(table.get_add_actions(flatten=True))  # the log is read only now
        except TableNotFoundError:
            return set()
        except Exception as error:
            raise told(f"{self.store.url}: its log", error) from error
        return set(actions.column("path").to_pylist())

    def _read(self, move: _Move, files: Sequence[_File], there: dict[str, int], columns: list[tuple[str, str]]) -> None:
        """Every byte of a move's files, and every row of them as PostgreSQL has it."""
        total = 0
        whole = True
        for file in files:
            if file.path not in there:
                whole = False
                continue
            content = self.store.get(file.path)
            if hashlib.sha256(content).hexdigest() != file.sha256:
                self.find(move.month, "altered", f"{file.path}: its bytes are not those that were written")
                whole = False
                continue
            rows, digest = self._in_postgres(content, columns)
            total += digest
            if rows != file.rows:
                self._compare(move.month, file.path, rows, file.rows)
                whole = False
        assert move.content is not None
        if whole:
            self._compare_hash(move.month, "the lake", total % _MODULUS, move.content[1])

    def _in_postgres(self, content: bytes, columns: list[tuple[str, str]]) -> Amount:
        """A file's rows, loaded into a temporary table and cast to the types of the raw table."""
        read: Any = pq.read_table  # type: ignore[reportUnknownMemberType]
        rows = read(pa.BufferReader(content))
        stored = set(rows.column_names)
        with arrow_cursor(self.dsn) as cursor:
            cursor.adbc_ingest("read_back", rows, mode="create", temporary=True)
            hashed = queries.row_hash(columns, stored, cast=True)
            cursor.execute(queries.amount(sql.Identifier("read_back"), hashed).as_string(None))
            count, digest = cursor.fetchone()
        return int(count), int(digest)


def _move(row: Sequence[Any], columns: int) -> _Move:
    move, month, tier, part, state, relation, rows, digest, over, kept, kept_hash, kept_over, export = row
    content = None if rows is None else _amount(rows, digest, over, columns)
    held = None if kept is None else _amount(kept, kept_hash, kept_over, columns)
    return _Move(move, month, tier, part, state, relation, content, held, export)


def _amount(rows: int, digest: Any, over: int, columns: int) -> Amount:
    """What was hashed over a table's first columns, over all that it has now: those that were added are NULL there.

    PostgreSQL combines a record's columns as ``h * 31 + column``, with 0 for NULL (``hash_record_extended``).
    """
    return rows, int(digest) * pow(31, columns - over, _MODULUS) % _MODULUS
