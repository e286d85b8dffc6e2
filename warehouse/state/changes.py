"""The change feed of a raw table: its rows as they went (sign -1) and as they came (sign +1), in order of commit.

Models that sum rows are refreshed from it (incremental view maintenance by counting: Gupta, Mumick, Subrahmanian,
"Maintaining Views Incrementally", SIGMOD 1993), so that a refresh costs what changed and not what there is. An update
is the old row out and the new row in; a late row or a delete is a change like any other.

A feed is kept only while somebody reads it (``platform.change_reader``). It holds what measures are made of: keys,
times and whatever is not personal; of personal columns only the person's identifier. ``prune_changes`` drops what all
readers have read. A row that leaves for a lower tier does not pass here: it is not gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from warehouse.catalog.model import Table
from warehouse.postgres.sessions import Connection

#: What a feed's name adds to its table's.
SUFFIX = "__changes"


def relation_name(schema: str, table: str) -> str:
    """How the platform's tables name a relation whose changes are followed."""
    return f"{schema}.{table}"


def split_relation(name: str) -> tuple[str, str]:
    """Schema and table of what ``relation_name`` joined."""
    schema, _, table = name.partition(".")
    return schema, table


def feed_columns(table: Table) -> tuple[str, ...]:
    """The columns of a table that its feed carries: all but personal ones, of which only the person's identifier."""
    return tuple(
        name
        for name, column in table.columns.items()
        if column.personal in (None, "person_id") or name in table.key or name == table.time
    )


@dataclass(frozen=True)
class ChangeFeed:
    """The feed of one raw table. All methods act inside the caller's transaction, before the rows themselves change.

    Attributes:
        connection: the warehouse session.
        schema, table: the relation whose changes these are.
        key: its key; without one a replacement cannot be told row by row.
        compared: columns by which a row is known to have changed.
        carried: columns that the feed holds.
    """

    connection: Connection
    schema: str
    table: str
    key: tuple[str, ...]
    compared: tuple[str, ...]
    carried: tuple[str, ...]

    @property
    def relation(self) -> sql.Identifier:
        """The feed."""
        return sql.Identifier(self.schema, self.table + SUFFIX)

    @property
    def name(self) -> str:
        """How readers name the relation that they follow."""
        return relation_name(self.schema, self.table)

    def declare(self) -> None:
        """Declare what the feed carries; when that changed, it begins anew and its readers start again."""
        self.connection.execute("SELECT platform.declare_feed(%s, %s)", (self.name, list(self.carried)))

    def is_read(self) -> bool:
        """Whether anybody follows the table. Stays true or false while the caller holds the table's lock."""
        row = self.connection.execute(
            "SELECT EXISTS (SELECT FROM platform.change_reader WHERE relation = %s)", (self.name,)
        ).fetchone()
        return row is not None and row[0]

    def reset(self) -> None:
        """Tell readers that they must read the table whole."""
        self.connection.execute("SELECT platform.reset_readers(%s)", (self.name,))

    def note_replaced(self, old: sql.Identifier, new: sql.Identifier) -> None:
        """``new`` takes the place of ``old``: note the rows by which they differ."""
        if not self.is_read():
            return
        if not self.key:
            self.reset()
            return
        matches = sql.SQL(" AND ").join(sql.SQL("o.{0} = n.{0}").format(sql.Identifier(name)) for name in self.key)
        self._note(
            sql.SQL("{} AS o FULL JOIN {} AS n ON {}").format(old, new, matches),
            sql.SQL("o.{k} IS NULL OR n.{k} IS NULL OR {changed}").format(
                k=sql.Identifier(self.key[0]), changed=self._changed()
            ),
        )

    def note_added(self, new: sql.Composable) -> None:
        """``new`` joins the table, where nothing was before."""
        if self.is_read():
            self.connection.execute(
                sql.SQL("INSERT INTO {} (sign, {c}) SELECT 1, {c} FROM {}").format(
                    self.relation, new, c=_list(self.carried)
                )
            )

    def note_merged(
        self,
        held: sql.Identifier,
        staged: sql.Identifier,
        condition: sql.Composable,
        parameters: Mapping[str, Any],
    ) -> None:
        """Those of the rows ``staged`` that ``condition`` names are about to be upserted into ``held``."""
        if not self.is_read():
            return
        matches = sql.SQL(" AND ").join(sql.SQL("o.{0} = n.{0}").format(sql.Identifier(name)) for name in self.key)
        self._note(
            sql.SQL("(SELECT * FROM {} WHERE {}) AS n LEFT JOIN {} AS o ON {}").format(
                staged, condition, held, matches
            ),
            sql.SQL("o.{} IS NULL OR {}").format(sql.Identifier(self.key[0]), self._changed()),
            parameters,
        )

    def note_deleted(
        self, held: sql.Composable, condition: sql.Composable, parameters: Mapping[str, Any] | None = None
    ) -> None:
        """Those rows of ``held`` that ``condition`` names are about to be deleted."""
        if self.is_read():
            self.connection.execute(
                sql.SQL("INSERT INTO {} (sign, {c}) SELECT -1, {c} FROM {} AS held WHERE {}").format(
                    self.relation, held, condition, c=_list(self.carried)
                ),
                parameters,
            )

    def _note(
        self, joined: sql.Composable, condition: sql.Composable, parameters: Mapping[str, Any] | None = None
    ) -> None:
        """Note both sides of the joined rows: the old one (``o``) out, the new one (``n``) in."""
        first = sql.Identifier(self.key[0])
        self.connection.execute(
            sql.SQL(
                "INSERT INTO {} (sign, {}) SELECT v.* FROM {} CROSS JOIN LATERAL ("
                " SELECT -1, {} WHERE o.{k} IS NOT NULL UNION ALL SELECT 1, {} WHERE n.{k} IS NOT NULL) AS v WHERE {}"
            ).format(
                self.relation,
                _list(self.carried),
                joined,
                _list(self.carried, "o"),
                _list(self.carried, "n"),
                condition,
                k=first,
            ),
            parameters,
        )

    def _changed(self) -> sql.Composed:
        # Compares images, as *<> does: sees 1.0 become 1.00, and needs no equality operator (json, point).
        return sql.SQL("record_image_ne(ROW({}), ROW({}))").format(_list(self.compared, "o"), _list(self.compared, "n"))


def prune_changes(connection: Connection, readers: Iterable[str]) -> int:
    """Drop what no reader will ask for again.

    Args:
        connection: a session in autocommit.
        readers: the models that exist, as ``schema.name``; any other reader is forgotten.

    Returns:
        Changes dropped.
    """
    connection.execute("DELETE FROM platform.change_reader WHERE reader <> ALL(%s)", (list(readers),))
    # A reader without a position reads the table whole; nobody at all leaves nothing to keep.
    return sum(
        connection.execute(
            sql.SQL(
                "DELETE FROM {} WHERE change <= coalesce((SELECT min(position) FROM platform.change_reader"
                " WHERE relation = %s AND position IS NOT NULL), 9223372036854775807)"
            ).format(sql.Identifier(schema, name)),
            (relation,),
        ).rowcount
        for relation, schema, name in _feeds(connection)
    )


def feeds(connection: Connection) -> list[tuple[str, str]]:
    """Schema and name of every feed that is there."""
    return [(schema, name) for _, schema, name in _feeds(connection)]


def _feeds(connection: Connection) -> list[tuple[str, str, str]]:
    """The relation that a feed is of, and the feed."""
    return connection.execute(  # type: ignore[return-value]
        "SELECT f.relation, n.nspname::text, c.relname::text FROM platform.change_feed AS f"
        " JOIN pg_class AS c ON c.relname = split_part(f.relation, '.', 2) || %s AND c.relkind = 'r'"
        " JOIN pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = split_part(f.relation, '.', 1)",
        (SUFFIX,),
    ).fetchall()


def _list(columns: tuple[str, ...], alias: str | None = None) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(alias, name) if alias else sql.Identifier(name) for name in columns)
