SELECT CASE WHEN $since = 0 OR EXISTS (SELECT 1 FROM topology_facts WHERE batch > $since) THEN 0
    ELSE (SELECT coalesce(min(coalesce(about_since, 0)), CAST($since AS BIGINT) + 1) FROM loaded WHERE batch > $since) END AS batch;
