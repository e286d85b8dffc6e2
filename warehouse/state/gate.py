"""The gate: what a writer has received loses the rows of erased persons, in the writer's own transaction.

Every way into the warehouse passes here (``RawTable.receive``, a month that comes back from the lake, one that goes
there). A source that shows an erased person again was restored, or lags, or is not erased yet: what it says of others
is taken. Rows that would go are left out, shared ones lose the person's part. Rows that a law keeps under a pseudonym
are refused with their table: left out they would be missed, and the pseudonym of before is known to nobody.

What does not belong here: who was erased (``tombstones``), and erasing what is there (``warehouse.erasure``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from psycopg import sql

from warehouse.catalog.model import System, Table
from warehouse.errors import ErasedPerson
from warehouse.postgres.fingerprints import EMPTY, WHOLE, Fingerprint, fingerprints
from warehouse.postgres.persons import rows_about
from warehouse.postgres.relations import is_filled
from warehouse.postgres.sessions import Connection
from warehouse.state.tombstones import erased_values


@dataclass(frozen=True)
class KeptOut:
    """What a writer does not get of what it received.

    Attributes:
        rows: that were left out, or lost a person's part.
        difference: by group of rows, what has to be subtracted from the source's fingerprint.
    """

    rows: int = 0
    difference: Mapping[Any, Fingerprint] = field(default_factory=dict[Any, Fingerprint])


def keep_out(
    connection: Connection,
    relation: sql.Identifier,
    system: System,
    table: str,
    types: Mapping[str, str],
    group: sql.Composable = WHOLE,
) -> KeptOut:
    """Take erased persons out of rows that nobody can read yet.

    Args:
        connection: of the warehouse, in the transaction that writes.
        relation: the rows: a child that is not attached, or a temporary table.
        system, table: whose policy says what becomes of them.
        types: of the relation's columns, in order.
        group: by which rows are compared with their source.

    Raises:
        ErasedPerson: rows that a law keeps under a pseudonym name an erased person.
    """
    values = erased_values(connection, relation, system, table, list(types))
    conditions = _named(system.tables[table], values, types)
    action = system.tables[table].erasure.action
    if not conditions or action in ("exempt", "no_person"):
        return KeptOut()
    anybody = sql.SQL(" OR ").join(conditions.values())
    ((rows,),) = connection.execute(sql.SQL("SELECT count(*) FROM {} WHERE {}").format(relation, anybody)).fetchall()
    if not rows:
        return KeptOut()
    if action not in ("delete", "redact"):
        raise ErasedPerson(
            f"{system.system}.{table}: {rows:,} rows that a law keeps under a pseudonym name erased persons again",
            hint="Nothing of the table was loaded. Was its source restored? See `drivetrain erasure status`.",
        )
    compare = partial(fingerprints, connection, relation, list(types), group=group)
    if action == "delete":
        gone = compare(where=anybody)
        connection.execute(sql.SQL("DELETE FROM {} WHERE {}").format(relation, anybody))
        return KeptOut(rows, gone)
    before = compare()  # all of them, for which rows were changed cannot be told afterwards
    for subject, condition in conditions.items():
        own = (sql.SQL("{} = NULL").format(sql.Identifier(each)) for each in _own(system.tables[table], subject, types))
        connection.execute(sql.SQL("UPDATE {} SET {} WHERE {}").format(relation, sql.SQL(", ").join(own), condition))
    after = compare()
    difference = {each: before[each] - after.get(each, EMPTY) for each in before if before[each] != after.get(each)}
    return KeptOut(rows, difference)


def _own(table: Table, subject: str, columns: Iterable[str]) -> list[str]:
    own = {column for each in table.subjects if each.column == subject for column in table.own_columns(each)}
    return [column for column in columns if column in own]


def _named(table: Table, values: Mapping[str, Set[str]], types: Mapping[str, str]) -> dict[str, sql.Composable]:
    """By subject column, rows that have something of an erased person still."""
    found: dict[str, sql.Composable] = {}
    for subject, wanted in values.items():
        condition = rows_about(types, {subject: wanted})
        own = _own(table, subject, types)
        if table.erasure.action == "delete" or subject in own:
            found[subject] = condition
        elif own:  # the row stays, and so does its way to the person: it is clean once the rest is empty
            filled = (
                sql.SQL("({0} IS NOT NULL AND {0}::text NOT LIKE 'erased-%%')").format(sql.Identifier(each))
                for each in own
            )
            found[subject] = sql.SQL("({} AND ({}))").format(condition, sql.SQL(" OR ").join(filled))
    return found


def refuse_erased(
    connection: Connection, relation: sql.Identifier, system: System, table: str, types: Mapping[str, str]
) -> None:
    """Nobody moves rows of an erased person: their erasure is not finished.

    Args:
        connection: of the warehouse, in the transaction that moves.
        relation: the rows.
        system, table: whose.
        types: of the relation's columns.

    Raises:
        ErasedPerson: there are such rows.
    """
    values = erased_values(connection, relation, system, table, list(types))
    conditions = _named(system.tables[table], values, types)
    if system.tables[table].erasure.action in ("exempt", "no_person") or not conditions:
        return
    if is_filled(connection, relation, sql.SQL(" OR ").join(conditions.values())):
        raise ErasedPerson(
            f"{system.system}.{table}: rows of persons who are erased are among those to be moved",
            hint="Nothing was moved. Their erasure is not finished: `drivetrain erasure status`.",
        )
