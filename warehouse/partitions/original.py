"""What a plain table has that its partitioned successor must have too, and what else in the database hangs on it.

Read once when a conversion begins and once more under the lock of its swap: if the two differ, somebody altered the
table meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any, cast

from warehouse.postgres.sessions import Connection

_TABLE = """
SELECT c.oid, c.relpersistence = 'p' AND c.reloftype = 0,
       EXISTS (SELECT FROM pg_inherits AS i WHERE c.oid IN (i.inhrelid, i.inhparent)),
       EXISTS (SELECT FROM pg_rewrite AS r WHERE r.ev_class = c.oid),
       EXISTS (SELECT FROM pg_subscription_rel AS s WHERE s.srrelid = c.oid),
       (SELECT md5(string_agg(a::text || coalesce(pg_get_expr(d.adbin, d.adrelid), ''), '|' ORDER BY a.attnum))
          FROM (SELECT attnum, attname, atttypid, atttypmod, attcollation, attnotnull, attgenerated, attidentity
                  FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) AS a
          LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum)
  FROM pg_class AS c WHERE c.oid = %s::regclass
"""

_COLUMN = """
SELECT a.attnotnull, a.attgenerated = '', format_type(a.atttypid, NULL)
  FROM pg_attribute AS a WHERE a.attrelid = %s::regclass AND a.attname = %s AND NOT a.attisdropped
"""

#: What follows the table's name in the definition of each index.
_INDEXES = """
SELECT x.relname::text, i.indisprimary, i.indisunique, i.indisexclusion, i.indisvalid, NOT i.indimmediate,
       i.indnatts > i.indnkeyatts, i.indisreplident,
       (SELECT array_agg(coalesce(a.attname::text, '') ORDER BY k.place)
          FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
          LEFT JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
         WHERE k.place <= i.indnkeyatts),
       coalesce(k.conname::text, ''),
       (SELECT CASE WHEN strpos(d.whole, d.head) > 0 THEN substr(d.whole, strpos(d.whole, d.head) + length(d.head))
               ELSE '' END
          FROM (VALUES (pg_get_indexdef(i.indexrelid),
                        format(' INDEX %%I ON %%I.%%I ', x.relname, n.nspname, t.relname))) AS d (whole, head)),
       coalesce(pg_get_constraintdef(k.oid), ''), coalesce(s.spcname::text, ''),
       coalesce(obj_description(x.oid, 'pg_class'), '')
  FROM pg_index AS i
  JOIN pg_class AS x ON x.oid = i.indexrelid
  JOIN pg_class AS t ON t.oid = i.indrelid
  JOIN pg_namespace AS n ON n.oid = t.relnamespace
  LEFT JOIN pg_constraint AS k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x')
  LEFT JOIN pg_tablespace AS s ON s.oid = x.reltablespace
 WHERE i.indrelid = %s::regclass
 ORDER BY x.relname
"""

_CONSTRAINTS = """
SELECT conname::text, contype::text, convalidated, connoinherit, pg_get_constraintdef(oid)
  FROM pg_constraint WHERE conrelid = %s::regclass AND contype IN ('c', 'f') ORDER BY conname
"""

_TRIGGERS = """
SELECT tgname::text, pg_get_triggerdef(oid), tgenabled::text, tgtype & 1 = 1 AND (tgoldtable IS NOT NULL OR
       tgnewtable IS NOT NULL)
  FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal AND tgname <> ALL (%s) ORDER BY tgname
"""

_IDENTITIES = """
SELECT a.attname::text, a.attidentity::text, n.nspname::text, s.relname::text, format_type(q.seqtypid, NULL),
       q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcache, q.seqcycle,
       (SELECT jsonb_agg(jsonb_build_array(CASE WHEN g.grantee = 0 THEN '' ELSE pg_get_userbyid(g.grantee) END,
                   g.privilege_type, g.is_grantable) ORDER BY 1) FROM aclexplode(s.relacl) AS g
         WHERE g.grantee <> s.relowner)
  FROM pg_attribute AS a
  JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
   AND d.classid = 'pg_class'::regclass AND d.deptype = 'i'
  JOIN pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
  JOIN pg_namespace AS n ON n.oid = s.relnamespace
  JOIN pg_sequence AS q ON q.seqrelid = s.oid
 WHERE a.attrelid = %s::regclass AND a.attidentity <> '' ORDER BY a.attnum
"""

#: Extended statistics objects of a table, oldest first.
STATISTICS = """
SELECT n.nspname::text, s.stxname::text, pg_has_role(s.stxowner, 'USAGE')
  FROM pg_statistic_ext AS s JOIN pg_namespace AS n ON n.oid = s.stxnamespace
 WHERE s.stxrelid = %s::regclass ORDER BY s.oid
"""

#: Views that read the table themselves; what reads them stays as it is when they are replaced.
_VIEWS = """
SELECT DISTINCT n.nspname::text, v.relname::text, pg_get_viewdef(v.oid), coalesce(v.reloptions, '{}'),
       pg_has_role(v.relowner, 'USAGE')
  FROM pg_depend AS d
  JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
  JOIN pg_class AS v ON v.oid = r.ev_class AND v.relkind = 'v'
  JOIN pg_namespace AS n ON n.oid = v.relnamespace
 WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = %s::regclass
 ORDER BY 1, 2
"""

#: What depends on the table or its row type and would go on using the old one.
_BOUND = """
SELECT DISTINCT CASE d.classid
       WHEN 'pg_rewrite'::regclass THEN (SELECT pg_describe_object('pg_class'::regclass, ev_class, 0)
                                           FROM pg_rewrite WHERE oid = d.objid)
       ELSE pg_describe_object(d.classid, d.objid, d.objsubid) END
  FROM pg_class AS t
  JOIN pg_type AS own ON own.oid = t.reltype
  JOIN pg_depend AS d
    ON (d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid)
    OR (d.refclassid = 'pg_type'::regclass AND d.refobjid IN (own.oid, own.typarray))
 WHERE t.oid = %s::regclass AND d.deptype IN ('n', 'a') AND NOT CASE d.classid
       WHEN 'pg_constraint'::regclass THEN true
       WHEN 'pg_publication_rel'::regclass THEN true
       WHEN 'pg_trigger'::regclass THEN (SELECT tgrelid = t.oid FROM pg_trigger WHERE oid = d.objid)
       WHEN 'pg_attrdef'::regclass THEN (SELECT adrelid = t.oid FROM pg_attrdef WHERE oid = d.objid)
       WHEN 'pg_policy'::regclass THEN (SELECT polrelid = t.oid FROM pg_policy WHERE oid = d.objid)
       WHEN 'pg_statistic_ext'::regclass THEN true
       WHEN 'pg_rewrite'::regclass THEN (SELECT v.relkind = 'v' OR v.oid = t.oid FROM pg_rewrite AS r
                                           JOIN pg_class AS v ON v.oid = r.ev_class WHERE r.oid = d.objid)
       WHEN 'pg_class'::regclass THEN (SELECT relkind IN ('i', 'S') FROM pg_class WHERE oid = d.objid)
       WHEN 'pg_type'::regclass THEN d.objid IN (own.oid, own.typarray)
       ELSE false END
 ORDER BY 1
"""

_PUBLICATIONS = """
SELECT p.pubname::text, p.pubviaroot,
       coalesce((to_jsonb(r) ->> 'prattrs') IS NOT NULL OR (to_jsonb(r) ->> 'prqual') IS NOT NULL, false),
       pg_has_role(p.pubowner, 'USAGE')
  FROM pg_publication_rel AS r JOIN pg_publication AS p ON p.oid = r.prpubid
 WHERE r.prrelid = %s::regclass ORDER BY 1
"""


@dataclass(frozen=True)
class Index:
    """One index; ``tail`` is what follows the table's name in its definition, '' if that could not be told."""

    name: str
    primary: bool
    unique: bool
    exclusion: bool
    valid: bool
    deferrable: bool
    including: bool
    replica_identity: bool
    columns: tuple[str, ...]
    constraint: str
    tail: str
    constraint_definition: str
    tablespace: str
    comment: str


@dataclass(frozen=True)
class Constraint:
    """A check ('c') or a foreign key ('f')."""

    name: str
    kind: str
    validated: bool
    local: bool
    definition: str


@dataclass(frozen=True)
class Trigger:
    """One trigger of the application's; ``enabled`` as in ``pg_trigger``."""

    name: str
    definition: str
    enabled: str
    by_row_with_transitions: bool


@dataclass(frozen=True)
class Identity:
    """A GENERATED ... AS IDENTITY column and its sequence; ``always`` 'a' or 'd' as in ``pg_attribute``."""

    column: str
    always: str
    schema: str
    sequence: str
    kind: str
    start: int
    increment: int
    least: int
    greatest: int
    cache: int
    cycle: bool
    grants: tuple[tuple[str, str, bool], ...]


@dataclass(frozen=True)
class View:
    """A view that reads the table; ``ours``: the session's role may replace it."""

    schema: str
    name: str
    definition: str
    options: tuple[str, ...]
    ours: bool


@dataclass(frozen=True)
class Original:
    """One plain table.

    Attributes:
        ordinary: a permanent table, of no composite type.
        inherits: is a parent or child of INHERITS.
        ruled: has rules.
        subscribed: logical replication writes it.
        columns: a digest of names, types, defaults and the like.
        key_ready: the column that is to be the partition key is NOT NULL and not generated; None if there is none.
        key_type: its type.
        statistics: extended statistics objects, (schema, name, may be altered), oldest first.
        bound: other objects that use the table and cannot be carried over, described.
        publications: (name, publishes partitions as their root, with a column list or row filter, may be altered).
    """

    ordinary: bool
    inherits: bool
    ruled: bool
    subscribed: bool
    columns: str
    key_ready: bool | None
    key_type: str
    indexes: tuple[Index, ...]
    constraints: tuple[Constraint, ...]
    triggers: tuple[Trigger, ...]
    identities: tuple[Identity, ...]
    statistics: tuple[tuple[str, str, bool], ...]
    views: tuple[View, ...]
    bound: tuple[str, ...]
    publications: tuple[tuple[str, bool, bool, bool], ...]

    @property
    def fingerprint(self) -> str:
        """Equal as long as nobody alters the table."""
        return repr(astuple(self))

    @property
    def primary(self) -> Index | None:
        """The primary key."""
        return next((index for index in self.indexes if index.primary), None)


def _frozen(row: Sequence[Any]) -> list[Any]:
    return [tuple(cast("list[Any]", value)) if isinstance(value, list) else value for value in row]


def read_original(connection: Connection, relation: str, key_column: str, ours: list[str]) -> Original:
    """Facts of a plain table.

    Args:
        connection: a canonical session.
        relation: its quoted name.
        key_column: that it is to be partitioned by.
        ours: names of triggers that are a conversion's own.
    """
    with connection.transaction():
        # Definitions name everything with its schema then, and mean the same in whatever session runs them.
        connection.execute("SELECT set_config('search_path', 'pg_catalog', true)")
        ask = connection.execute
        head = ask(_TABLE, (relation,)).fetchone()
        assert head is not None
        column = ask(_COLUMN, (relation, key_column)).fetchone()
        return Original(
            *head[1:],
            key_ready=bool(column[0] and column[1]) if column else None,
            key_type=str(column[2]) if column else "",
            indexes=tuple(Index(*_frozen(row)) for row in ask(_INDEXES, (relation,))),
            constraints=tuple(Constraint(*row) for row in ask(_CONSTRAINTS, (relation,))),
            triggers=tuple(Trigger(*row) for row in ask(_TRIGGERS, (relation, ours))),
            identities=tuple(
                Identity(*row[:-1], grants=tuple((str(g), str(p), bool(o)) for g, p, o in row[-1] or ()))
                for row in ask(_IDENTITIES, (relation,))
            ),
            statistics=tuple((row[0], row[1], row[2]) for row in ask(STATISTICS, (relation,))),
            views=tuple(View(*_frozen(row)) for row in ask(_VIEWS, (relation,))),
            bound=tuple(row[0] for row in ask(_BOUND, (relation,))),
            publications=tuple((row[0], row[1], row[2], row[3]) for row in ask(_PUBLICATIONS, (relation,))),
        )
