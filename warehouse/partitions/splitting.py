"""One split as data, and how it is written down in the database where it happens.

All that is under way lies beside the relation that is split, named by ``naming.split_mark``: so it can be found,
continued and undone by anybody, also in a database restored from a dump of its middle.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, cast

from psycopg import sql

from warehouse.catalog.naming import SPLIT_STATE, split_mark
from warehouse.partitions.pieces import Piece, Successor, from_json
from warehouse.postgres.relations import is_there
from warehouse.postgres.sessions import Connection


@dataclass(frozen=True)
class Splitting:
    """One split, planned or under way.

    Attributes:
        schema, table: the partitioned table, or the plain one that becomes partitioned.
        partition: the partition that is split; the table itself where it becomes partitioned.
        key_column: of the partitioning.
        pieces: that take its place.
    """

    schema: str
    table: str
    partition: str
    key_column: str
    pieces: tuple[Piece, ...]

    @property
    def mark(self) -> str:
        """Prefix of all that the split needs."""
        return split_mark(self.schema, self.table, self.partition)

    @property
    def successor(self) -> Successor | None:
        """The partitioned table that takes a plain one's place."""
        return next((piece for piece in self.pieces if isinstance(piece, Successor)), None)

    @property
    def parent(self) -> sql.Identifier:
        """The partitioned table."""
        return sql.Identifier(self.schema, self.table)

    @property
    def whole(self) -> sql.Identifier:
        """What is split."""
        return sql.Identifier(self.schema, self.partition)

    @property
    def replaced(self) -> sql.Identifier:
        """What was split, after the swap, until it is dropped."""
        return sql.Identifier(self.schema, f"{self.mark}_old")

    @property
    def state(self) -> sql.Identifier:
        """The table that says how far the copying has come."""
        return sql.Identifier(self.schema, f"{self.mark}_state")

    @property
    def function(self) -> sql.Identifier:
        """Of the triggers that mirror changes."""
        return sql.Identifier(self.schema, self.mark)

    @property
    def triggers(self) -> tuple[str, str]:
        """Of rows, and of TRUNCATE."""
        return self.mark, f"{self.mark}_emptied"

    def beside(self, number: int) -> sql.Identifier:
        """A piece before the swap."""
        return sql.Identifier(self.schema, f"{self.mark}_{number}")


@dataclass(frozen=True)
class Step:
    """One step of a split, for a person.

    Attributes:
        what: is done.
        lock: the strongest that it takes on anything in use, on what, for how long; '' for none.
    """

    what: str
    lock: str = ""


def outline(splitting: Splitting) -> list[Step]:
    """What a split does, in order, with its locks. Each that waits for others waits briefly, and tries again."""
    name, table = splitting.partition, splitting.table
    parts = splitting.successor.parts if splitting.successor else splitting.pieces
    made = [part.name for part in parts if not part.rest] or [f"another {name}"]
    names = ", ".join(made) if len(made) < 5 else f"{made[0]} to {made[-1]} ({len(made)})"
    swap = "milliseconds" if splitting.successor else f"milliseconds for each of {len(made)}"
    return [
        Step(f"make {names}, empty, with all that {name} has", "SHARE ROW EXCLUSIVE on referenced tables, a moment"),
        Step(
            f"mirror every change of {name} into them by a trigger; until it is done, columns must not be dropped",
            f"SHARE ROW EXCLUSIVE on {name}, a moment",
        ),
        Step(f"copy the rows of {name} in batches", "FOR NO KEY UPDATE on a batch's rows, some 50 ms"),
        Step("wait for transactions older than the copying; compare both in one snapshot"),
        Step(f"put them in the place of {name}", f"ACCESS EXCLUSIVE on {table}, {swap}"),
        Step(f"name them, drop what {name} was", "ACCESS EXCLUSIVE on each, and on referenced tables, a moment"),
    ]


def write_down(connection: Connection, splitting: Splitting, owner: str, original: str | None = None) -> None:
    """Note that a split begins, in the caller's transaction.

    Args:
        connection: a session of a member of the owner.
        splitting: what is split into what.
        owner: role that is to own the note.
        original: fingerprint of a plain table that nobody may alter meanwhile.
    """
    content = {
        "table": splitting.table,
        "partition": splitting.partition,
        "key_column": splitting.key_column,
        "pieces": [piece.as_json() for piece in splitting.pieces],
        "original": original,
    }
    about = f"Drivetrain splits {splitting.partition}: `drivetrain partitions` completes it or abandons it."
    run = connection.execute
    run(
        sql.SQL("CREATE TABLE {} (split jsonb NOT NULL, position text[], begun_at timestamptz NOT NULL)").format(
            splitting.state
        )
    )
    run(
        sql.SQL("INSERT INTO {} VALUES (%s, NULL, clock_timestamp())").format(splitting.state),
        (json.dumps(content),),
    )
    run(sql.SQL("COMMENT ON TABLE {} IS {}").format(splitting.state, sql.Literal(about)))
    run(sql.SQL("ALTER TABLE {} OWNER TO {}").format(splitting.state, sql.Identifier(owner)))


def under_way(connection: Connection, schema: str, table: str) -> list[Splitting]:
    """Splits of a table that were begun and not ended, its own conversion among them."""
    found: list[Splitting] = []
    names = connection.execute(
        "SELECT c.relname::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relkind = 'r' AND c.relname ~ %s ORDER BY c.relname",
        (schema, f"^{SPLIT_STATE}$"),
    ).fetchall()
    for (name,) in names:
        content = _content(connection, sql.Identifier(schema, name))
        if content is not None and content["table"] == table:
            pieces = tuple(from_json(piece) for piece in content["pieces"])
            found.append(Splitting(schema, table, content["partition"], content["key_column"], pieces))
    return found


def original_of(connection: Connection, splitting: Splitting) -> str | None:
    """The fingerprint of the plain table when its conversion began."""
    content = _content(connection, splitting.state)
    return content["original"] if content else None


def _content(connection: Connection, state: sql.Identifier) -> dict[str, Any] | None:
    row = connection.execute(sql.SQL("SELECT split FROM {}").format(state)).fetchone()
    return cast("dict[str, Any]", row[0]) if row else None


def in_place(connection: Connection, splitting: Splitting) -> bool:
    """Whether the swap is done, and only clearing up is left."""
    return is_there(connection, splitting.replaced)
