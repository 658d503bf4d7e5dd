SELECT source, target, external, protocol, bucket, sum(calls)::BIGINT AS calls, sum(errors)::BIGINT AS errors
FROM call_minutes WHERE minute BETWEEN $first_minute AND $last_minute
GROUP BY ALL;
