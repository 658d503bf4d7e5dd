-- What each service did in equal steps of the range: from whole minutes that are rolled up, and from
-- spans that lie beside those or came later.
SELECT service, served, bucket, least($last_step, greatest(0, (minute * 60_000_000_000 - $start_ns) // $step_ns)) AS step, sum(spans)::BIGINT AS spans, sum(errors)::BIGINT AS errors
FROM service_minutes WHERE minute BETWEEN $first_minute AND $last_minute GROUP BY ALL
UNION ALL
SELECT service, kind IN (2, 5), bucket_of(end_ns - start_ns), least($last_step, (start_ns - $start_ns) // $step_ns), count(*), count(*) FILTER (WHERE status_code = 2)
FROM distinct_spans WHERE batch > $rolled AND start_ns BETWEEN $start_ns AND $end_ns GROUP BY ALL
UNION ALL
SELECT service, kind IN (2, 5), bucket_of(end_ns - start_ns), least($last_step, (start_ns - $start_ns) // $step_ns), count(*), count(*) FILTER (WHERE status_code = 2)
FROM distinct_spans WHERE batch <= $rolled AND start_ns BETWEEN $start_ns AND $before_ns GROUP BY ALL
UNION ALL
SELECT service, kind IN (2, 5), bucket_of(end_ns - start_ns), least($last_step, (start_ns - $start_ns) // $step_ns), count(*), count(*) FILTER (WHERE status_code = 2)
FROM distinct_spans WHERE batch <= $rolled AND start_ns BETWEEN $after_ns AND $end_ns GROUP BY ALL;
