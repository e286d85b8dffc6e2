"""Every row about some persons in one table, once, whichever tiers have it, as PostgreSQL prints its values.

The system's own row comes first: what the warehouse and the lake have of the same key is an older copy of it. These
two are read in one moment of the ledger, so that a month that moves meanwhile comes from where it was. Rows are
streamed, and no table of a person is ever in memory: keys that were handed out wait in a table of the warehouse's
session.

What does not belong here: whose rows (``scope``), and who is handed them (``portability``).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from psycopg import sql

from warehouse.catalog.model import System
from warehouse.erasure.held_cold import LakeRead, cold_rows
from warehouse.erasure.marking import Marking
from warehouse.erasure.portability import Row
from warehouse.lake.columns import LakeColumn
from warehouse.lake.store import Store
from warehouse.postgres.arrow import arrow_cursor
from warehouse.postgres.persons import column_types, rows_about
from warehouse.postgres.relations import is_there
from warehouse.postgres.sessions import Connection, Dsn, connect, translated
from warehouse.state.tiered import Tiered, tiered

_APPLICATION = "drivetrain export"
#: Rows of the lake that the server prints at a time.
_AT_ONCE = 5_000
_HANDED_OUT = sql.Identifier("pg_temp", "handed_out")
_KEY = sql.Identifier("drivetrain key")  # as no column of a system is called
_NOTHING = sql.SQL("NULL::text")


@dataclass
class Held:
    """One system, while its rows are handed out.

    Attributes:
        system: the catalog's.
        source: its own database, in one moment.
        warehouse: in one later moment; may have tables of its session.
        printer: a session of the warehouse, for rows of the lake.
        lake: root of the cold tier.
        read: how much of the lake was read.
    """

    system: System
    source: Connection
    warehouse: Connection
    printer: Any
    lake: Store
    read: LakeRead

    def rows(self, name: str, about: Mapping[str, Set[str]]) -> Generator[Row]:
        """Every row of a table about the persons: all columns of the policy, in its order. To be closed if left early.

        Raises:
            CatalogMismatch: values that lead to persons do not fit their columns.
            ServerUnavailable, LakeUnavailable: a store does not answer.
        """
        policy = self.system.tables[name]
        asked = _Asked(tuple(policy.columns), policy.key or tuple(policy.columns), about)
        with translated(f"{self.system.system}.{name} (source)"):
            yield from self._own(asked, sql.Identifier(*self.system.source_of(name)))
        raw = sql.Identifier(self.system.raw_schema, name)
        with translated(f"{self.system.system}.{name}"):
            if is_there(self.warehouse, raw):
                yield from (row[:-1] for row in asked.copied(self.warehouse, raw, older=True))
                yield from self._cold(asked, tiered(self.warehouse, self.system, name, self.lake))
            self.warehouse.execute(sql.SQL("DROP TABLE {}").format(_HANDED_OUT))

    def _own(self, asked: _Asked, relation: sql.Identifier) -> Iterator[Row]:
        """The system's own rows; their keys are in the warehouse's session afterwards."""
        self.warehouse.execute(sql.SQL("CREATE TEMPORARY TABLE handed_out ({} text)").format(_KEY))
        copying = sql.SQL("COPY {} FROM STDIN").format(_HANDED_OUT)
        with self.warehouse.cursor() as cursor, cursor.copy(copying) as noted:
            for row in asked.copied(self.source, relation):
                noted.write_row(row[-1:])
                yield row[:-1]
        self.warehouse.execute(sql.SQL("CREATE INDEX ON {} USING hash ({})").format(_HANDED_OUT, _KEY))
        self.warehouse.execute(sql.SQL("ANALYZE {}").format(_HANDED_OUT))

    def _cold(self, asked: _Asked, table: Tiered) -> Iterator[Row]:
        marking = Marking(table.policy, table.columns, asked.about)
        for found in cold_rows(self.warehouse, table, marking, self.read):
            for first in range(0, found.num_rows, _AT_ONCE):
                rows = asked.printed(self.printer, found.slice(first, _AT_ONCE), table.columns)
                older: list[tuple[str]] = self.warehouse.execute(
                    sql.SQL("SELECT {key} FROM {noted} WHERE {key} = ANY(%s)").format(key=_KEY, noted=_HANDED_OUT),
                    ([row[-1] for row in rows],),
                ).fetchall()
                known = {key for (key,) in older}
                yield from (row[:-1] for row in rows if row[-1] not in known)


@contextmanager
def holding(system: System, source: Dsn, warehouse: Dsn, lake: Store, read: LakeRead) -> Generator[Held]:
    """All stores of a system, each in one moment; the system's own database first. ``read`` is added to.

    Raises:
        ServerUnavailable, AccessDenied: one does not answer, or refuses.
    """
    with (
        connect(source, read_only=True, see_all_rows=True, application=_APPLICATION) as own,
        own.transaction(),
        connect(warehouse, application=_APPLICATION) as other,
        other.transaction(),
        arrow_cursor(warehouse) as printer,
    ):
        for session in (own, other):
            session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            session.execute("SELECT 1 FROM pg_class LIMIT 1")
        yield Held(system, own, other, printer, lake, read)


@dataclass(frozen=True)
class _Asked:
    """What of a table is asked for: rows of texts, and as the last of each its key, in one text.

    Attributes:
        columns: in their order.
        key: by which two copies of a row are known.
        about: by subject column, the values that lead to the persons.
    """

    columns: tuple[str, ...]
    key: tuple[str, ...]
    about: Mapping[str, Set[str]] = field(repr=False)

    def copied(self, connection: Connection, relation: sql.Identifier, *, older: bool = False) -> Iterator[Row]:
        """Rows of one database, without those that were handed out; a column that it lacks has no values there."""
        types = column_types(connection, relation)
        known = {name: values for name, values in self.about.items() if name in types}
        if not known:
            return
        texts = {name: sql.SQL("{}::text").format(sql.Identifier(name)) for name in types}
        condition = rows_about(types, known)
        if older:
            condition += sql.SQL(" AND NOT EXISTS (SELECT FROM {} WHERE {} = {})").format(
                _HANDED_OUT, _KEY, self._key(texts)
            )
        query = sql.SQL("COPY (SELECT {} FROM {} WHERE {}) TO STDOUT").format(self._row(texts), relation, condition)
        with connection.cursor() as cursor, cursor.copy(query) as copied:
            yield from copied.rows()

    def printed(self, cursor: Any, rows: pa.Table, stored: Sequence[LakeColumn]) -> list[Row]:
        """Rows of the lake as the server prints them: it alone knows how."""
        cursor.adbc_ingest("printed", rows, mode="create", temporary=True)
        texts = {column.name: _printed(column) for column in stored if column.name in rows.column_names}
        query = sql.SQL("SELECT {} FROM pg_temp.printed").format(self._row(texts))
        cursor.execute(query.as_string(None))
        made: pa.Table = cursor.fetch_arrow_table()
        cursor.execute("DROP TABLE pg_temp.printed")
        return list(zip(*(column.to_pylist() for column in made.columns), strict=True))

    def _row(self, texts: Mapping[str, sql.Composable]) -> sql.Composed:
        values = [
            sql.SQL("{} AS {}").format(texts.get(name, _NOTHING), sql.Identifier(f"c{place}"))
            for place, name in enumerate(self.columns)
        ]
        return sql.SQL("{}, {} AS {}").format(sql.SQL(", ").join(values), self._key(texts), _KEY)

    def _key(self, texts: Mapping[str, sql.Composable]) -> sql.Composed:
        """A record as text: no two keys are written alike, and what is NULL is compared, too."""
        return sql.SQL("ROW({})::text").format(sql.SQL(", ").join(texts.get(name, _NOTHING) for name in self.key))


def _printed(column: LakeColumn) -> sql.Composed:
    name = sql.Identifier(column.name)
    if pa.types.is_string(column.arrow):
        return sql.SQL("{}::text").format(name)
    return sql.SQL("{}::{}::text").format(name, sql.SQL(column.type_name))  # type: ignore[arg-type]  # format_type()
