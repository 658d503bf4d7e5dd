-- Of `ways`, what each queue and exchange did in equal steps; a minute is wholly in the step that it starts in.
SELECT 'queue' AS kind, queue AS name, broker, vhost, least(23, greatest(0, (minute * 60_000_000_000 - $start_ns) // $step_ns)) AS step, sum(calls)::BIGINT AS calls, sum(errors)::BIGINT AS errors
FROM ways WHERE told = 'handled' AND queue IS NOT NULL GROUP BY ALL
UNION ALL
SELECT 'exchange', exchange, exchange_broker, exchange_vhost, least(23, greatest(0, (minute * 60_000_000_000 - $start_ns) // $step_ns)), sum(calls)::BIGINT, sum(errors)::BIGINT
FROM ways WHERE told = 'published' GROUP BY ALL;
