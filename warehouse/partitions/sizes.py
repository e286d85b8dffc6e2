"""How large each partition is, as its server says; no row is looked at, and no privilege on the tables is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from warehouse.partitions.targets import Place, Target
from warehouse.postgres.sessions import Connection

_SIZES = """
SELECT asked.number, c.relname::text, pg_total_relation_size(c.oid)
  FROM unnest(%s::text[], %s::text[]) WITH ORDINALITY AS asked (schema, name, number)
  JOIN pg_namespace AS n ON n.nspname = asked.schema
  JOIN pg_class AS parent ON parent.relnamespace = n.oid AND parent.relname = asked.name
  CROSS JOIN pg_partition_tree(parent.oid) AS part
  JOIN pg_class AS c ON c.oid = part.relid
 WHERE part.isleaf AND part.level > 0
 ORDER BY 1, 2
"""


@dataclass(frozen=True)
class PartitionSize:
    """One partition that holds rows itself; bytes with indexes and TOAST."""

    target: Target
    partition: str
    bytes: int


def read_sizes(connection: Connection, targets: Sequence[tuple[Target, Place]]) -> list[PartitionSize]:
    """The partitions of tables of one database; a table that is not there has none."""
    schemas, names = [place[0] for _, place in targets], [place[1] for _, place in targets]
    found: list[tuple[int, str, int]] = connection.execute(_SIZES, (schemas, names)).fetchall()
    return [PartitionSize(targets[number - 1][0], partition, size) for number, partition, size in found]
