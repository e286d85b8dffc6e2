"""SQL of a month that leaves its source: what was attached stands alone and takes no more writes."""

from __future__ import annotations

from psycopg import sql

#: Foreign keys of a partition, the tables that they reference, and whether this role may lock those.
REFERENCES = """
SELECT f.conname::text, n.nspname::text, c.relname::text,
       has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE') AND c.relkind IN ('r', 'p')
  FROM pg_constraint AS f JOIN pg_class AS c ON c.oid = f.confrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE f.conrelid = %s::regclass AND f.contype = 'f' ORDER BY 2, 3, 1
"""
#: How far the furthest replica is behind in replaying; NULL without any, or if the role may not know.
LAG = "SELECT max(replay_lag) FROM pg_stat_replication"

OWNER = "SELECT pg_get_userbyid(relowner)::text FROM pg_class WHERE oid = %s::regclass"


def guard(schema: str, name: str, message: str) -> list[sql.Composed]:
    """Statements that make a table refuse every change."""
    function = sql.Identifier(schema, f"{name}_guard")
    body = sql.SQL("BEGIN RAISE EXCEPTION {}; END").format(sql.Literal(message.replace("%", "%%")))
    return [
        sql.SQL("CREATE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql AS {}").format(
            function, sql.Literal(body.as_string(None))
        ),
        sql.SQL(
            "CREATE TRIGGER drivetrain_guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {}"
            " FOR EACH STATEMENT EXECUTE FUNCTION {}()"
        ).format(sql.Identifier(schema, name), function),
        sql.SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER drivetrain_guard").format(sql.Identifier(schema, name)),
    ]


def late_partition(parent: sql.Identifier, schema: str, name: str, bound: sql.SQL, owner: str) -> list[sql.Composed]:
    """Statements that put an empty partition in the place of the one that left: rows that come late find it there.

    What it must have besides (grants, row-level security ...) the partitions' upkeep gives it.
    """
    made = sql.Identifier(schema, name)
    return [
        sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED"
                " INCLUDING STORAGE INCLUDING COMPRESSION INCLUDING COMMENTS)").format(made, parent),
        sql.SQL("ALTER TABLE {} OWNER TO {}").format(made, sql.Identifier(owner)),
        sql.SQL("ALTER TABLE {} ATTACH PARTITION {} {}").format(parent, made, bound),
    ]  # fmt: skip
