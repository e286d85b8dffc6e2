-- A mart's as-of counts comparisons of months without rows too. They leave no chunk behind, so a table that had been quiet
-- for longer than a run looks back seemed to grow stale, though the run had found it equal to its source.
CREATE OR REPLACE FUNCTION platform.agreed_as_of(of_system text, of_table text) RETURNS timestamptz
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT greatest(
        (SELECT max(c.agreed_as_of) FROM platform.raw_content AS c
          WHERE c.system = of_system AND c.table_name = of_table),
        (SELECT r.source_as_of FROM platform.reconciliation AS r
          WHERE r.system = of_system AND r.table_name = of_table AND r.agrees ORDER BY r.id DESC LIMIT 1)
    );
END;

CREATE OR REPLACE FUNCTION platform.publish(of_model text, of_models text[], of_raw text[], of_contract text) RETURNS void
LANGUAGE sql
BEGIN ATOMIC
    INSERT INTO platform.published AS p (model, published_at, as_of, verified_through, tiers, contract)
    WITH chunks AS (
        SELECT name, c.system, c.table_name,
               CASE WHEN bool_and(c.agrees IS NOT FALSE) THEN min(c.agreed_as_of) END AS verified_through,
               array_agg(DISTINCT c.tier) FILTER (WHERE c.tier IS NOT NULL) AS tiers
          FROM unnest(of_raw) AS name
          LEFT JOIN platform.raw_content AS c ON format('raw_%s.%s', c.system, c.table_name) = name
         GROUP BY name, c.system, c.table_name
    ), raw AS (
        SELECT h.name, platform.agreed_as_of(h.system, h.table_name) AS as_of, h.verified_through, h.tiers
          FROM chunks AS h
        UNION ALL
        SELECT name, q.as_of, q.verified_through, q.tiers
          FROM unnest(of_models) AS name LEFT JOIN platform.published AS q ON q.model = name
    )
    SELECT of_model, clock_timestamp(),
           CASE WHEN bool_and(as_of IS NOT NULL) THEN min(as_of) END,
           CASE WHEN bool_and(verified_through IS NOT NULL) THEN min(verified_through) END,
           coalesce((SELECT array_agg(DISTINCT tier ORDER BY tier) FROM raw AS r, unnest(r.tiers) AS tier), '{}'),
           of_contract
      FROM raw
    ON CONFLICT (model) DO UPDATE SET published_at = excluded.published_at, as_of = excluded.as_of,
        verified_through = excluded.verified_through, tiers = excluded.tiers, contract = excluded.contract;
END;
