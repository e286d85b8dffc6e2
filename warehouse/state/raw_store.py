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
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from psycopg import errors, sql

from warehouse.catalog.model import System
from warehouse.catalog.naming import period_name
from warehouse.errors import Busy
from warehouse.postgres.carriage import Carriage, carriage
from warehouse.postgres.copying import Copied, copy_across
from warehouse.postgres.fingerprints import Fingerprint, fingerprints
from warehouse.postgres.introspection import LiveColumn
from warehouse.postgres.locks import attempt
from warehouse.postgres.relations import is_filled
from warehouse.postgres.sessions import Connection
from warehouse.state import raw_layout as layout
from warehouse.state.changes import ChangeFeed, feed_columns
from warehouse.state.gate import KeptOut, keep_out, refuse_erased
from warehouse.state.restrictions import follow_restricted

_ROWS, _NEXT = "__rows", "__next"
_SWAP_ATTEMPTS = 20
_SWAP_TIMEOUT, _SWAP_PAUSE = 500, 0.5


@dataclass(frozen=True)
class Received(Copied):
    """What came in.

    Attributes:
        kept_out: what of it did not, for it is of erased persons.
    """

    kept_out: KeptOut = field(default_factory=KeptOut)


@dataclass(frozen=True)
class RawTable:
    """One raw table and the only ways to change it. All methods act inside the caller's transaction.

    Attributes:
        connection: the warehouse session; the caller holds an open transaction.
        system, name: whose table.
        carriage: its columns as they travel.
        key: columns of its primary key; empty for a table without one.
        month_column: event-time column, for a table kept by month; else None.
        month_name: gives the name of a month's child, for a table kept by month.
        followed: columns that the table's change feed carries (``changes.feed_columns``).
    """

    connection: Connection
    system: System
    name: str
    carriage: Carriage
    key: tuple[str, ...]
    month_column: str | None = None
    month_name: Callable[[dt.date], str] | None = None
    followed: tuple[str, ...] = ()

    @classmethod
    def of(cls, connection: Connection, system: System, name: str, columns: Sequence[LiveColumn]) -> RawTable:
        """The raw table of a policy, with those of the source's columns that it declares.

        Raises:
            UnsupportedType: one cannot be carried.
        """
        policy = system.tables[name]
        declared = [column for column in columns if column.name in policy.columns]
        by_month = policy.ingest.mode == "partition"
        return cls(
            connection=connection,
            system=system,
            name=name,
            carriage=carriage(declared, system.raw_schema, f"{system.system}.{name}"),
            key=policy.key,
            month_column=policy.time if by_month else None,
            month_name=partial(period_name, policy.month_pattern, name) if by_month else None,
            followed=tuple(column for column in feed_columns(policy) if any(c.name == column for c in declared)),
        )

    @property
    def month_type(self) -> str:
        """Type of the event time in the warehouse."""
        return next(column.type_name for column in self.carriage.columns if column.name == self.month_column)

    @property
    def schema(self) -> str:
        """Where it is."""
        return self.system.raw_schema

    @property
    def feed(self) -> ChangeFeed:
        """Where models read what changed."""
        return ChangeFeed(self.connection, self.schema, self.name, self.key, self.carriage.names, self.followed)

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
        row = self.connection.execute("SELECT pg_try_advisory_lock(platform.feed_lock(%s))", (self.where,)).fetchone()
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
                layout.ensure_enum(self.connection, self.schema, column.enum, column.labels)
        strategy = layout.strategy((*self.key, *self.carriage.names)[0], self.month_column)
        found = run("SELECT to_regclass(%s)", (self.relation.as_string(self.connection),)).fetchone()
        is_new = found is None or found[0] is None
        if is_new:
            run(
                sql.SQL("CREATE TABLE {} ({}) PARTITION BY {}").format(
                    self.relation, layout.column_list(self.carriage), strategy
                )
            )
        layout.check_layout(self.connection, self.relation, self.where, self.month_column)
        changes = layout.column_changes(self.connection, self.relation, self.where, self.carriage)
        if changes:
            alter = sql.SQL("ALTER TABLE {} {}").format(self.relation, sql.SQL(", ").join(changes))
            try:
                self._with_short_locks(partial(run, alter))
            except errors.InvalidTableDefinition as error:  # a column of the parent's partition key
                told = f"{self.where}: {error.diag.message_primary}"
                raise layout.refused(self.connection, self.where, told, "Restore the policy.") from error
        self.feed.declare()
        if is_new:  # somebody dropped it: what models have read is no longer what is here
            self.feed.reset()

    def is_current(self) -> bool:
        """Whether the table is there with the policy's columns: rows that are there have values of all."""
        relation = self.relation.as_string(self.connection)
        ((there,),) = self.connection.execute("SELECT to_regclass(%s) IS NOT NULL", (relation,)).fetchall()
        return there and not layout.column_changes(self.connection, self.relation, self.where, self.carriage)

    def rekeyed(self) -> bool:
        """Whether the single child was loaded under another key than the policy has now."""
        held = layout.key_of(self.connection, sql.Identifier(self.schema, self.whole_child))
        return held != set(self.key)

    def children(self) -> dict[str, str]:
        """The attached children and their bounds, by name."""
        return layout.children(self.connection, self.relation)

    def months(self) -> dict[dt.date, sql.Identifier]:
        """The attached children of a table kept by month, by its first day."""
        found = ((layout.month_of_bound(bound), name) for name, bound in self.children().items())
        return {month: sql.Identifier(self.schema, name) for month, name in found if month is not None}

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
        group: sql.Composable | None = None,
    ) -> Received:
        """Copy a source query's rows into a table of the warehouse: the only way in, past the gate.

        Args:
            source: a session under the source snapshot.
            query: selects ``carriage.names`` in order.
            into: a stand-alone child or a temporary table.
            parameters: of the query.
            fresh: ``into`` is a child that this transaction has begun. Its rows are frozen: a reader whose snapshot
                is older than the swap (pg_dump, a COPY that waited for it) sees the new rows rather than none.
            group: by which the rows are compared with the source; without one, rows of erased persons are refused.

        Raises:
            ErasedPerson: they are not let in, and cannot be left out.
        """
        columns = sql.SQL("{} ({})").format(into, sql.SQL(", ").join(map(sql.Identifier, self.carriage.names)))
        copied = copy_across(
            source, query, self.connection, columns,
            format=self.carriage.format, parameters=parameters, frozen=fresh,
        )  # fmt: skip
        if group is None:
            self.refuse_erased(into)
            follow_restricted(self.connection, into, self.system, self.name)
            return Received(copied.rows, copied.bytes)
        return Received(copied.rows, copied.bytes, self.admit(into, group))

    def admit(self, relation: sql.Identifier, group: sql.Composable, columns: Collection[str] | None = None) -> KeptOut:
        """Let rows pass the gate that came by another way: those of erased persons are taken out.

        Args:
            relation: the rows, which nobody reads yet: a child that is not attached, or a temporary table.
            group: by which they are compared with the source.
            columns: that the relation has of the table's; all, if none are named.
        """
        there = self.carriage.columns if columns is None else [c for c in self.carriage.columns if c.name in columns]
        types = {column.name: column.type_name for column in there}
        kept_out = keep_out(self.connection, relation, self.system, self.name, types, group)
        if columns is None:
            follow_restricted(self.connection, relation, self.system, self.name)
        return kept_out

    def refuse_erased(self, relation: sql.Identifier) -> None:
        """Nothing is moved as long as rows of erased persons are among it.

        Raises:
            ErasedPerson: they are.
        """
        types = {column.name: column.type_name for column in self.carriage.columns}
        refuse_erased(self.connection, relation, self.system, self.name, types)

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

    def finish_child(self, month: dt.date | None = None, *, known: bool = False) -> None:
        """Index the loaded child and put it in the old one's place.

        Args:
            month: first day of the child's month; None for the whole table.
            known: readers of the feed have read its rows: they come back from a lower tier.

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
            lower, upper = layout.month_bounds(month, self.carriage, self.month_column)
            bound = sql.SQL("FOR VALUES FROM ({}) TO ({})").format(lower, upper)
            # Matches the bound, so that ATTACH need not scan under its lock.
            run(
                sql.SQL(
                    "ALTER TABLE {t} ADD CONSTRAINT bound CHECK ({c} IS NOT NULL AND {c} >= {l} AND {c} < {u})"
                ).format(t=temporary, c=sql.Identifier(self.month_column), l=lower, u=upper)
            )
        run(sql.SQL("ANALYZE {}").format(temporary))
        if known:
            pass
        elif child in self.children():
            self.feed.note_replaced(final, temporary)
        else:
            self.feed.note_added(temporary)

        def swap() -> None:
            if child in self.children():
                run(sql.SQL("ALTER TABLE {} DETACH PARTITION {}").format(self.relation, final))
                run(sql.SQL("DROP TABLE {}").format(final))
            run(sql.SQL("ALTER TABLE {} RENAME TO {}").format(temporary, sql.Identifier(child)))
            run(sql.SQL("ALTER TABLE {} ATTACH PARTITION {} {}").format(self.relation, final, bound))

        self._with_short_locks(swap)
        if month is not None:
            run(sql.SQL("ALTER TABLE {} DROP CONSTRAINT bound").format(final))

    def merge(
        self,
        staged: sql.Identifier,
        condition: sql.Composable,
        parameters: Mapping[str, Any],
        month: dt.date | None = None,
    ) -> int:
        """Upsert staged rows by key into a child; rows that are equal byte for byte are left alone.

        Args:
            staged: from ``stage``.
            condition: which of them; others stay out, so that a proof of these proves the table.
            parameters: of ``condition``.
            month: whose child; None: the whole one.

        Returns:
            Rows inserted or changed.
        """
        columns = self.carriage.names
        rest = [name for name in columns if name not in self.key]
        assignments = sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in rest)
        identifiers = sql.SQL(", ").join(map(sql.Identifier, columns))
        child = self.child(month)
        self.feed.note_merged(child, staged, condition, parameters)
        action = (
            # *<> compares images: it sees 1.0 become 1.00, and needs no equality operator (json, point).
            sql.SQL("DO UPDATE SET {} WHERE (existing.*) *<> (excluded.*)").format(assignments)
            if rest
            else sql.SQL("DO NOTHING")
        )
        return self.connection.execute(
            sql.SQL("INSERT INTO {} AS existing ({}) SELECT {} FROM {} WHERE {} ON CONFLICT ({}) {}").format(
                child,
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

    def delete_absent(self, staged: sql.Identifier, condition: sql.Composable, parameters: Mapping[str, Any]) -> int:
        """Delete rows of the whole child that ``condition`` names and whose key is not staged; returns how many.

        A key that is equal but another image (1.0 and 1.00) is not the same: the row goes, for the staged one to come.
        """
        held = sql.Identifier(self.schema, self.whole_child)
        absent = sql.SQL(
            "{condition} AND NOT EXISTS (SELECT FROM {staged} AS staged WHERE {equal}"
            " AND record_image_eq(ROW({theirs}), ROW({ours})))"
        ).format(
            condition=condition,
            staged=staged,
            equal=sql.SQL(" AND ").join(
                sql.SQL("staged.{0} = held.{0}").format(sql.Identifier(name)) for name in self.key
            ),
            theirs=sql.SQL(", ").join(sql.Identifier("staged", name) for name in self.key),
            ours=sql.SQL(", ").join(sql.Identifier("held", name) for name in self.key),
        )
        self.feed.note_deleted(held, absent, parameters)
        return self.connection.execute(
            sql.SQL("DELETE FROM {} AS held WHERE {}").format(held, absent), parameters
        ).rowcount

    def delete(self, condition: sql.Composable) -> int:
        """Delete rows of whichever child, called ``held`` in the condition; returns how many."""
        self.feed.note_deleted(self.relation, condition)
        return self.connection.execute(
            sql.SQL("DELETE FROM {} AS held WHERE {}").format(self.relation, condition)
        ).rowcount

    def release(self, month: dt.date, name: str) -> None:
        """Take a month's child out of the table, to be kept under another name; its readers are told nothing, for its
        rows are no less theirs.

        Raises:
            Busy: readers held the parent all through the retries.
        """
        child = self.child(month)
        run = self.connection.execute

        def detach() -> None:
            run(sql.SQL("ALTER TABLE {} DETACH PARTITION {}").format(self.relation, child))
            run(sql.SQL("ALTER TABLE {} RENAME TO {}").format(child, sql.Identifier(name)))

        self._with_short_locks(detach)

    def child(self, month: dt.date | None) -> sql.Identifier:
        """Where a month's rows are; all of them, for a table that is not kept by month."""
        return sql.Identifier(self.schema, self._child_name(month))

    def expire(self, condition: sql.Composable, month: dt.date | None) -> None:
        """Delete rows that nobody may have any more; a month without any other row goes whole.

        Models keep what they made of a month's rows, as they do when a month goes to the lake; of a table that is not
        kept by month they hear what went.

        Raises:
            Busy: readers held the parent all through the retries.
        """
        child = self.child(month)
        run = self.connection.execute
        if month is None:
            self.feed.note_deleted(child, condition)
        elif not is_filled(self.connection, child, sql.SQL("({}) IS NOT TRUE").format(condition)):
            self._with_short_locks(partial(run, sql.SQL("DROP TABLE {}").format(child)))
            return
        run(sql.SQL("DELETE FROM {} WHERE {}").format(child, condition))

    def _child_name(self, month: dt.date | None) -> str:
        if month is None:
            return self.whole_child
        assert self.month_name is not None
        return self.month_name(month)

    def _key_list(self) -> sql.Composed:
        return sql.SQL(", ").join(map(sql.Identifier, self.key))

    def _with_short_locks(self, action: Callable[[], object]) -> None:
        """Run DDL in a savepoint under a short lock timeout; again after a jittered pause if it got no lock."""
        try:
            attempt(self.connection, action, lock_timeout=_SWAP_TIMEOUT, attempts=_SWAP_ATTEMPTS, pause=_SWAP_PAUSE)
        except (errors.LockNotAvailable, errors.DeadlockDetected):
            raise Busy(
                f"{self.where}: readers held the table through {_SWAP_ATTEMPTS} attempts to swap new rows in",
                hint="Nothing was changed. End the long-running query (see pg_stat_activity) or try later.",
            ) from None
