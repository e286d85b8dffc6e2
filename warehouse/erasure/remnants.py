"""What PostgreSQL keeps of rows that went: dead versions in pages, and common values in statistics. Removed as far as
the role may; what it may not is said.

What does not belong here: the write-ahead log and backups, which expire.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from psycopg import sql

from warehouse.erasure import sql as queries
from warehouse.erasure.shape import Name
from warehouse.postgres.relations import is_filled
from warehouse.postgres.sessions import Connection, translated


@dataclass(frozen=True)
class Swept:
    """Tables that were vacuumed and analysed, and what is left to somebody with more rights."""

    relations: tuple[Name, ...]
    left: tuple[str, ...]


def sweep(source: Connection, relations: Iterable[Name]) -> Swept:
    """Vacuum and analyse tables, with all their partitions.

    Args:
        source: a session in autocommit.
        relations: tables whose rows went or changed.
    """
    done: list[Name] = []
    left: list[str] = []
    for relation in relations:
        name, shown = sql.Identifier(*relation), ".".join(relation)
        with translated(f"{shown} (source)"):
            if not _may(source, name):
                left.append(f"{shown}: VACUUM (ANALYZE) needs its owner, or the right MAINTAIN")
                continue
            left += swept(source, name)
            done.append(relation)
    return Swept(tuple(done), tuple(left))


def swept(source: Connection, relation: sql.Identifier) -> Sequence[str]:
    """Let nothing of rows that went stay in a table's pages, nor in what the server knows of its values.

    Returns:
        What only somebody with more rights can clear.
    """
    # TRUNCATE would lock out readers for the moment in which a file is cut.
    source.execute(sql.SQL("VACUUM (ANALYZE, TRUNCATE false) {}").format(relation))
    return _clear(source, relation)


def restate(connection: Connection, parent: sql.Identifier) -> None:
    """A partitioned table may have statistics of its own, over all its partitions, that follow only when asked."""
    found = connection.execute(queries.STALE_STATISTICS, {"relation": parent.as_string(connection)}).fetchall()
    if any(inherited for *_, inherited in found):
        swept(connection, parent)


def _may(source: Connection, relation: sql.Identifier) -> bool:
    """Whether this role may: the server only warns, and leaves the table out."""
    row = source.execute(queries.MAY_MAINTAIN, {"relation": relation.as_string(source)}).fetchone()
    return row is not None and bool(row[0])


def _clear(source: Connection, relation: sql.Identifier) -> Sequence[str]:
    """ANALYZE of a table without rows leaves the statistics of before: they are cleared, where the server can."""
    found = source.execute(queries.STALE_STATISTICS, {"relation": relation.as_string(source)}).fetchall()
    empty = {owner: not is_filled(source, sql.Identifier(*owner)) for owner in {(row[0], row[1]) for row in found}}
    stale = [row for row in found if empty[row[0], row[1]]]
    if not stale:
        return ()
    if source.info.server_version < 180_000:
        tables = sorted({f"{row[0]}.{row[1]}" for row in stale})
        return [
            f"{table}: it has no rows, and pg_stats still has values of before until ANALYZE finds one; a superuser can"
            " DELETE them FROM pg_statistic" for table in tables
        ]  # fmt: skip
    for _, _, schema, table, column, inherited in stale:
        source.execute(queries.CLEAR_STATISTICS, (schema, table, column, inherited))
    return ()
