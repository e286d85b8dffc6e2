"""The ledger of moves: which month is on its way down a tier, how far it has come, and what it amounts to.

Like all of ``warehouse.state``, every function works on the caller's connection and commits nothing: a state stands if
and only if what it says was done.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from psycopg import sql

from warehouse.errors import Busy
from warehouse.lake.content import NOTHING, Content
from warehouse.lake.export import DataFile
from warehouse.postgres.sessions import Connection

State = Literal["planned", "detached", "exported", "verified", "flipped", "dropped", "undone", "expired"]

_COLUMNS = sql.SQL(
    "id, system, table_name, month, from_tier, part, state, reason, relation, kept_rows, kept_hash, kept_columns, rows,"
    " hash, columns, export, keep_until"
)


@dataclass(frozen=True)
class Move:
    """One month, or rows of it that came later, on its way one tier down; as ``platform.tier_move`` has it.

    Attributes:
        kept: what ``relation`` holds until it is dropped.
        content: what the lower tier has by it.
    """

    id: int
    system: str
    table: str
    month: dt.date
    from_tier: Literal["hot", "warm"]
    part: int
    state: State
    reason: str
    relation: str | None
    kept: Content | None
    content: Content | None
    export: str | None
    keep_until: dt.datetime | None

    @property
    def name(self) -> str:
        """For a person: ``bikenode.rides 2024-01``."""
        later = f" (late {self.part})" if self.part else ""
        return f"{self.system}.{self.table} {self.month:%Y-%m}{later}"


def read_moves(connection: Connection, system: str | None = None, table: str | None = None) -> list[Move]:
    """Every move that was not undone, oldest month first; of one system or table, if named."""
    rows = connection.execute(
        sql.SQL(
            "SELECT {} FROM platform.tier_move WHERE state <> 'undone'"
            " AND (%(system)s::text IS NULL OR system = %(system)s)"
            " AND (%(table)s::text IS NULL OR table_name = %(table)s)"
            " ORDER BY system, table_name, month, from_tier, part"
        ).format(_COLUMNS),
        {"system": system, "table": table},
    )
    return [_move(row) for row in rows]


def _move(row: Sequence[Any]) -> Move:
    move, system, table, month, tier, part, state, reason, relation, *amounts, export, keep_until = row
    kept, content = _content(*amounts[:3]), _content(*amounts[3:])
    return Move(move, system, table, month, tier, part, state, reason, relation, kept, content, export, keep_until)


def _content(rows: int | None, digest: Any, columns: int) -> Content | None:
    return None if rows is None else Content(rows, int(digest), columns)


def begin(
    connection: Connection,
    system: str,
    table: str,
    month: dt.date,
    from_tier: Literal["hot", "warm"],
    *,
    part: int = 0,
    reason: str,
    export: str | None = None,
    layout: str | None = None,
    run_id: str | None = None,
) -> Move:
    """Note a move that is about to begin; into the lake with the rule of its files' buckets (``Layout.rule``)."""
    row = connection.execute(
        sql.SQL(
            "INSERT INTO platform.tier_move (system, table_name, month, from_tier, part, state, reason, export, layout)"
            " VALUES (%s, %s, %s, %s, %s, 'planned', %s, %s, %s) RETURNING {}"
        ).format(_COLUMNS),
        (system, table, month, from_tier, part, reason, export, layout),
    ).fetchone()
    assert row is not None
    move = _move(row)
    _note(connection, move.id, "planned", {"reason": reason}, run_id)
    return move


def advance(
    connection: Connection,
    move: Move,
    state: State,
    *,
    relation: str | None = None,
    kept: Content | None = None,
    content: Content | None = None,
    keep_until: dt.datetime | None = None,
    detail: Mapping[str, Any] | None = None,
    run_id: str | None = None,
) -> Move:
    """Note that a move has come further; what is not given stays as it was.

    Raises:
        Busy: somebody else took it further meanwhile.
    """
    row = connection.execute(
        sql.SQL(
            "UPDATE platform.tier_move SET state = %(state)s, changed_at = clock_timestamp(),"
            " relation = coalesce(%(relation)s, relation), keep_until = coalesce(%(keep_until)s, keep_until),"
            " kept_rows = coalesce(%(kept_rows)s, kept_rows), kept_hash = coalesce(%(kept_hash)s, kept_hash),"
            " kept_columns = coalesce(%(kept_columns)s, kept_columns), rows = coalesce(%(rows)s, rows),"
            " hash = coalesce(%(hash)s, hash), columns = coalesce(%(columns)s, columns)"
            " WHERE id = %(id)s AND state = %(was)s RETURNING {}"
        ).format(_COLUMNS),
        {
            "id": move.id, "was": move.state, "state": state, "relation": relation, "keep_until": keep_until,
            "kept_rows": kept and kept.rows, "kept_hash": kept and kept.hash, "kept_columns": kept and kept.columns,
            "rows": content and content.rows, "hash": content and content.hash, "columns": content and content.columns,
        },
    ).fetchone()  # fmt: skip
    if row is None:
        raise Busy(f"{move.name}: somebody else is moving it", hint="Nothing was changed. Look again.")
    _note(connection, move.id, state, {**(_told(content) if content else {}), **(detail or {})}, run_id)
    return _move(row)


def _told(content: Content) -> dict[str, Any]:
    return {"rows": content.rows, "hash": str(content.hash), "columns": content.columns}


def _note(connection: Connection, move: int, state: State, detail: Mapping[str, Any], run_id: str | None) -> None:
    connection.execute(
        "INSERT INTO platform.tier_event (move, state, detail, run_id) VALUES (%s, %s, %s, %s)",
        (move, state, json.dumps(detail), run_id),
    )


def note_failure(
    connection: Connection, system: str, table: str, month: dt.date, from_tier: str, kind: str, run_id: str | None
) -> None:
    """Note that the month's newest move could not be taken further, if there is one that is not done.

    Args:
        kind: what went wrong, in one word: what is said of it may quote rows, and events are kept for ever.
    """
    connection.execute(
        "INSERT INTO platform.tier_event (move, state, detail, run_id)"
        " SELECT id, state, jsonb_build_object('failure', %(kind)s::text), %(run_id)s"
        "   FROM (SELECT * FROM platform.tier_move WHERE system = %(system)s AND table_name = %(table)s"
        "            AND month = %(month)s AND from_tier = %(from_tier)s ORDER BY id DESC LIMIT 1) AS newest"
        "  WHERE state <> 'dropped'",
        {
            "system": system, "table": table, "month": month, "from_tier": from_tier, "kind": kind, "run_id": run_id,
        },
    )  # fmt: skip


def record_files(connection: Connection, move: Move, files: Sequence[DataFile]) -> None:
    """Note the files that a move wrote."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO platform.lake_file (move, path, bucket, rows, bytes, sha256) VALUES (%s, %s, %s, %s, %s, %s)",
            [(move.id, file.path, file.bucket, file.rows, file.bytes, file.sha256) for file in files],
        )


def read_files(connection: Connection, move: Move) -> list[DataFile]:
    """The files that a move wrote."""
    rows = connection.execute(
        "SELECT path, bucket, rows, bytes, sha256 FROM platform.lake_file WHERE move = %s ORDER BY path", (move.id,)
    )
    return [
        DataFile(path, f"{move.month:%Y-%m}", bucket, count, size, digest) for path, bucket, count, size, digest in rows
    ]


def replace_files(
    connection: Connection, move: Move, files: Sequence[DataFile], content: Content, why: str, run_id: str | None = None
) -> None:
    """A month of the lake has other files from now on, for some of its rows are to be nowhere; without any, all are."""
    connection.execute("DELETE FROM platform.lake_file WHERE move = %s", (move.id,))
    record_files(connection, move, files)
    if not files:
        advance(connection, move, "expired", content=NOTHING, detail={"why": why}, run_id=run_id)
        return
    changed = connection.execute(
        "UPDATE platform.tier_move SET rows = %s, hash = %s, columns = %s, changed_at = clock_timestamp()"
        " WHERE id = %s AND state = %s",
        (content.rows, content.hash, content.columns, move.id, move.state),
    ).rowcount
    if not changed:
        raise Busy(f"{move.name}: somebody else is moving it", hint="Nothing was changed. Look again.")
    _note(connection, move.id, move.state, {**_told(content), "why": why}, run_id)


def amend_kept(connection: Connection, move: Move, kept: Content, why: str, run_id: str | None = None) -> None:
    """What is kept of a move has other rows from now on; its drop compares with these."""
    changed = connection.execute(
        "UPDATE platform.tier_move SET kept_rows = %s, kept_hash = %s, kept_columns = %s,"
        " changed_at = clock_timestamp() WHERE id = %s AND state = %s",
        (kept.rows, kept.hash, kept.columns, move.id, move.state),
    ).rowcount
    if not changed:
        raise Busy(f"{move.name}: somebody else is moving it", hint="Nothing was changed. Look again.")
    _note(connection, move.id, move.state, {"kept": _told(kept), "why": why}, run_id)


def read_layouts(connection: Connection, system: str, table: str) -> dict[int, str | None]:
    """By which rule the files of each move into the lake are told apart (``Layout.rule``); None: not known."""
    rows = connection.execute(
        "SELECT id, layout FROM platform.tier_move WHERE system = %s AND table_name = %s AND from_tier = 'warm'",
        (system, table),
    )
    return dict(rows.fetchall())


def stale_files(connection: Connection, system: str, table: str) -> dict[dt.date, tuple[int, int]]:
    """Files of months that came back from the lake, by month: how many, and their bytes. They are nobody's rows."""
    rows = connection.execute(
        "SELECT m.month, count(*), sum(f.bytes)::bigint FROM platform.lake_file AS f"
        " JOIN platform.tier_move AS m ON m.id = f.move"
        " WHERE m.system = %s AND m.table_name = %s AND m.state = 'undone' GROUP BY m.month",
        (system, table),
    )
    return {month: (count, size) for month, count, size in rows}


def forget_stale_files(connection: Connection, system: str, table: str, month: dt.date) -> None:
    """They were removed."""
    connection.execute(
        "DELETE FROM platform.lake_file AS f USING platform.tier_move AS m WHERE m.id = f.move"
        " AND m.system = %s AND m.table_name = %s AND m.month = %s AND m.state = 'undone'",
        (system, table, month),
    )


def months_that_left(connection: Connection, system: str, table: str) -> set[dt.date]:
    """Months of a table of which the source no longer tells everything: they left it, or are about to."""
    rows = connection.execute(
        "SELECT DISTINCT month FROM platform.tier_move"
        " WHERE system = %s AND table_name = %s AND from_tier = 'hot' AND state <> 'undone'",
        (system, table),
    )
    return {month for (month,) in rows}


def months_in_lake(connection: Connection, system: str, table: str) -> set[dt.date]:
    """Months of a table whose rows readers take from the lake."""
    rows = connection.execute(
        "SELECT DISTINCT month FROM platform.tier_move WHERE system = %s AND table_name = %s AND from_tier = 'warm'"
        " AND state IN ('flipped', 'dropped')",
        (system, table),
    )
    return {month for (month,) in rows}


def files_in_lake(
    connection: Connection,
    system: str,
    table: str,
    months: Collection[dt.date],
    buckets: Collection[int] | None,
    layout: str,
) -> list[tuple[str, int]]:
    """The files that readers take from the lake: path and bytes.

    Args:
        connection: of the warehouse.
        system, table: whose.
        months: of these.
        buckets: of these; None: of all.
        layout: the rule by which the buckets were found; where a month has another, all of its files are wanted.
    """
    return connection.execute(
        "SELECT f.path, f.bytes FROM platform.tier_move AS m JOIN platform.lake_file AS f ON f.move = m.id"
        " WHERE m.system = %(system)s AND m.table_name = %(table)s AND m.from_tier = 'warm'"
        " AND m.state IN ('flipped', 'dropped') AND m.month = ANY(%(months)s::date[])"
        " AND (%(buckets)s::integer[] IS NULL OR m.layout IS DISTINCT FROM %(layout)s"
        " OR f.bucket = ANY(%(buckets)s::integer[])) ORDER BY f.path",
        {
            "system": system,
            "table": table,
            "months": list(months),
            "layout": layout,
            "buckets": None if buckets is None else list(buckets),
        },
    ).fetchall()


def extent_of_lake(connection: Connection, system: str, table: str) -> tuple[int, int]:
    """How many files and bytes readers take from the lake in all."""
    row = connection.execute(
        "SELECT count(*), coalesce(sum(f.bytes), 0)::bigint"
        " FROM platform.tier_move AS m JOIN platform.lake_file AS f ON f.move = m.id"
        " WHERE m.system = %s AND m.table_name = %s AND m.from_tier = 'warm' AND m.state IN ('flipped', 'dropped')",
        (system, table),
    ).fetchone()
    return (row[0], row[1]) if row else (0, 0)


def in_lake(connection: Connection, system: str, table: str, month: dt.date) -> Move | None:
    """The move by which readers take a month from the lake, if they do."""
    moves = [each for each in read_moves(connection, system, table) if each.month == month]
    return next((each for each in moves if each.from_tier == "warm" and each.state in ("flipped", "dropped")), None)


def came_back(connection: Connection, system: str, table: str, month: dt.date) -> bool:
    """Whether a month was on its way into the lake before, or in it, and that was undone."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM platform.tier_move WHERE system = %s AND table_name = %s AND month = %s"
        " AND from_tier = 'warm' AND state = 'undone')",
        (system, table, month),
    ).fetchone()
    return row is not None and bool(row[0])


def bring_back(connection: Connection, move: Move, why: str, run_id: str | None = None) -> None:
    """The warehouse has a month of the lake whole again: from now on readers take it from there.

    Its files stay in the lake's table until the month's next move replaces them.
    """
    if move.state == "flipped" and move.relation:
        connection.execute(sql.SQL("DROP TABLE {}").format(sql.SQL(move.relation)))  # type: ignore[arg-type]
    advance(connection, move, "undone", detail={"why": why}, run_id=run_id)
    connection.execute(
        "UPDATE platform.raw_content SET tier = 'warehouse' WHERE system = %s AND table_name = %s AND chunk = %s",
        (move.system, move.table, f"{move.month:%Y-%m}"),
    )


def due_in_warehouse(moves: Sequence[Move], month: dt.date, ended: Content) -> Content:
    """What the raw table has of a month that left its source: what came, without what ended or is in the lake.

    Args:
        moves: of the table.
        month: which.
        ended: what expired of it or was erased, after it had left.
    """
    due = NOTHING - ended
    for move in moves:
        if move.month == month and move.content is not None and move.state in ("flipped", "dropped"):
            due = due + move.content if move.from_tier == "hot" else due - move.content
    return due
