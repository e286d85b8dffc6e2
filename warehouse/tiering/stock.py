"""Read what lies on each shelf of a table: by the servers' estimates and the ledger's sums. No row is counted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from psycopg import sql

from warehouse.catalog.model import System
from warehouse.errors import DrivetrainError
from warehouse.lake.store import Store
from warehouse.postgres.bounds import ends
from warehouse.postgres.sessions import Connection, translated
from warehouse.state.moves import Move, read_moves
from warehouse.state.rehydrations import read_rehydrations
from warehouse.state.tiered import tiered
from warehouse.tiering.apply import read_facts
from warehouse.tiering.map import Holding, Shelf, Stock, TableMap, map_table
from warehouse.tiering.plan import Step, plan_table

#: A table and its partitions: bound, rows (estimated), bytes with indexes and TOAST, whether it has a page of rows.
_PARTITIONS = """
SELECT pg_get_expr(c.relpartbound, c.oid), CASE WHEN c.relkind = 'p' THEN 0 ELSE greatest(c.reltuples, 0)::bigint END,
       coalesce(pg_total_relation_size(c.oid), 0), coalesce(pg_relation_size(c.oid), 0) > 0
  FROM (SELECT to_regclass(%s)::oid AS oid) AS asked
  JOIN pg_class AS c ON c.oid = asked.oid OR c.oid IN (SELECT relid FROM pg_partition_tree(asked.oid))
"""

#: Of relations by their quoted names: rows (estimated) and bytes; one that is not there is left out.
_RELATIONS = """
SELECT name, greatest(c.reltuples, 0)::bigint, pg_total_relation_size(c.oid)
  FROM unnest(%s::text[]) AS name JOIN pg_class AS c ON c.oid = to_regclass(name)
"""

#: Rows and months of a raw table, as they were last counted.
_COUNTED = """
SELECT coalesce(sum(rows), 0)::bigint,
       coalesce(array_agg(to_date(chunk, 'YYYY-MM') ORDER BY chunk) FILTER (WHERE chunk ~ '^[0-9]{4}-[0-9]{2}$'), '{}')
  FROM platform.raw_content WHERE system = %s AND table_name = %s AND tier = 'warehouse' AND rows > 0
"""

#: What the lake has of the months that readers take from there.
_COLD = """
SELECT coalesce(sum(f.rows), 0)::bigint, coalesce(sum(f.bytes), 0)::bigint,
       coalesce(array_agg(DISTINCT m.month ORDER BY m.month), '{}')
  FROM platform.tier_move AS m LEFT JOIN platform.lake_file AS f ON f.move = m.id
 WHERE m.system = %s AND m.table_name = %s AND m.from_tier = 'warm' AND m.state IN ('flipped', 'dropped')
"""

#: When each month last came further down; what is kept, or back from the lake, counts from when it may go.
_SETTLED = """
SELECT month, max(at) FROM (
    SELECT m.month, greatest(e.at, CASE WHEN m.state = 'flipped' THEN m.keep_until END)
      FROM platform.tier_move AS m JOIN platform.tier_event AS e ON e.move = m.id
     WHERE m.system = %(system)s AND m.table_name = %(table)s
       AND e.state IN ('flipped', 'dropped') AND NOT e.detail ? 'failure'
    UNION ALL
    SELECT month, until FROM platform.rehydration WHERE system = %(system)s AND table_name = %(table)s
) AS settled (month, at) GROUP BY month
"""


def survey(
    source: Connection | None,
    warehouse: Connection,
    system: System,
    name: str,
    root: Store,
    at: dt.datetime,
    away: DrivetrainError | None = None,
) -> TableMap:
    """One table's place on the map; what cannot be read of its source is said there, and leaves the rest.

    Args:
        source: the operational database, with a role that may look at its tables.
        warehouse: the warehouse.
        system, name: whose table.
        root: of the lake.
        at: the moment that ages are counted up to.
        away: why there is no ``source``.

    Raises:
        DrivetrainError: the warehouse cannot be read.
    """
    policy, where, failure = system.tables[name], f"{system.system}.{name}", away
    with translated(where):
        moves = read_moves(warehouse, system.system, name)
    stock: Stock | None = None
    steps: list[Step] = []
    frozen = False
    try:
        with translated(where):
            stock = read_stock(source, warehouse, system, name, moves)
            if away is None:
                facts = read_facts(source, warehouse, system, tiered(warehouse, system, name, root))
                steps, frozen = plan_table(policy, facts, at), facts.frozen is not None
    except DrivetrainError as error:
        if warehouse.closed:
            raise
        failure = error
    if stock is None:
        with translated(where):
            stock = read_stock(None, warehouse, system, name, moves)
    return map_table(system.system, name, policy, stock, steps, at, failure=failure, frozen=frozen)


def read_stock(
    source: Connection | None, warehouse: Connection, system: System, name: str, moves: Sequence[Move]
) -> Stock:
    """What there is of a table.

    Args:
        source: the operational database; None if it does not answer: what lies there is then missing.
        warehouse: the warehouse.
        system, name: whose table.
        moves: of the ledger.
    """
    asked = (system.system, name)
    shelves: dict[Shelf, Holding] = {}
    kept: dict[int, int] = {}
    if source is not None:
        shelves["hot"] = _partitions(source, sql.Identifier(*system.source_of(name)))
        left = [move for move in moves if move.from_tier == "hot" and move.state != "dropped" and move.relation]
        shelves["hot_kept"] = _kept(source, left, kept)
    ((rows, months),) = warehouse.execute(_COUNTED, asked).fetchall()
    raw = _partitions(warehouse, sql.Identifier(system.raw_schema, name))
    shelves["warm"] = Holding(rows, raw.bytes, tuple(months))
    # Until a move into the lake is flipped, its relation is the month's own table.
    aside = [move for move in moves if move.from_tier == "warm" and move.state == "flipped"]
    shelves["warm_kept"] = _kept(warehouse, aside, kept)
    ((rows, size, months),) = warehouse.execute(_COLD, asked).fetchall()
    shelves["cold"] = Holding(rows, size, tuple(months))
    settled = warehouse.execute(_SETTLED, {"system": system.system, "table": name})
    return Stock(shelves, kept, dict(settled.fetchall()), tuple(read_rehydrations(warehouse, *asked)))


def _partitions(connection: Connection, table: sql.Identifier) -> Holding:
    """A table as its database has it; months are those of filled partitions."""
    partitions = connection.execute(_PARTITIONS, (table.as_string(connection),)).fetchall()
    bounds = [ends(bound) for bound, _, _, filled in partitions if bound and filled]
    months = {bound[0].date().replace(day=1) for bound in bounds if bound and bound[0]}
    rows, size = (sum(each[column] for each in partitions) for column in (1, 2))
    return Holding(rows, size, tuple(sorted(months)))


def _kept(connection: Connection, moves: Sequence[Move], kept: dict[int, int]) -> Holding:
    """What moves keep; the bytes of each are noted in ``kept``."""
    by_name = {move.relation: move for move in moves}
    rows, bytes_ = 0, 0
    for name, estimated, size in connection.execute(_RELATIONS, (list(by_name),)):
        move = by_name[name]
        kept[move.id] = size
        rows, bytes_ = rows + (move.kept.rows if move.kept else estimated), bytes_ + size
    return Holding(rows, bytes_, tuple(sorted({move.month for move in moves if move.id in kept})))
