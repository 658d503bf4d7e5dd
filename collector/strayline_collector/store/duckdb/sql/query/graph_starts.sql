-- Calls that started within part of a minute, from those that are rolled up and known by their own times.
SELECT source, target, external, protocol, bucket, sum(calls)::BIGINT AS calls, sum(errors)::BIGINT AS errors
FROM call_starts WHERE start_ns BETWEEN $start_ns AND $end_ns
GROUP BY ALL;
