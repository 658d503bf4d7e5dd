-- Keys of `stalled`: one queue. Time alone touches those that nothing came out of for a while, and those whose
-- last deliveries were still to come when they were judged: the moment lags two minutes behind events at most.
SELECT concat_ws('|', coalesce(environment, ''), coalesce(broker, ''), coalesce(vhost, ''), queue) AS key
FROM delivery_facts, moment, thresholds
WHERE queue IS NOT NULL AND NOT regexp_matches(queue, '^(amq\.|\*)')
GROUP BY environment, broker, vhost, queue, now_ns, stalled_after_s
HAVING max(batch) > $since OR max(received_ns) <= now_ns - stalled_after_s * 1e9 OR max(received_ns) > now_ns - 120000000000;
