"""Whether a model that is refreshed by what changed holds what it would if it were made anew from everything.

What does not belong here: how such models are refreshed (``dbt_project/macros/changes.sql``), and where the SQL that
makes one anew comes from (dbt compiles it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from warehouse.errors import Busy
from warehouse.postgres.sessions import Connection, translated
from warehouse.state.changes import SUFFIX, split_relation

#: Rows shown of a difference.
EXAMPLES = 5


@dataclass(frozen=True)
class Recomputation:
    """A model beside its recomputation, in one snapshot of the warehouse.

    Attributes:
        rows: rows of the recomputation.
        missing: rows that it has and the model lacks.
        extra: rows that the model has and it lacks. A wrong figure is one of each.
        examples: keys of some of them.
    """

    rows: int
    missing: int
    extra: int
    examples: tuple[tuple[Any, ...], ...]

    @property
    def agrees(self) -> bool:
        """No difference at all."""
        return self.missing == 0 and self.extra == 0


_PENDING = "SELECT relation, position FROM platform.change_reader WHERE reader = %s ORDER BY relation"
_COMPARE = sql.SQL("""
CREATE TEMPORARY TABLE recomputed ON COMMIT DROP AS SELECT * FROM ({query}
) AS made WHERE {whole};
CREATE TEMPORARY TABLE held ON COMMIT DROP AS SELECT {columns} FROM {model} WHERE {within};
CREATE TEMPORARY TABLE missing ON COMMIT DROP AS SELECT {columns} FROM recomputed EXCEPT ALL SELECT {columns} FROM held;
CREATE TEMPORARY TABLE extra ON COMMIT DROP AS SELECT {columns} FROM held EXCEPT ALL SELECT {columns} FROM recomputed;
""")
_TRUE = sql.SQL("true")
_COUNT = """
SELECT (SELECT count(*) FROM recomputed), (SELECT count(*) FROM missing), (SELECT count(*) FROM extra)
"""
_EXAMPLES = sql.SQL("SELECT {key} FROM missing UNION SELECT {key} FROM extra ORDER BY {places} LIMIT {limit}")


def recompute(
    connection: Connection,
    model: str,
    query: str,
    columns: Sequence[str],
    key: Sequence[str],
    period: str | None,
    raw: Sequence[str] = (),
) -> Recomputation:
    """Make a model's rows anew and compare.

    Args:
        connection: a session in autocommit; nothing of what it does stays.
        model: ``schema.name``.
        query: SELECT that makes the model from everything, as dbt compiled it.
        columns: all columns of the model.
        key: columns that identify a row.
        period: column by which the model keeps rows whose sources have left the warehouse: what is older than the
            first period of the recomputation is not compared, nor what is of a month in the lake. None: keys that the
            recomputation has are compared, if any month is in the lake; else everything.
        raw: raw tables that the model is made from, however far up, as ``raw_<system>.<table>``.

    Raises:
        Busy: changes came in that the model has not read yet; it can be compared after its next refresh.
    """
    schema, name = split_relation(model)
    cold = sql.SQL("(SELECT month FROM platform.cold_months({}) AS cold (month))").format(sql.Literal(list(raw)))
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    compare = _COMPARE.format(
        query=sql.SQL(query),  # type: ignore[arg-type]  # the project's own model
        columns=names,
        model=sql.Identifier(schema, name),
        within=_within(cold, key, period),
        whole=sql.SQL("platform.month_of({}) NOT IN {}").format(sql.Identifier(period), cold) if period else _TRUE,
    )
    examples = _EXAMPLES.format(
        key=sql.SQL(", ").join(map(sql.Identifier, key)),
        places=sql.SQL(", ").join(sql.SQL(str(place)) for place in range(1, len(key) + 1)),  # type: ignore[arg-type]
        limit=sql.Literal(EXAMPLES),
    )
    with translated(model), connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        _refuse_pending(connection, model)
        connection.execute(compare)
        counts = connection.execute(_COUNT).fetchone()
        assert counts is not None
        rows, missing, extra = counts
        return Recomputation(rows, missing, extra, tuple(connection.execute(examples).fetchall()))


def _within(cold: sql.Composable, key: Sequence[str], period: str | None) -> sql.Composed:
    """Which of the model's rows can be made anew from what the warehouse has."""
    if period is None:
        names = sql.SQL(", ").join(map(sql.Identifier, key))
        return sql.SQL("NOT EXISTS {cold} OR ({key}) IN (SELECT {key} FROM recomputed)").format(cold=cold, key=names)
    return sql.SQL("{0} >= (SELECT min({0}) FROM recomputed) AND platform.month_of({0}) NOT IN {1}").format(
        sql.Identifier(period), cold
    )


def _refuse_pending(connection: Connection, model: str) -> None:
    for relation, position in connection.execute(_PENDING, (model,)).fetchall():
        # Without a position there may be no feed to ask: the model has yet to read the relation whole.
        if position is None or _has_more(connection, relation, position):
            raise Busy(
                f"{model}: {relation} changed since the model was refreshed",
                hint="Compare again after the next refresh.",
            )


def _has_more(connection: Connection, relation: str, position: int) -> bool:
    schema, name = split_relation(relation)
    query = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE change > %s)").format(sql.Identifier(schema, name + SUFFIX))
    row = connection.execute(query, (position,)).fetchone()
    return row is not None and row[0]
