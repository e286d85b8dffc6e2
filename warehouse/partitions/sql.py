"""SQL of the partition maintenance: what it reads. One query per kind of fact for all tables at once.

Statements that change something are composed in ``warehouse.partitions.ddl``.
"""

from __future__ import annotations

#: The tables asked for, by schema and name.
TABLES = """
SELECT c.oid, n.nspname::text, c.relname::text, coalesce(p.partstrat::text, ''),
       (SELECT array_agg(coalesce(a.attname::text, '') ORDER BY k.place)
          FROM unnest(p.partattrs::int2[]) WITH ORDINALITY AS k (attnum, place)
          LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.attnum),
       (SELECT format_type(a.atttypid, NULL) FROM pg_attribute AS a
         WHERE a.attrelid = c.oid AND a.attnum = (p.partattrs::int2[])[0]),
       c.reltuples::bigint,
       greatest(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)),
       EXISTS (SELECT FROM pg_constraint AS f WHERE f.conrelid = c.oid AND f.contype = 'f')
  FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS asked (schema, name)
  JOIN pg_namespace AS n ON n.nspname = asked.schema
  JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = asked.name AND c.relkind IN ('r', 'p')
  LEFT JOIN pg_partitioned_table AS p ON p.partrelid = c.oid
"""

#: Direct partitions of tables (oids). A bound names no column, so no table is looked up (and locked) to print it.
PARTS = """
SELECT i.inhparent, c.oid, n.nspname::text, c.relname::text, coalesce(pg_get_expr(c.relpartbound, 0), ''),
       c.relkind <> 'p', i.inhdetachpending, c.relkind = 'f', c.reltuples::bigint
  FROM pg_inherits AS i
  JOIN pg_class AS c ON c.oid = i.inhrelid
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE i.inhparent = ANY(%(tables)s::oid[]) AND c.relispartition
 ORDER BY i.inhparent, c.relname
"""

#: Bytes of relations with their indexes and TOAST; of a partitioned one, 0.
SIZES = "SELECT oid, pg_total_relation_size(oid) FROM unnest(%(tables)s::oid[]) AS asked (oid)"

#: What relations (oids) have beside their rows; those that have the same together, for most partitions are alike.
SURROUNDINGS = """
WITH asked AS (
    SELECT c.oid, c.relowner, c.relacl, c.relrowsecurity, c.relforcerowsecurity, c.relreplident, c.reloptions,
           c.reltablespace
      FROM unnest(%(tables)s::oid[]) AS given (oid) JOIN pg_class AS c ON c.oid = given.oid
), attributes AS (
    SELECT asked.oid, asked.relowner, a.attname, a.attacl, a.attstattarget
      FROM asked JOIN pg_attribute AS a ON a.attrelid = asked.oid
     WHERE a.attnum > 0 AND NOT a.attisdropped AND (a.attacl IS NOT NULL OR a.attstattarget >= 0)
), column_grants AS (
    SELECT a.oid, jsonb_agg(jsonb_build_array(a.attname,
               CASE WHEN g.grantee = 0 THEN '' ELSE pg_get_userbyid(g.grantee) END,
               g.privilege_type, g.is_grantable)) AS found
      FROM attributes AS a, aclexplode(a.attacl) AS g
     WHERE g.grantee <> a.relowner
     GROUP BY a.oid
), policies AS (
    SELECT p.polrelid AS oid, jsonb_agg(jsonb_build_array(p.polname, p.polpermissive, p.polcmd,
               (SELECT array_agg(CASE WHEN r.oid = 0 THEN '' ELSE pg_get_userbyid(r.oid) END ORDER BY 1)
                  FROM unnest(p.polroles) AS r (oid)),
               pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) ORDER BY p.polname) AS found
      FROM asked JOIN pg_policy AS p ON p.polrelid = asked.oid
     GROUP BY p.polrelid
), comments AS (
    SELECT asked.oid, min(d.description) FILTER (WHERE d.objsubid = 0) AS of_table,
           jsonb_agg(jsonb_build_array(a.attname, d.description)) FILTER (WHERE d.objsubid > 0) AS of_columns
      FROM asked
      JOIN pg_description AS d ON d.classoid = 'pg_class'::regclass AND d.objoid = asked.oid
      LEFT JOIN pg_attribute AS a ON a.attrelid = d.objoid AND a.attnum = d.objsubid
     GROUP BY asked.oid
), statistics AS (
    SELECT a.oid, jsonb_agg(jsonb_build_array(a.attname, a.attstattarget)) AS found
      FROM attributes AS a
     WHERE a.attstattarget >= 0
     GROUP BY a.oid
), publications AS (
    SELECT r.prrelid AS oid, jsonb_agg(u.pubname ORDER BY u.pubname) AS found
      FROM asked JOIN pg_publication_rel AS r ON r.prrelid = asked.oid JOIN pg_publication AS u ON u.oid = r.prpubid
     GROUP BY r.prrelid
)
SELECT array_agg(c.oid), pg_get_userbyid(c.relowner)::text,
       (SELECT jsonb_agg(jsonb_build_array(
                   CASE WHEN g.grantee = 0 THEN '' ELSE pg_get_userbyid(g.grantee) END,
                   g.privilege_type, g.is_grantable))
          FROM aclexplode(c.relacl) AS g WHERE g.grantee <> c.relowner),
       column_grants.found,
       CASE WHEN NOT c.relrowsecurity THEN 'off' WHEN c.relforcerowsecurity THEN 'forced' ELSE 'on' END,
       policies.found,
       CASE c.relreplident WHEN 'd' THEN 'default' WHEN 'f' THEN 'full' WHEN 'n' THEN 'nothing' ELSE (
           SELECT 'index (' || string_agg(quote_ident(a.attname), ', ' ORDER BY k.place) || ')'
             FROM pg_index AS x, unnest(x.indkey::int2[]) WITH ORDINALITY AS k (attnum, place), pg_attribute AS a
            WHERE x.indrelid = c.oid AND x.indisreplident AND k.place <= x.indnkeyatts
              AND a.attrelid = c.oid AND a.attnum = k.attnum) END,
       coalesce(c.reloptions, '{}'), comments.of_table, comments.of_columns, statistics.found, publications.found,
       coalesce(t.spcname::text, '')
  FROM asked AS c
  LEFT JOIN column_grants USING (oid)
  LEFT JOIN policies USING (oid)
  LEFT JOIN comments USING (oid)
  LEFT JOIN statistics USING (oid)
  LEFT JOIN publications USING (oid)
  LEFT JOIN pg_tablespace AS t ON t.oid = c.reltablespace
 GROUP BY 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13
"""

#: Partitions (oids) without a valid part of an index of their parent.
MISSING_INDEXES = """
SELECT i.inhrelid, array_agg(quote_ident(x.relname) ORDER BY x.relname)
  FROM pg_inherits AS i
  JOIN pg_class AS part ON part.oid = i.inhrelid AND part.relkind <> 'f'
  JOIN pg_index AS of_parent ON of_parent.indrelid = i.inhparent
  JOIN pg_class AS x ON x.oid = of_parent.indexrelid
  LEFT JOIN (pg_inherits AS ii JOIN pg_index AS own ON own.indexrelid = ii.inhrelid AND own.indisvalid)
         ON ii.inhparent = of_parent.indexrelid AND own.indrelid = i.inhrelid
 WHERE i.inhparent = ANY(%(tables)s::oid[]) AND own.indexrelid IS NULL
 GROUP BY i.inhrelid
"""

#: Foreign keys that reference tables (oids); not the copies that each partition has of its parent's.
REFERENCES = """
SELECT f.confrelid, f.conname::text, n.nspname::text, c.relname::text
  FROM pg_constraint AS f
  JOIN pg_class AS c ON c.oid = f.conrelid
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE f.contype = 'f' AND f.confrelid = ANY(%(tables)s::oid[]) AND f.conparentid = 0
 ORDER BY f.conname
"""

#: Where pg_partman keeps which tables it maintains, wherever it is installed.
PARTMAN = """
SELECT n.nspname::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relname = 'part_config' AND c.relkind = 'r'
   AND EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = 'parent_table')
   AND EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = 'partition_interval')
"""

#: Names that are taken in schemas.
NAMESAKES = """
SELECT n.nspname::text, array_agg(c.relname::text) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE n.nspname = ANY(%(schemas)s::text[]) GROUP BY n.nspname
"""
