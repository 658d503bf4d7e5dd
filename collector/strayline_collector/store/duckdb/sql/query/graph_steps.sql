-- What each queue and exchange did in 24 equal steps of the range.
SELECT 'queue' AS kind, queue AS name, broker, vhost, least(23, (received_ns - $start_ns) // $step_ns) AS step, count(*) AS calls, count(*) FILTER (WHERE failed) AS errors
FROM delivery_facts WHERE queue IS NOT NULL AND received_ns BETWEEN $start_ns AND $end_ns GROUP BY ALL
UNION ALL
SELECT 'exchange', exchange, broker, vhost, least(23, (start_ns - $start_ns) // $step_ns), count(*), count(*) FILTER (WHERE outcome IN ('returned', 'nacked'))
FROM publish_facts WHERE exchange IS NOT NULL AND NOT starts_with(coalesce(routing_key, ''), 'amq.rabbitmq.reply-to') AND start_ns BETWEEN $start_ns AND $end_ns GROUP BY ALL;
