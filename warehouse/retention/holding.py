"""Which rows of a table legal holds keep: the persons who are held, as values of the table's own columns.

A row that leads to its person over other tables is known by the values that lead there. What does not belong here:
placing and releasing holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from psycopg import sql

from warehouse.catalog.model import Subject, System
from warehouse.errors import LegalHold
from warehouse.postgres.sessions import Connection
from warehouse.state.holds import read_holds
from warehouse.state.moves import months_in_lake


@dataclass(frozen=True)
class Held:
    """What must stay of one table.

    Attributes:
        frozen: why all of it must; None if not.
        values: of rows that must, by column, as text.
    """

    frozen: str | None = None
    values: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])

    @property
    def persons(self) -> bool:
        """Whether rows of some persons must stay."""
        return any(self.values.values())


def read_held(connection: Connection, system: System, name: str) -> Held:
    """What must stay of a table, by the holds that stand.

    Args:
        connection: of the warehouse.
        system, name: whose table.

    Raises:
        LegalHold: nobody can say which rows are a held person's.
    """
    holds = [each for each in read_holds(connection, system.system) if each.table in (None, name)]
    whole = [each for each in holds if each.subject is None]
    if whole:
        return Held(frozen=f"{whole[0].reason} (hold {whole[0].id})")
    persons = frozenset(each.subject for each in holds if each.subject is not None)
    if not persons:
        return Held()
    values: dict[str, frozenset[str]] = {}
    for subject in system.tables[name].subjects:
        found = _values(connection, system, subject, persons, (name,))
        values[subject.column] = values.get(subject.column, frozenset()) | found
    return Held(values=values)


def _values(
    connection: Connection, system: System, subject: Subject, persons: frozenset[str], seen: tuple[str, ...]
) -> frozenset[str]:
    """Values of a subject's column that lead to one of the persons."""
    if subject.table is None:
        return persons
    if months_in_lake(connection, system.system, subject.table):
        raise LegalHold(
            f"{system.system}.{seen[0]}: a person is held, and the way to the person leads over {subject.table}, of "
            "which months are in the lake",
            hint=f"Nothing was deleted. Hold the whole table, or bring {subject.table} back: `drivetrain tiers "
            "rehydrate`.",
        )
    target = system.tables[subject.table]
    to = sql.Identifier(subject.to or target.key[0])
    found: frozenset[str] = frozenset()
    for further in target.subjects:
        if further.table in (*seen, subject.table):
            continue
        values = _values(connection, system, further, persons, (*seen, subject.table))
        rows = connection.execute(
            sql.SQL("SELECT {}::text FROM {} WHERE {}::text = ANY(%s)").format(
                to, sql.Identifier(system.raw_schema, subject.table), sql.Identifier(further.column)
            ),
            (sorted(values),),
        )
        found |= {value for (value,) in rows if value is not None}
    return found
