"""SQL of a person's rows in a system's own tables.

What does not belong here: which rows and columns (``scope``, ``planning``), and when (``operational``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from psycopg import sql

if TYPE_CHECKING:
    from warehouse.erasure.planning import Emptied

#: A key of a partition alone, and one onto a partition, is told of its parent: rows go through that.
FOREIGN_KEYS = """
SELECT f.conname::text, n.nspname::text, c.relname::text,
       (SELECT array_agg(a.attname::text ORDER BY k.place) FROM unnest(f.conkey) WITH ORDINALITY AS k (n, place)
          JOIN pg_attribute AS a ON a.attrelid = f.conrelid AND a.attnum = k.n),
       pn.nspname::text, p.relname::text,
       (SELECT array_agg(a.attname::text ORDER BY k.place) FROM unnest(f.confkey) WITH ORDINALITY AS k (n, place)
          JOIN pg_attribute AS a ON a.attrelid = f.confrelid AND a.attnum = k.n),
       f.confdeltype::text, f.condeferrable
  FROM pg_constraint AS f
  JOIN pg_class AS c ON c.oid = coalesce(pg_partition_root(f.conrelid)::oid, f.conrelid)
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_class AS p ON p.oid = coalesce(pg_partition_root(f.confrelid)::oid, f.confrelid)
  JOIN pg_namespace AS pn ON pn.oid = p.relnamespace
 WHERE f.contype = 'f' AND f.conparentid = 0 AND pn.nspname = ANY(%(schemas)s)
 ORDER BY n.nspname, c.relname, f.conname
"""

UNIQUES = """
SELECT n.nspname::text, c.relname::text, i.relname::text,
       (SELECT array_agg(coalesce(a.attname::text, '') ORDER BY k.place)
          FROM unnest(x.indkey::int2[]) WITH ORDINALITY AS k (n, place)
          LEFT JOIN pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = k.n WHERE k.place <= x.indnkeyatts),
       NOT coalesce((to_jsonb(x) ->> 'indnullsnotdistinct')::boolean, false)
  FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid JOIN pg_class AS c ON c.oid = x.indrelid
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE x.indisunique AND NOT c.relispartition AND n.nspname = ANY(%(schemas)s)
 ORDER BY 1, 2, 3
"""

CHECKS = """
SELECT n.nspname::text, c.relname::text, k.conname::text,
       (SELECT coalesce(array_agg(a.attname::text), '{}') FROM pg_attribute AS a
         WHERE a.attrelid = k.conrelid AND a.attnum = ANY(k.conkey)), pg_get_expr(k.conbin, k.conrelid)
  FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE k.contype = 'c' AND NOT c.relispartition AND n.nspname = ANY(%(schemas)s)
 ORDER BY 1, 2, 3
"""

COLUMNS = """
SELECT n.nspname::text, c.relname::text, a.attname::text, a.attgenerated <> '' OR a.attidentity = 'a',
       a.attnotnull OR (t.typtype = 'd' AND t.typnotnull)
  FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_type AS t ON t.oid = a.atttypid
 WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname = ANY(%(schemas)s)
   AND a.attnum > 0 AND NOT a.attisdropped
"""

#: What a text becomes that may not be empty; ``replacing`` makes persons' keys of the same form.
ERASED = r"^erased-[0-9a-f]{9,32}$"

#: Whether the role may vacuum and analyse a table with its partitions; MAINTAIN came with version 17.
MAY_MAINTAIN = """
SELECT bool_and(pg_has_role(c.relowner, 'USAGE') OR EXISTS (
         SELECT FROM aclexplode(c.relacl) AS a WHERE a.privilege_type = 'MAINTAIN' AND pg_has_role(a.grantee, 'USAGE')))
  FROM pg_class AS c
 WHERE c.oid = to_regclass(%(relation)s) OR c.oid IN (SELECT relid FROM pg_partition_tree(to_regclass(%(relation)s)))
"""

#: Statistics of a table, its partitions and their indexes, each with the table whose rows they are of.
STALE_STATISTICS = """
WITH RECURSIVE tree AS (
    SELECT to_regclass(%(relation)s)::oid AS oid
    UNION ALL SELECT i.inhrelid FROM pg_inherits AS i JOIN tree ON tree.oid = i.inhparent
), parts AS (
    SELECT oid, oid AS owner FROM tree
    UNION ALL SELECT x.indexrelid, tree.oid FROM tree JOIN pg_index AS x ON x.indrelid = tree.oid
)
SELECT own.nspname::text, o.relname::text, n.nspname::text, c.relname::text, s.attname::text, s.inherited
  FROM parts JOIN pg_class AS c ON c.oid = parts.oid JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_class AS o ON o.oid = parts.owner JOIN pg_namespace AS own ON own.oid = o.relnamespace
  JOIN pg_stats AS s ON s.schemaname = n.nspname AND s.tablename = c.relname
 ORDER BY 3, 4, 5
"""

CLEAR_STATISTICS = "SELECT pg_clear_attribute_stats(schemaname => %s, relname => %s, attname => %s, inherited => %s)"


def about(condition: sql.Composable, emptied: Sequence[Emptied], subject: str) -> sql.Composed:
    """Rows of a condition that erasure has still to do something about.

    Where the subject column itself is emptied, a row no longer fulfils the condition once that is done.
    """
    if not emptied or any(each.column == subject for each in emptied):
        return sql.SQL("({})").format(condition)
    return sql.SQL("({} AND ({}))").format(condition, sql.SQL(" OR ").join(_full(each) for each in emptied))


def _full(emptied: Emptied) -> sql.Composed:
    column = sql.Identifier(emptied.column)
    match emptied.to:
        case "null" | "pseudonym":
            return sql.SQL("{} IS NOT NULL").format(column)
        case "text":
            return sql.SQL("{}::text !~ {}").format(column, sql.Literal(ERASED))
        case "json":
            return sql.SQL("{}::text NOT IN ('{{}}', '[]')").format(column)
        case "array":
            return sql.SQL("cardinality({}) > 0").format(column)


def new_value(emptied: Emptied, pseudonyms: Mapping[str, str]) -> sql.Composed:
    """What a column becomes, of its own type."""
    column, kind = sql.Identifier(emptied.column), sql.SQL(emptied.type)  # type: ignore[arg-type]  # format_type()
    match emptied.to:
        case "null":
            return sql.SQL("NULL::{}").format(kind)
        case "text":
            return sql.SQL("left('erased-' || replace(gen_random_uuid()::text, '-', ''), {})::{}").format(
                sql.Literal(emptied.size), kind
            )
        case "json":
            return sql.SQL("(CASE WHEN left(ltrim({}::text), 1) = '[' THEN '[]' ELSE '{{}}' END)::{}").format(
                column, kind
            )
        case "array":
            return sql.SQL("'{{}}'::{}").format(kind)
        case "pseudonym":
            persons = sorted(pseudonyms)
            return sql.SQL("({}::text[])[array_position({}::text[], {}::text)]::{}").format(
                sql.Literal([pseudonyms[each] for each in persons]), sql.Literal(persons), column, kind
            )


def counted(relation: sql.Identifier, condition: sql.Composable) -> sql.Composed:
    """Rows that a condition names."""
    return sql.SQL("SELECT count(*) FROM {} WHERE {}").format(relation, condition)


def refused_by(
    relation: sql.Identifier, condition: sql.Composable, columns: Sequence[str], new: Mapping[str, sql.Composable],
    expressions: Sequence[str],
) -> sql.Composed:  # fmt: skip
    """Rows that would break a check once their columns are replaced, check by check."""
    return sql.SQL("SELECT {} FROM (SELECT {} FROM {} WHERE {}) AS {}").format(
        sql.SQL(", ").join(
            sql.SQL("count(*) FILTER (WHERE NOT ({}))").format(sql.SQL(each))  # type: ignore[arg-type]  # pg_get_expr
            for each in expressions
        ),
        sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(new.get(each, sql.Identifier(each)), sql.Identifier(each)) for each in columns
        ),
        relation, condition, sql.Identifier("erased"),
    )  # fmt: skip


def referencing(
    child: sql.Identifier, columns: Sequence[str], parent: sql.Identifier, referenced: Sequence[str],
    goes: sql.Composable, also: sql.Composable,
) -> sql.Composed:  # fmt: skip
    """Rows of a table that reference rows which go; only those for which ``also`` holds."""
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    others = sql.SQL(", ").join(map(sql.Identifier, referenced))
    return sql.SQL("SELECT count(*) FROM {} WHERE ({}) IN (SELECT {} FROM {} WHERE {}) AND {}").format(
        child, names, others, parent, goes, also
    )


def is_not(condition: sql.Composable) -> sql.Composed:
    """Rows for which a condition is false or unknown."""
    return sql.SQL("({}) IS NOT TRUE").format(condition)


def places(relation: sql.Identifier, condition: sql.Composable, most: int) -> sql.Composed:
    """Where the rows of a condition lie now: by partition, in the order of their pages."""
    return sql.SQL(
        "SELECT part, pg_get_partition_constraintdef(part), array_agg(place::text ORDER BY place)"
        " FROM (SELECT tableoid AS part, ctid AS place FROM {} WHERE {} LIMIT {}) AS found GROUP BY part"
    ).format(relation, condition, sql.Literal(most))


def at(part: int, bound: str | None, rows: sql.Composable) -> sql.Composed:
    """Rows at some places of one partition, asked of its parent: the bound lets the server look into no other."""
    here = sql.SQL("tableoid = {} AND ctid = ANY({})").format(sql.Literal(part), rows)
    return here if bound is None else sql.SQL("{} AND ({})").format(here, sql.SQL(bound))  # type: ignore[arg-type]


def lock(
    relation: sql.Identifier, condition: sql.Composable, *, to_delete: bool, skip: bool,
    ways: Sequence[str], totals: Sequence[str],
) -> sql.Composed:  # fmt: skip
    """Lock the rows of a condition, but those that others have locked: where they lie, what leads on from them
    (``ways``), and the numbers that must stay (``totals``).
    """
    return sql.SQL("SELECT {} FROM {} WHERE {} FOR {}{}").format(
        sql.SQL(", ").join(
            [sql.SQL("ctid::text"), *(sql.SQL("{}::text").format(sql.Identifier(each)) for each in (*ways, *totals))]
        ),
        relation,
        condition,
        sql.SQL("UPDATE" if to_delete else "NO KEY UPDATE"),
        sql.SQL(" SKIP LOCKED" if skip else ""),
    )


def delete(relation: sql.Identifier, condition: sql.Composable, free: Sequence[sql.Composable]) -> sql.Composed:
    """Delete rows of a condition that are free to go."""
    return sql.SQL("DELETE FROM {} AS gone WHERE {}").format(relation, sql.SQL(" AND ").join([condition, *free]))


def unreferenced(
    child: sql.Identifier, columns: Sequence[str], referenced: Sequence[str], but: sql.Composable | None = None
) -> sql.Composed:
    """Of rows called ``gone``: nobody references them (but rows that go with them)."""
    pairs: list[sql.Composable] = [
        sql.SQL("other.{} = gone.{}").format(sql.Identifier(one), sql.Identifier(two))
        for one, two in zip(columns, referenced, strict=True)
    ]
    if but is not None:
        pairs.append(but)
    return sql.SQL("NOT EXISTS (SELECT FROM {} AS other WHERE {})").format(child, sql.SQL(" AND ").join(pairs))


def update(
    relation: sql.Identifier, condition: sql.Composable, new: Mapping[str, sql.Composable], totals: Sequence[str]
) -> sql.Composed:
    """Replace columns of rows; gives the numbers that must stay."""
    return sql.SQL("UPDATE {} SET {} WHERE {} RETURNING {}").format(
        relation,
        sql.SQL(", ").join(sql.SQL("{} = {}").format(sql.Identifier(name), value) for name, value in new.items()),
        condition,
        sql.SQL(", ").join([sql.SQL("1"), *(sql.SQL("{}::text").format(sql.Identifier(each)) for each in totals)]),
    )
