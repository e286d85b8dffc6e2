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
       c.relkind <> 'p', i.inhdetachpending, c.relkind = 'f',
       CASE c.relkind WHEN 'p' THEN (
           SELECT coalesce(sum(greatest(l.reltuples, 0)), 0)::bigint
             FROM pg_partition_tree(c.oid) AS t JOIN pg_class AS l ON l.oid = t.relid WHERE t.isleaf)
       ELSE c.reltuples::bigint END
  FROM pg_inherits AS i
  JOIN pg_class AS c ON c.oid = i.inhrelid
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
 WHERE i.inhparent = ANY(%(tables)s::oid[]) AND c.relispartition
 ORDER BY i.inhparent, c.relname
"""

#: Bytes of relations with their indexes and TOAST; of a partitioned one, those of its partitions.
SIZES = """
SELECT c.oid, CASE c.relkind WHEN 'p' THEN (
           SELECT coalesce(sum(pg_total_relation_size(t.relid)), 0)::bigint
             FROM pg_partition_tree(c.oid) AS t WHERE t.isleaf)
       ELSE pg_total_relation_size(c.oid) END
  FROM unnest(%(tables)s::oid[]) AS asked (oid) JOIN pg_class AS c ON c.oid = asked.oid
"""

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
           SELECT 'index (' || coalesce(string_agg(quote_ident(a.attname), ', ' ORDER BY k.place), '') || ')'
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

#: Each partition, at any depth under tables (oids), and its part of each of their indexes: NULL where it has none. Only
#: those without a valid one, and direct partitions of a table whose replica identity is an index. From the top down.
INDEX_PARTS = """
WITH RECURSIVE held AS (
    SELECT x.indrelid AS root, x.indexrelid AS of_root, x.indrelid AS oid, x.indexrelid AS own, true AS valid,
           NULL::oid AS parent, NULL::oid AS above, 0 AS depth
      FROM pg_index AS x WHERE x.indrelid = ANY(%(tables)s::oid[])
    UNION ALL
    SELECT h.root, h.of_root, i.inhrelid, o.indexrelid, o.indisvalid, h.oid, h.own, h.depth + 1
      FROM held AS h
      JOIN pg_inherits AS i ON i.inhparent = h.oid
      LEFT JOIN LATERAL (
               SELECT x.indexrelid, x.indisvalid FROM pg_index AS x JOIN pg_inherits AS ii ON ii.inhrelid = x.indexrelid
                WHERE x.indrelid = i.inhrelid AND ii.inhparent = h.own) AS o ON true
)
SELECT h.root, of_root.relname::text, h.oid, n.nspname::text, c.relname::text, c.relkind <> 'p', own.relname::text,
       coalesce(h.valid, false), pn.nspname::text, parent.relname::text, above.relname::text, h.depth
  FROM held AS h
  JOIN pg_class AS r ON r.oid = h.root
  JOIN pg_class AS of_root ON of_root.oid = h.of_root
  JOIN pg_class AS c ON c.oid = h.oid AND c.relispartition AND c.relkind <> 'f'
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_class AS parent ON parent.oid = h.parent
  JOIN pg_namespace AS pn ON pn.oid = parent.relnamespace
  LEFT JOIN pg_class AS own ON own.oid = h.own
  LEFT JOIN pg_class AS above ON above.oid = h.above
 WHERE h.own IS NULL OR (c.relkind <> 'p' AND NOT h.valid) OR (h.depth = 1 AND r.relreplident = 'i')
 ORDER BY h.depth, c.relname, of_root.relname
"""

#: Indexes of tables (oids). The definition comes as what follows the table's name, apart from the predicate, since a
#: tablespace is said between the two; NULL where it does not begin and end as it should, and cannot be taken apart.
INDEXES = """
SELECT x.indrelid, c.relname::text, x.indisunique, x.indisvalid,
       EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhrelid = x.indexrelid),
       CASE WHEN starts_with(d.whole, d.head) AND right(d.whole, length(d.predicate)) = d.predicate
            THEN substr(d.whole, length(d.head) + 1, length(d.whole) - length(d.head) - length(d.predicate)) END,
       d.predicate, coalesce(s.spcname::text, ''),
       CASE WHEN x.indisunique AND x.indimmediate AND x.indpred IS NULL AND x.indexprs IS NULL AND k.nullable = 0
            THEN 'index (' || k.columns || ')' ELSE '' END,
       coalesce(f.contype::text, ''), coalesce(pg_get_constraintdef(f.oid), ''), x.indisexclusion,
       CASE WHEN f.condeferred THEN 'DEFERRABLE INITIALLY DEFERRED' WHEN f.condeferrable THEN 'DEFERRABLE' ELSE '' END
  FROM pg_index AS x
  JOIN pg_class AS c ON c.oid = x.indexrelid
  JOIN pg_class AS t ON t.oid = x.indrelid
  JOIN pg_namespace AS n ON n.oid = t.relnamespace
  LEFT JOIN pg_tablespace AS s ON s.oid = c.reltablespace
  LEFT JOIN pg_constraint AS f ON f.conindid = x.indexrelid AND f.conrelid = x.indrelid AND f.contype IN ('p', 'u', 'x')
 CROSS JOIN LATERAL (
        SELECT pg_get_indexdef(x.indexrelid) AS whole,
               coalesce(' WHERE ' || pg_get_expr(x.indpred, x.indrelid), '') AS predicate,
               format('CREATE %%sINDEX %%I ON %%s%%I.%%I ', CASE WHEN x.indisunique THEN 'UNIQUE ' ELSE '' END,
                      c.relname, CASE c.relkind WHEN 'I' THEN 'ONLY ' ELSE '' END, n.nspname, t.relname) AS head) AS d
 CROSS JOIN LATERAL (
        SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY k.place) AS columns,
               count(*) FILTER (WHERE NOT a.attnotnull) AS nullable
          FROM unnest(x.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
          JOIN pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = k.attnum
         WHERE k.place <= x.indnkeyatts) AS k
 WHERE x.indrelid = ANY(%(tables)s::oid[])
 ORDER BY x.indrelid, c.relname
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
