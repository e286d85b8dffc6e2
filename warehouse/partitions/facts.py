"""What a live partitioned table is, as the maintenance must know it: bounds, security, storage, and who else minds it.

Values only; they are read by ``warehouse.partitions.reading`` and judged by ``warehouse.partitions.plan``.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Literal

Strategy = Literal["", "range", "hash", "list"]


@dataclass(frozen=True)
class Policy:
    """One row-level security policy, as ``pg_policies`` has it."""

    name: str
    permissive: bool
    command: str
    roles: tuple[str, ...]
    using: str | None
    check: str | None


@dataclass(frozen=True)
class Surroundings:
    """What a table has beside its rows, and a partition does not inherit from its parent.

    Attributes:
        owner: role.
        grants: (grantee, privilege, with grant option); grantee '' is PUBLIC. The owner's own are not among them.
        column_grants: (column, grantee, privilege, with grant option).
        row_security: 'off', 'on' or 'forced' (holds for the owner too).
        policies: by name.
        replica_identity: 'default', 'full', 'nothing', or the index's columns, ``index (a, b)``; ``index ()`` if it is
            gone.
        storage: parameters such as ``fillfactor``; none for a partitioned table.
        comment: of the table.
        column_comments: (column, comment).
        statistics: (column, target) where a target is set.
        publications: those that name the table itself.
        tablespace: '' for the database's own.
    """

    owner: str
    grants: frozenset[tuple[str, str, bool]] = frozenset()
    column_grants: frozenset[tuple[str, str, str, bool]] = frozenset()
    row_security: Literal["off", "on", "forced"] = "off"
    policies: tuple[Policy, ...] = ()
    replica_identity: str = "default"
    storage: tuple[str, ...] = ()
    comment: str | None = None
    column_comments: frozenset[tuple[str, str]] = frozenset()
    statistics: frozenset[tuple[str, int]] = frozenset()
    publications: frozenset[str] = frozenset()
    tablespace: str = ""


@dataclass(frozen=True)
class Bound:
    """Where a range partition begins (included) and ends (excluded), in UTC. None is without end (MINVALUE, MAXVALUE,
    an infinite time).
    """

    start: dt.datetime | None
    end: dt.datetime | None


@dataclass(frozen=True)
class Index:
    """One index of a table.

    Attributes:
        shape: what follows the table's name in CREATE INDEX, as PostgreSQL writes it: ``USING btree (lower(v))``; None
            where it could not be taken apart.
        predicate: what follows that: `` WHERE ...``, or ''.
        tablespace: '' for the database's own.
        identity: its columns, as ``Surroundings.replica_identity`` has them; '' where it cannot be one.
        constraint: whose index it is, if of any; ``other`` is one that cannot be made from an index.
        definition: of the constraint.
        timing: of the constraint: '', ``DEFERRABLE`` or ``DEFERRABLE INITIALLY DEFERRED``.
        valid: False where it is not complete, or was not completed.
        attached: it is a part of an index of the table's parent.
    """

    name: str
    unique: bool = False
    shape: str | None = None
    predicate: str = ""
    tablespace: str = ""
    identity: str = ""
    constraint: Literal["", "PRIMARY KEY", "UNIQUE", "other"] = ""
    definition: str = ""
    timing: Literal["", "DEFERRABLE", "DEFERRABLE INITIALLY DEFERRED"] = ""
    valid: bool = True
    attached: bool = False


@dataclass(frozen=True)
class Lack:
    """A partition, at any depth, without a valid part of an index of the table.

    Attributes:
        index: of the table at the top.
        schema, partition: who lacks it.
        leaf: False where it is partitioned itself.
        parent: schema and name of the partition's parent.
        above: the parent's part of the index, or the index itself; '' where the parent lacks it too.
        broken: the name of its part, which is there and not valid; '' where there is none.
        beside: the partition's indexes that are part of no other.
    """

    index: Index
    schema: str
    partition: str
    leaf: bool
    parent: tuple[str, str]
    above: str
    broken: str = ""
    beside: tuple[Index, ...] = ()


@dataclass(frozen=True)
class Part:
    """One direct partition of a table.

    Attributes:
        bound_text: as ``pg_get_expr`` writes it; 'DEFAULT' for a default partition.
        bound: of a range partition by one column of time; None for others and where it cannot be read as a time.
        slot: (modulus, remainder) of a hash partition.
        default: takes the rows that no other does.
        leaf: False where it is partitioned itself.
        detaching: a DETACH ... CONCURRENTLY of it was begun and not finished.
        foreign: a foreign table, which has neither indexes nor statistics of ours.
        filled: holds a row; asked of default and open-ended partitions only, None for others.
        estimated_rows: as the last ANALYZE found; -1 when never. Of a partitioned one, those of its partitions.
        bytes: of it with indexes and TOAST.
        indexes: (the parent's index, its own valid part of it), read where the parent's replica identity is an index.
    """

    oid: int
    schema: str
    name: str
    bound_text: str
    surroundings: Surroundings = field(repr=False)
    bound: Bound | None = None
    slot: tuple[int, int] | None = None
    leaf: bool = True
    detaching: bool = False
    foreign: bool = False
    filled: bool | None = None
    estimated_rows: int = -1
    bytes: int = 0
    indexes: tuple[tuple[str, str], ...] = ()

    @property
    def default(self) -> bool:
        """Whether it takes the rows that no other does."""
        return self.bound_text == "DEFAULT"


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key that references a table: no partition of it can be detached while it stands."""

    name: str
    schema: str
    table: str


@dataclass(frozen=True)
class PartitionedTable:
    """One table as the database has it.

    Attributes:
        strategy: '' for a plain table.
        columns: of the partition key; '' is an expression.
        zoned: the key column is a ``timestamptz``: its bounds carry a zone.
        dated: the key column is a ``date``.
        parts: direct partitions.
        subs: those of them that are partitioned themselves, as tables of their own.
        indexes: of the table itself.
        lacks: partitions without a part of one of them, from the top down.
        referenced_by: foreign keys onto it.
        references: whether it has foreign keys itself.
        maintained_by: another tool that says it maintains the table (``pg_partman``), or ''.
        analysed_at: when the parent's own statistics were last made, or None.
        namesakes: names of tables, views and indexes of its schema, that a new partition cannot have.
        server_version: as ``server_version_num``.
        role: that of the session that read this, which owns what it makes.
    """

    oid: int
    schema: str
    name: str
    surroundings: Surroundings = field(repr=False)
    strategy: Strategy = ""
    columns: tuple[str, ...] = ()
    zoned: bool = True
    dated: bool = False
    parts: tuple[Part, ...] = field(default=(), repr=False)
    subs: tuple[PartitionedTable, ...] = field(default=(), repr=False)
    indexes: tuple[Index, ...] = field(default=(), repr=False)
    lacks: tuple[Lack, ...] = field(default=(), repr=False)
    referenced_by: tuple[ForeignKey, ...] = ()
    references: bool = True
    maintained_by: str = ""
    analysed_at: dt.datetime | None = None
    estimated_rows: int = -1
    bytes: int = 0
    namesakes: frozenset[str] = field(default=frozenset(), repr=False)
    server_version: int = 0
    role: str = ""

    @property
    def locks_others(self) -> bool:
        """Whether attaching a partition locks more than the table: its default partition, or tables it references."""
        return self.references or any(part.default for part in self.parts)


@dataclass(frozen=True)
class Extent:
    """The times of the rows of a partition.

    Attributes:
        first, last: None if there is no row.
        periods: first days of the periods that they are in, in UTC.
        odd: rows whose time is NULL, infinite, or not of the years 2 to 9989.
    """

    first: dt.datetime | None
    last: dt.datetime | None
    periods: frozenset[dt.date] = frozenset()
    odd: int = 0
