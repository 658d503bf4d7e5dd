SELECT start_ns // 60_000_000_000 AS minute, service, kind IN (2, 5) AS served,
    CASE WHEN kind IN (2, 5) THEN bucket_of(end_ns - start_ns) ELSE -1 END::SMALLINT AS bucket,
    count(*) AS spans, count(*) FILTER (WHERE status_code = 2) AS errors
FROM distinct_spans
WHERE batch > $rolled AND batch <= $until
GROUP BY ALL;
