"""The one door into the raw schemas: every row that enters the warehouse passes ``RawTable.receive``.

Layout. ``raw_<system>.<table>`` is what readers and dbt use, and it never goes away: a partitioned parent without
rows of its own. The rows are in its children, which a load replaces whole inside its transaction:

- by month, for a table ingested by partition: one child per UTC month, named by the policy's own pattern;
- otherwise a single default child, ``<table>__rows``.

A new child is filled and indexed stand-alone (no reader sees it, and its index is built after the load), then takes the
old one's place. Views on the parent stay valid through it. The parent's only lock is the swap's, held for milliseconds;
it is asked for with a short timeout and retried, so a long reader delays a load and never queues others behind it.

What does not belong here: deciding what to load (``warehouse.ingest``).
"""

from __future__ import annotations

import datetime as dt
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from psycopg import errors, sql

from warehouse.errors import Busy, CatalogMismatch
from warehouse.postgres.carriage import Carriage
from warehouse.postgres.copying import Copied, copy_across
from warehouse.postgres.fingerprints import Fingerprint, fingerprints
from warehouse.postgres.sessions import Connection

_ROWS, _NEXT = "__rows", "__next"
_SWAP_ATTEMPTS = 20
_SWAP_TIMEOUT = "500ms"

#: Constant for every row, so that one default child takes them all; an expression, because a type may have no ordering.
_WHOLE = sql.SQL("LIST (({column} IS NULL))")
_BY_MONTH = sql.SQL("RANGE ({column})")


@dataclass(frozen=True)
class RawTable:
    """One raw table and the only ways to change it. All methods act inside the caller's transaction.

    Attributes:
        connection: the warehouse session; the caller holds an open transaction.
        schema: ``raw_<system>``.
        name: the table.
        carriage: its columns as they travel.
        key: columns of its primary key; empty for a table without one.
        month_column: event-time column, for a table kept by month; else None.
        month_name: gives the name of a month's child, for a table kept by month.
    """

    connection: Connection
    schema: str
    name: str
    carriage: Carriage
    key: tuple[str, ...]
    month_column: str | None = None
    month_name: Callable[[dt.date], str] | None = None

    @property
    def relation(self) -> sql.Identifier:
        """The parent, as readers name it."""
        return sql.Identifier(self.schema, self.name)

    @property
    def where(self) -> str:
        """How errors name it."""
        return f"{self.schema}.{self.name}"

    def lock(self) -> None:
        """Take the table's ingestion lock until the session ends: comparison and load belong together.

        Raises:
            Busy: another ingestion of the same table is running.
        """
        row = self.connection.execute(
            "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (f"ingest {self.where}",)
        ).fetchone()
        if row is None or not row[0]:
            raise Busy(
                f"{self.where}: another ingestion of this table is running",
                hint="Nothing was changed. Wait for it to end, then run again.",
            )

    def ensure(self) -> None:
        """Create schema, enum types and the parent; add columns that the policy gained.

        Raises:
            CatalogMismatch: a column's type or the layout differs from what is in the warehouse, so that old and new
                rows cannot share the table; or something still reads a column that left the policy.
            Busy: readers held the parent all through the retries.
        """
        run = self.connection.execute
        # Two tables of a system may be made at once, and share the schema and its enum types.
        run("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"layout {self.schema}",))
        run(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(self.schema)))
        for column in self.carriage.columns:
            if column.enum is not None:
                self._ensure_enum(column.enum, column.labels)
        strategy = (
            _BY_MONTH.format(column=sql.Identifier(self.month_column))
            if self.month_column
            else _WHOLE.format(column=sql.Identifier((*self.key, *self.carriage.names)[0]))
        )
        run(
            sql.SQL("CREATE TABLE IF NOT EXISTS {} ({}) PARTITION BY {}").format(
                self.relation, self._column_list(), strategy
            )
        )
        live: dict[str, str] = dict(
            run(
                "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
                " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
                (self.relation.as_string(self.connection),),
            ).fetchall()
        )
        self._check_layout()
        changes: list[sql.Composed] = []
        for column in self.carriage.columns:
            kind = live.get(column.name)
            if kind is None:
                changes.append(sql.SQL("ADD COLUMN {} {}").format(sql.Identifier(column.name), column.type))
            elif kind.replace('"', "") != column.type_name.replace('"', ""):
                raise CatalogMismatch(
                    f"{self.where}.{column.name}: is {kind} in the warehouse and {column.type_name} at the source",
                    hint=f"Drop {self.where} in the warehouse (and rebuild dbt), then ingest it again.",
                )
        for name in sorted(set(live) - set(self.carriage.names)):
            # A column that left the policy must not linger with old (perhaps personal) values; views that still
            # read it make this fail loudly.
            changes.append(sql.SQL("DROP COLUMN {}").format(sql.Identifier(name)))
        if changes:
            alter = sql.SQL("ALTER TABLE {} {}").format(self.relation, sql.SQL(", ").join(changes))
            try:
                self._with_short_locks(partial(run, alter))
            except errors.InvalidTableDefinition as error:  # a column of the parent's partition key
                raise CatalogMismatch(
                    f"{self.where}: {error.diag.message_primary}",
                    hint=f"Drop {self.where} in the warehouse (and rebuild dbt), then ingest it again.",
                ) from error

    def _check_layout(self) -> None:
        """The parent is kept whole or by month of the policy's time column, as the policy says."""
        row = self.connection.execute(
            "SELECT p.partstrat = 'r', array(SELECT a.attname::text FROM pg_attribute AS a"
            " WHERE a.attrelid = p.partrelid AND a.attnum = ANY(p.partattrs::int2[]))"
            " FROM pg_partitioned_table AS p WHERE p.partrelid = %s::regclass",
            (self.relation.as_string(self.connection),),
        ).fetchone()
        again = f"Drop {self.where} in the warehouse and ingest it again, or restore the policy."
        if row is None:
            raise CatalogMismatch(
                f"{self.where}: the warehouse has something else of that name, which is no raw table",
                hint="Is it a part of another raw table? Declare the table under another name, with source.",
            )
        by_month, columns = row
        if by_month != (self.month_column is not None):
            raise CatalogMismatch(
                f"{self.where}: the warehouse keeps this table {'by month' if by_month else 'whole'},"
                " its policy now says otherwise",
                hint=again,
            )
        if by_month and columns != [self.month_column]:
            raise CatalogMismatch(
                f"{self.where}: the warehouse keeps this table by month of {columns[0]!r},"
                f" its policy now names {self.month_column!r}",
                hint=again,
            )

    def rekeyed(self) -> bool:
        """Whether the single child was loaded under another key than the policy has now."""
        row = self.connection.execute(
            "SELECT array(SELECT a.attname::text FROM pg_attribute AS a WHERE a.attrelid = i.indrelid"
            " AND a.attnum = ANY(i.indkey::int2[]))"
            " FROM pg_index AS i WHERE i.indisprimary AND i.indrelid = %s::regclass",
            (sql.Identifier(self.schema, self.whole_child).as_string(self.connection),),
        ).fetchone()
        return set(row[0] if row else ()) != set(self.key)

    def children(self) -> dict[str, str]:
        """The attached children and their bounds, by name."""
        return dict(
            self.connection.execute(
                "SELECT c.relname::text, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits AS i"
                " JOIN pg_class AS c ON c.oid = i.inhrelid WHERE i.inhparent = %s::regclass",
                (self.relation.as_string(self.connection),),
            ).fetchall()
        )

    @property
    def whole_child(self) -> str:
        """Name of the single child of a table that is not kept by month."""
        return self.name + _ROWS

    def fingerprints(
        self,
        group: sql.Composable,
        *,
        where: sql.Composable | None = None,
        parameters: Mapping[str, Any] | None = None,
        of: sql.Identifier | None = None,
    ) -> dict[Any, Fingerprint]:
        """Fingerprints of what the warehouse holds now (or of one child, ``of``), by group."""
        return fingerprints(
            self.connection, of or self.relation, self.carriage.names, group=group, where=where, parameters=parameters
        )

    def receive(
        self,
        source: Connection,
        query: sql.Composable,
        into: sql.Identifier,
        parameters: Mapping[str, Any] | None = None,
        fresh: bool = False,
    ) -> Copied:
        """Copy a source query's rows into a table of the warehouse: the only way in.

        Args:
            source: a session under the source snapshot.
            query: selects ``carriage.names`` in order.
            into: a stand-alone child or a temporary table.
            parameters: of the query.
            fresh: ``into`` is a child that this transaction has begun. Its rows are frozen: a reader whose snapshot
                is older than the swap (pg_dump, a COPY that waited for it) sees the new rows rather than none.
        """
        columns = sql.SQL("{} ({})").format(into, sql.SQL(", ").join(map(sql.Identifier, self.carriage.names)))
        return copy_across(
            source, query, self.connection, columns,
            format=self.carriage.format, parameters=parameters, frozen=fresh,
        )  # fmt: skip

    def begin_child(self) -> sql.Identifier:
        """An empty stand-alone table to load the next generation of a child into."""
        relation = sql.Identifier(self.schema, self.name + _NEXT)
        self.connection.execute(sql.SQL("CREATE TABLE {} (LIKE {})").format(relation, self.relation))
        return relation

    def keep(self, child: sql.Identifier, month: dt.date, condition: sql.Composable) -> None:
        """Carry rows of a month's present child over into the next one: those that the source dropped on purpose."""
        if self._child_name(month) in self.children():
            names = sql.SQL(", ").join(map(sql.Identifier, self.carriage.names))
            self.connection.execute(
                sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} WHERE {}").format(
                    child, names, names, sql.Identifier(self.schema, self._child_name(month)), condition
                )
            )

    def finish_child(self, month: dt.date | None = None) -> None:
        """Index the loaded child and put it in the old one's place.

        Args:
            month: first day of the child's month; None for the whole table.

        Raises:
            Busy: readers held the parent all through the retries.
        """
        run = self.connection.execute
        child, temporary = self._child_name(month), sql.Identifier(self.schema, self.name + _NEXT)
        final = sql.Identifier(self.schema, child)
        if self.key:
            run(sql.SQL("ALTER TABLE {} ADD PRIMARY KEY ({})").format(temporary, self._key_list()))
        bound = sql.SQL("DEFAULT")
        if month is not None:
            assert self.month_column is not None
            lower, upper = self._month_bounds(month)
            bound = sql.SQL("FOR VALUES FROM ({}) TO ({})").format(lower, upper)
            # Matches the bound, so that ATTACH need not scan under its lock.
            run(
                sql.SQL(
                    "ALTER TABLE {t} ADD CONSTRAINT bound CHECK ({c} IS NOT NULL AND {c} >= {l} AND {c} < {u})"
                ).format(t=temporary, c=sql.Identifier(self.month_column), l=lower, u=upper)
            )
        run(sql.SQL("ANALYZE {}").format(temporary))

        def swap() -> None:
            if child in self.children():
                run(sql.SQL("ALTER TABLE {} DETACH PARTITION {}").format(self.relation, final))
                run(sql.SQL("DROP TABLE {}").format(final))
            run(sql.SQL("ALTER TABLE {} RENAME TO {}").format(temporary, sql.Identifier(child)))
            run(sql.SQL("ALTER TABLE {} ATTACH PARTITION {} {}").format(self.relation, final, bound))

        self._with_short_locks(swap)
        if month is not None:
            run(sql.SQL("ALTER TABLE {} DROP CONSTRAINT bound").format(final))

    def merge(self, staged: sql.Identifier, condition: sql.Composable, parameters: Mapping[str, Any]) -> int:
        """Upsert staged rows by key into the whole child; rows that are equal byte for byte are left alone.

        Args:
            staged: from ``stage``.
            condition: which of them; others stay out, so that a proof of these proves the table.
            parameters: of ``condition``.

        Returns:
            Rows inserted or changed.
        """
        columns = self.carriage.names
        rest = [name for name in columns if name not in self.key]
        assignments = sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in rest)
        identifiers = sql.SQL(", ").join(map(sql.Identifier, columns))
        action = (
            # *<> compares images: it sees 1.0 become 1.00, and needs no equality operator (json, point).
            sql.SQL("DO UPDATE SET {} WHERE (existing.*) *<> (excluded.*)").format(assignments)
            if rest
            else sql.SQL("DO NOTHING")
        )
        return self.connection.execute(
            sql.SQL("INSERT INTO {} AS existing ({}) SELECT {} FROM {} WHERE {} ON CONFLICT ({}) {}").format(
                sql.Identifier(self.schema, self.whole_child),
                identifiers,
                identifiers,
                staged,
                condition,
                self._key_list(),
                action,
            ),
            parameters,
        ).rowcount

    def stage(self, purpose: str) -> sql.Identifier:
        """A temporary table of the same columns, gone when the transaction ends."""
        relation = sql.Identifier(f"{self.name}_{purpose}")
        self.connection.execute(
            sql.SQL("CREATE TEMPORARY TABLE {} (LIKE {}) ON COMMIT DROP").format(relation, self.relation)
        )
        return relation

    def delete_where(self, condition: sql.Composable, parameters: Mapping[str, Any]) -> int:
        """Delete rows of the whole child; returns how many."""
        return self.connection.execute(
            sql.SQL("DELETE FROM {} WHERE {}").format(sql.Identifier(self.schema, self.whole_child), condition),
            parameters,
        ).rowcount

    def _child_name(self, month: dt.date | None) -> str:
        if month is None:
            return self.whole_child
        assert self.month_name is not None
        return self.month_name(month)

    def _month_bounds(self, month: dt.date) -> tuple[sql.Literal, sql.Literal]:
        upper = (month.replace(day=28) + dt.timedelta(days=4)).replace(day=1)
        zone = (
            "+00"
            if any(c.name == self.month_column and "with time zone" in c.type_name for c in self.carriage.columns)
            else ""
        )
        lower_text, upper_text = (day.isoformat() + (f" 00:00:00{zone}" if zone else "") for day in (month, upper))
        return sql.Literal(lower_text), sql.Literal(upper_text)

    def _key_list(self) -> sql.Composed:
        return sql.SQL(", ").join(map(sql.Identifier, self.key))

    def _column_list(self) -> sql.Composed:
        return sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(column.name), column.type) for column in self.carriage.columns
        )

    def _ensure_enum(self, name: str, labels: Sequence[str]) -> None:
        """Create the enum, or add the labels that it lacks at their places; a label that went away stays."""
        run = self.connection.execute
        relation = sql.Identifier(self.schema, name)
        have = [
            str(row[0])
            for row in run(
                "SELECT e.enumlabel FROM pg_enum AS e JOIN pg_type AS t ON t.oid = e.enumtypid"
                " JOIN pg_namespace AS n ON n.oid = t.typnamespace WHERE n.nspname = %s AND t.typname = %s"
                " ORDER BY e.enumsortorder",
                (self.schema, name),
            )
        ]
        exists = run("SELECT to_regtype(%s) IS NOT NULL", (relation.as_string(self.connection),)).fetchone()
        if exists is None or not exists[0]:
            run(sql.SQL("CREATE TYPE {} AS ENUM ({})").format(relation, sql.SQL(", ").join(map(sql.Literal, labels))))
            return
        for place, label in enumerate(labels):
            if label in have:
                continue
            following = next((other for other in labels[place + 1 :] if other in have), None)
            position = sql.SQL("BEFORE {}").format(sql.Literal(following)) if following else sql.SQL("")
            run(sql.SQL("ALTER TYPE {} ADD VALUE {} {}").format(relation, sql.Literal(label), position))
            have.append(label)

    def _with_short_locks(self, action: Callable[[], object]) -> None:
        """Run DDL in a savepoint under a short lock timeout; again after a jittered pause if it got no lock."""
        for attempt in range(_SWAP_ATTEMPTS):
            try:
                with self.connection.transaction():
                    self.connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(_SWAP_TIMEOUT)))
                    action()
                    self.connection.execute("SET LOCAL lock_timeout = DEFAULT")
                return
            except (errors.LockNotAvailable, errors.DeadlockDetected):
                if attempt == _SWAP_ATTEMPTS - 1:
                    raise Busy(
                        f"{self.where}: readers held the table through {_SWAP_ATTEMPTS} attempts to swap new rows in",
                        hint="Nothing was changed. End the long-running query (see pg_stat_activity) or try later.",
                    ) from None
                time.sleep(random.uniform(0.2, 0.8))  # noqa: S311 (jitter)
