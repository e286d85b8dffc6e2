"""Statements of the partition maintenance, composed with ``psycopg.sql``; each with the lock that it takes.

PostgreSQL's documentation of each command names its lock; ATTACH PARTITION: SHARE UPDATE EXCLUSIVE on the parent,
ACCESS EXCLUSIVE on the new partition (nobody knows it yet) and on a default partition, SHARE ROW EXCLUSIVE on tables
that the parent's foreign keys reference.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from psycopg import sql

from warehouse.partitions.actions import ACCESS_EXCLUSIVE, SHARE, SHARE_UPDATE, Statement
from warehouse.partitions.facts import Index, PartitionedTable, Policy, Surroundings
from warehouse.partitions.pieces import utc_text

#: PostgreSQL cuts names here, silently.
NAME_BYTES = 63

#: What a new partition takes over by LIKE. Not: indexes and foreign keys, which ATTACH gives it while it is empty;
#: identity, which PostgreSQL below 17 refuses in partitions and later ones hand down.
LIKE = (
    "INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING STORAGE INCLUDING COMPRESSION"
    " INCLUDING STATISTICS INCLUDING COMMENTS"
)


def named(schema: str, name: str) -> sql.Identifier:
    """A relation by schema and name."""
    return sql.Identifier(schema, name)


def text(composed: sql.Composable) -> str:
    """The statement as it is sent. Identifiers and literals are quoted as PostgreSQL's standard strings are."""
    return composed.as_string(None)


def create(table: PartitionedTable, name: str) -> Statement:
    """A stand-alone table of the parent's columns, in the parent's schema."""
    return Statement(
        text(
            sql.SQL("CREATE TABLE {} (LIKE {} " + LIKE + ")").format(
                named(table.schema, name), named(table.schema, table.name)
            )
        )
    )


def attach(table: PartitionedTable, name: str, start: dt.datetime, end: dt.datetime) -> Statement:
    """Make it a partition of a range of time."""
    return Statement(
        text(
            sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
                named(table.schema, table.name),
                named(table.schema, name),
                sql.Literal(moment(table, start)),
                sql.Literal(moment(table, end)),
            )
        ),
        f"{SHARE_UPDATE} on {table.name}",
    )


def moment(table: PartitionedTable, at: dt.datetime) -> str:
    """A bound as it is written for the type of the table's key column, in UTC whatever the session's zone is."""
    return utc_text(at, zoned=table.zoned, dated=table.dated)


def analyze(table: PartitionedTable) -> Statement:
    """The parent's own statistics; from PostgreSQL 18 on without those of every partition."""
    only = sql.SQL("ONLY ") if table.server_version >= 180000 else sql.SQL("")
    return Statement(
        text(sql.SQL("ANALYZE {}{}").format(only, named(table.schema, table.name))), f"{SHARE_UPDATE} on {table.name}"
    )


def give(schema: str, name: str, have: Surroundings, wanted: Surroundings) -> list[Statement]:
    """What makes a partition's surroundings those wanted; nothing, where they are.

    Comments are given where there are none: another one is somebody's own. Storage parameters and tablespace are left.

    Args:
        schema, name: the partition.
        have: what it has.
        wanted: what it is to have.
    """
    relation = named(schema, name)
    exclusive = f"{ACCESS_EXCLUSIVE} on {name}"
    found: list[Statement] = []

    def add(statement: sql.Composable, lock: str = exclusive) -> None:
        found.append(Statement(text(statement), lock))

    if have.owner != wanted.owner:
        add(sql.SQL("ALTER TABLE {} OWNER TO {}").format(relation, sql.Identifier(wanted.owner)))
    for policy in sorted(set(have.policies) - set(wanted.policies), key=lambda policy: policy.name):
        add(sql.SQL("DROP POLICY {} ON {}").format(sql.Identifier(policy.name), relation))
    for policy in sorted(set(wanted.policies) - set(have.policies), key=lambda policy: policy.name):
        add(_policy(relation, policy))
    # Row security before grants: no moment at which a grant goes past the parent's policies.
    if have.row_security != wanted.row_security:
        turned = sql.SQL("DISABLE" if wanted.row_security == "off" else "ENABLE")
        add(sql.SQL("ALTER TABLE {} {} ROW LEVEL SECURITY").format(relation, turned))
    for grantee, privilege, _ in sorted(have.grants - wanted.grants):
        add(sql.SQL("REVOKE {} ON {} FROM {}").format(sql.SQL(privilege), relation, _role(grantee)), "")  # type: ignore[arg-type]
    for grantee, privilege, option in sorted(wanted.grants - have.grants):
        add(_grant(sql.SQL(privilege), relation, grantee, option), "")  # type: ignore[arg-type]
    for column, grantee, privilege, _ in sorted(have.column_grants - wanted.column_grants):
        of_column = sql.SQL("{} ({})").format(sql.SQL(privilege), sql.Identifier(column))  # type: ignore[arg-type]
        add(sql.SQL("REVOKE {} ON {} FROM {}").format(of_column, relation, _role(grantee)), "")
    for column, grantee, privilege, option in sorted(wanted.column_grants - have.column_grants):
        of_column = sql.SQL("{} ({})").format(sql.SQL(privilege), sql.Identifier(column))  # type: ignore[arg-type]
        add(_grant(of_column, relation, grantee, option), "")
    if have.replica_identity != wanted.replica_identity and not wanted.replica_identity.startswith("index"):
        identity = sql.SQL(wanted.replica_identity.upper())  # type: ignore[arg-type]
        add(sql.SQL("ALTER TABLE {} REPLICA IDENTITY {}").format(relation, identity))
    for publication in sorted(wanted.publications - have.publications):
        add(
            sql.SQL("ALTER PUBLICATION {} ADD TABLE {}").format(sql.Identifier(publication), relation),
            f"{SHARE_UPDATE} on {name}",
        )
    for column, target in sorted(wanted.statistics - have.statistics):
        add(
            sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET STATISTICS {}").format(
                relation, sql.Identifier(column), sql.Literal(target)
            ),
            f"{SHARE_UPDATE} on {name}",
        )
    if wanted.comment is not None and have.comment is None:
        add(
            sql.SQL("COMMENT ON TABLE {} IS {}").format(relation, sql.Literal(wanted.comment)),
            f"{SHARE_UPDATE} on {name}",
        )
    described = {column for column, _ in have.column_comments}
    for column, comment in sorted(wanted.column_comments):
        if column not in described:
            add(
                sql.SQL("COMMENT ON COLUMN {} IS {}").format(
                    sql.Identifier(schema, name, column), sql.Literal(comment)
                ),
                f"{SHARE_UPDATE} on {name}",
            )
    return found


def grant_sequence(schema: str, name: str, grants: Iterable[tuple[str, str, bool]]) -> list[Statement]:
    """Grants on a sequence: (grantee, privilege, with grant option)."""
    sequence = sql.SQL("SEQUENCE {}").format(named(schema, name))
    return [
        Statement(text(_grant(sql.SQL(privilege), sequence, grantee, option)))  # type: ignore[arg-type]
        for grantee, privilege, option in grants
    ]


def force(schema: str, name: str, have: Surroundings, wanted: Surroundings) -> list[Statement]:
    """Let row-level security hold for the owner too, or no longer.

    Apart from ``give``: ATTACH looks at a partition's rows to check a foreign key, which an owner who is held to
    policies may not.
    """
    if "forced" not in (have.row_security, wanted.row_security) or have.row_security == wanted.row_security:
        return []
    forced = sql.SQL("FORCE" if wanted.row_security == "forced" else "NO FORCE")
    statement = sql.SQL("ALTER TABLE {} {} ROW LEVEL SECURITY").format(named(schema, name), forced)
    return [Statement(text(statement), f"{ACCESS_EXCLUSIVE} on {name}")]


def create_index(index: Index, schema: str, table: str, name: str, *, concurrently: bool = False) -> Statement:
    """An index on a table that is like an index of its parent. Of a partitioned table, without those of its partitions.

    Args:
        index: of the parent; its ``shape`` is known.
        schema, table: where.
        name: of the new one.
        concurrently: while the table is written to; else it is one that nobody knows.
    """
    relation = named(schema, table)
    kind = sql.SQL("UNIQUE INDEX" if index.unique else "INDEX")
    tablespace = sql.SQL(" TABLESPACE {}").format(sql.Identifier(index.tablespace)) if index.tablespace else sql.SQL("")
    composed = sql.SQL("CREATE {kind} {how}{name} ON {only}{relation} {shape}{tablespace}{predicate}").format(
        kind=kind,
        how=sql.SQL("CONCURRENTLY " if concurrently else ""),
        name=sql.Identifier(name),
        only=sql.SQL("" if concurrently else "ONLY "),
        relation=relation,
        # PostgreSQL's own rendering of the parent's index.
        shape=sql.SQL(index.shape or ""),  # type: ignore[arg-type]
        tablespace=tablespace,
        predicate=sql.SQL(index.predicate),  # type: ignore[arg-type]
    )
    if not concurrently:
        return Statement(text(composed), f"{SHARE} on {table}")
    undo = drop_index(schema, table, name).sql
    return Statement(text(composed), f"{SHARE_UPDATE} on {table}", patient=True, undo=undo)


def drop_index(schema: str, table: str, name: str) -> Statement:
    """Take an index of a table away while the table is written to."""
    composed = sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(named(schema, name))
    return Statement(text(composed), f"{SHARE_UPDATE} on {table}", patient=True)


def rebuild_index(schema: str, table: str, name: str) -> Statement:
    """Make an index valid, which it is not, while the table is written to."""
    composed = sql.SQL("REINDEX INDEX CONCURRENTLY {}").format(named(schema, name))
    undo = drop_index(schema, table, rebuilt(name)).sql
    return Statement(text(composed), f"{SHARE_UPDATE} on {table}", patient=True, undo=undo)


def rebuilt(name: str) -> str:
    """What an interrupted REINDEX CONCURRENTLY leaves."""
    return f"{name.encode()[: NAME_BYTES - len('_ccnew')].decode(errors='ignore')}_ccnew"


def constrain(index: Index, schema: str, table: str, name: str, *, leaf: bool = True) -> Statement:
    """The constraint that an index of the parent belongs to: of an index that is there, or, on a partitioned table,
    with an index of its own that is valid when its partitions have theirs.
    """
    definition = sql.SQL("{} USING INDEX {} {}").format(
        sql.SQL(index.constraint), sql.Identifier(name), sql.SQL(index.timing)
    )
    if not leaf:
        definition = sql.SQL(index.definition)  # type: ignore[arg-type]
    composed = sql.SQL("ALTER TABLE ONLY {} ADD CONSTRAINT {} {}").format(
        named(schema, table), sql.Identifier(name), definition
    )
    return Statement(text(composed).rstrip(), f"{ACCESS_EXCLUSIVE} on {table}")


def attach_index(above: tuple[str, str], own: tuple[str, str]) -> Statement:
    """Make an index of a partition a part of its parent's; that one is valid once it has all its parts."""
    composed = sql.SQL("ALTER INDEX {} ATTACH PARTITION {}").format(named(*above), named(*own))
    return Statement(text(composed), f"{ACCESS_EXCLUSIVE} on the index {own[1]}")


def identify(schema: str, table: str, index: str) -> Statement:
    """Let an index be the replica identity."""
    composed = sql.SQL("ALTER TABLE {} REPLICA IDENTITY USING INDEX {}").format(
        named(schema, table), sql.Identifier(index)
    )
    return Statement(text(composed), f"{ACCESS_EXCLUSIVE} on {table}")


def store(schema: str, name: str, storage: tuple[str, ...], tablespace: str) -> list[Statement]:
    """Storage parameters and tablespace of a partition that was just made."""
    found: list[Statement] = []
    relation = named(schema, name)
    if storage:
        pairs = [parameter.partition("=") for parameter in storage]
        listed = sql.SQL(", ").join(
            sql.SQL("{} = {}").format(sql.SQL(".").join(map(sql.Identifier, key.split("."))), sql.Literal(value))
            for key, _, value in pairs
        )
        found.append(Statement(text(sql.SQL("ALTER TABLE {} SET ({})").format(relation, listed))))
    if tablespace:
        found.append(
            Statement(text(sql.SQL("ALTER TABLE {} SET TABLESPACE {}").format(relation, sql.Identifier(tablespace))))
        )
    return found


def _policy(relation: sql.Identifier, policy: Policy) -> sql.Composed:
    # The expressions are PostgreSQL's own rendering of the parent's policy.
    parts = [
        sql.SQL("CREATE POLICY {} ON {} AS {} FOR {} TO {}").format(
            sql.Identifier(policy.name),
            relation,
            sql.SQL("PERMISSIVE" if policy.permissive else "RESTRICTIVE"),
            sql.SQL(policy.command),  # type: ignore[arg-type]
            sql.SQL(", ").join(map(_role, policy.roles)),
        )
    ]
    if policy.using is not None:
        parts.append(sql.SQL(" USING ({})").format(sql.SQL(policy.using)))  # type: ignore[arg-type]
    if policy.check is not None:
        parts.append(sql.SQL(" WITH CHECK ({})").format(sql.SQL(policy.check)))  # type: ignore[arg-type]
    return sql.Composed(parts)


def _grant(privilege: sql.Composable, relation: sql.Composable, grantee: str, option: bool) -> sql.Composed:
    granted = sql.SQL("GRANT {} ON {} TO {}").format(privilege, relation, _role(grantee))
    return granted + sql.SQL(" WITH GRANT OPTION") if option else granted


def _role(name: str) -> sql.Composable:
    return sql.Identifier(name) if name else sql.SQL("PUBLIC")
