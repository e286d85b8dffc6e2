"""The ledger of a warehouse that was restored, and a lake and sources that were not: what they lost since is noted.

Files of the lake are written anew without the rows of whoever is erased. A ledger of before names files that are no
more; nobody could go on with such a month. The lake's own log says which files it has now, and that it is this lake.
The rows that it lacks are noted as erased: how many, and by the hash of those that stay. So are rows of what left its
source and is kept there: its drop compares with the ledger.

What does not belong here: rows that are in the lake still (``cold``), and whose (``replaying``).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq
from psycopg import sql

from warehouse.erasure.cold import in_the_lake
from warehouse.erasure.kept import keeping, left_of
from warehouse.erasure.marking import column_types
from warehouse.errors import Restored
from warehouse.lake.content import NOTHING, Content, content_of, content_on_server
from warehouse.lake.export import DataFile
from warehouse.lake.layout import BUCKET, MONTH
from warehouse.postgres.arrow import arrow_cursor
from warehouse.postgres.relations import is_there
from warehouse.postgres.sessions import Connection, Dsn
from warehouse.state.erased import Pass, begin_erased, end_erased
from warehouse.state.moves import Move, amend_kept, months_that_left, read_files, replace_files
from warehouse.state.tiered import Tiered

_WHY = "it was written anew after the backup that the warehouse was restored from"


@dataclass(frozen=True)
class Followed:
    """A month of which the lake, or what is kept at the source, has less than the ledger said.

    Attributes:
        rows: that are gone there; others may have changed.
    """

    month: dt.date
    rows: int


def follow_lake(connection: Connection, dsn: Dsn, table: Tiered, run: Pass) -> list[Followed]:
    """Note what a table's months in the lake lost since; nothing of the lake is changed. In one transaction.

    Args:
        connection: of the warehouse.
        dsn: of the same, for the session that sends keys there.
        table: which.
        run: what it is noted as.

    Raises:
        Restored: the lake has more than the warehouse knows of, or is another: nobody can say what is right.
        LakeUnavailable: the lake does not answer.
    """
    with connection.transaction():
        active = _by_month(table.lake.files())
        moves = {move.month: move for move in in_the_lake(connection, table)}
        for month in sorted(set(active) - set(moves)):
            _refuse_unknown(connection, dsn, table, month, active[month])
        return [
            followed
            for month, move in moves.items()
            if (followed := _follow(connection, table, move, active.get(month, ()), run)) is not None
        ]


def follow_left(connection: Connection, source: Connection, table: Tiered, run: Pass) -> list[Followed]:
    """Note what was lost since by what left a table's source and is kept there; nothing is changed there.

    Args:
        connection: of the warehouse.
        source: a canonical session that sees all rows.
        table: which.
        run: what it is noted as.

    Raises:
        Restored: there is more than the ledger knows.
    """
    found: list[Followed] = []
    with connection.transaction():
        for move in keeping(connection, table, "hot"):
            relation = left_of(table, move)
            if move.kept is None or not is_there(source, relation):
                continue
            names = column_types(source, relation)
            columns = [column for column in table.columns if column.name in names]
            there = content_on_server(source, relation, columns, sql.SQL("true"))
            if there == move.kept:
                continue
            less = move.kept - there
            if less.rows < 0:
                raise Restored(
                    f"{move.name}: {there.rows:,} rows are kept at the source, and the ledger says {move.kept.rows:,}",
                    hint="The source is of an earlier moment than the warehouse, or another. Nothing was changed.",
                )
            number = begin_erased(connection, run, move.month, "left", less, move=move.id)
            amend_kept(connection, move, there, _WHY, run.run_id)
            end_erased(connection, number, {"looked_for": "rows that left the source", "why": _WHY})
            found.append(Followed(move.month, less.rows))
    return found


def _by_month(paths: Collection[str]) -> Mapping[dt.date, list[str]]:
    found: dict[dt.date, list[str]] = {}
    for path in sorted(paths):
        month = path.partition("/")[0].removeprefix(f"{MONTH}=")
        found.setdefault(dt.date.fromisoformat(f"{month}-01"), []).append(path)
    return found


def _refuse_unknown(connection: Connection, dsn: Dsn, table: Tiered, month: dt.date, paths: Collection[str]) -> None:
    """A month that went there since is somewhere above again, and goes there again; unless rows are nowhere else.

    A source that months do not leave has it. Else the warehouse has to; and to know that it left, or the next load
    would take it out, as it is gone there.
    """
    if table.policy.tiers.hot is None:
        return
    child, missing = table.child(month), 0
    if is_there(connection, child) and month in months_that_left(connection, table.system.system, table.name):
        missing = sum(_rows_beside(dsn, table, child, path) for path in paths)
        if not missing:
            return
    what = f"{missing:,} rows" if missing else "rows"
    raise Restored(
        f"{table.where} {month:%Y-%m}: {what} are in the lake alone, and the ledger does not know them",
        hint="They went there after the backup. Restore a later backup of the warehouse, or the lake as of that backup,"
        " too. Nothing was removed.",
    )


def _rows_beside(dsn: Dsn, table: Tiered, child: sql.Identifier, path: str) -> int:
    """Rows of a file whose key the warehouse does not have."""
    with table.lake.store.open(path) as opened:
        file: Any = pq.ParquetFile(opened)
        rows = file.read(columns=list(table.policy.key), use_threads=False)
    types = {column.name: column.type_name for column in table.columns}
    same = sql.SQL(" AND ").join(
        sql.SQL("here.{c} = there.{c}::{t}").format(c=sql.Identifier(name), t=sql.SQL(types[name]))  # type: ignore[arg-type]
        for name in table.policy.key
    )
    query = sql.SQL("SELECT count(*) FROM of_the_lake AS there WHERE NOT EXISTS (SELECT FROM {} AS here WHERE {})")
    with arrow_cursor(dsn) as cursor:
        cursor.adbc_ingest("of_the_lake", rows, mode="create", temporary=True)
        cursor.execute(query.format(child, same).as_string(None))
        return int(cursor.fetchone()[0])


def _follow(connection: Connection, table: Tiered, move: Move, paths: Collection[str], run: Pass) -> Followed | None:
    if {file.path for file in read_files(connection, move)} == set(paths):
        return None
    assert move.content is not None
    assert move.export is not None
    found = [_file(table, path) for path in paths]
    content = sum((each for _, each in found), NOTHING)
    less = move.content - content
    if less.rows < 0 or not table.lake.committed(move.export):
        raise Restored(
            f"{move.name}: the lake has {content.rows:,} rows in other files than the ledger's, which have"
            f" {move.content.rows:,}",
            hint="It is no later state of what the warehouse knows: another lake, or one of an earlier moment than the"
            " warehouse. Restore both to one moment. Nothing was removed.",
        )
    number = begin_erased(connection, run, move.month, "cold", less)
    replace_files(connection, move, [file for file, _ in found], content, _WHY, run.run_id)
    detail = {"looked_for": "files of the lake's log", "objects_of_the_ledger": len(found), "why": _WHY}
    end_erased(connection, number, detail)
    return Followed(move.month, less.rows)


def _file(table: Tiered, path: str) -> tuple[DataFile, Content]:
    month, bucket, _ = path.split("/")
    content = table.lake.store.get(path)
    amount = content_of(content, table.columns)
    digest = hashlib.sha256(content).hexdigest()
    file = DataFile(
        path, month.removeprefix(f"{MONTH}="), int(bucket.removeprefix(f"{BUCKET}=")), amount.rows, len(content), digest
    )
    return file, amount
