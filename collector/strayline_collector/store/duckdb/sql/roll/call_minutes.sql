-- `calls`, which have their own times, by the minute.
SELECT start_ns // 60_000_000_000 AS minute, source, target, external, protocol, bucket, sum(calls)::BIGINT AS calls, sum(errors)::BIGINT AS errors
FROM calls GROUP BY ALL HAVING sum(calls) <> 0 OR sum(errors) <> 0;
