-- What each service, queue and exchange did in 24 equal steps of the range.
SELECT 'service' AS kind, service AS name, NULL AS broker, NULL AS vhost, least(23, (start_ns - $start_ns) // $step_ns) AS step, count(*) AS calls,
    count(*) FILTER (WHERE status_code = 2) AS errors
FROM distinct_spans WHERE kind IN (2, 5) AND start_ns BETWEEN $start_ns AND $end_ns GROUP BY ALL
UNION ALL
SELECT 'queue', queue, broker, vhost, least(23, (received_ns - $start_ns) // $step_ns), count(*), count(*) FILTER (WHERE failed)
FROM delivery_facts WHERE queue IS NOT NULL AND received_ns BETWEEN $start_ns AND $end_ns GROUP BY ALL
UNION ALL
SELECT 'exchange', exchange, broker, vhost, least(23, (start_ns - $start_ns) // $step_ns), count(*), count(*) FILTER (WHERE outcome = 'returned')
FROM publish_facts WHERE exchange IS NOT NULL AND NOT starts_with(coalesce(routing_key, ''), 'amq.rabbitmq.reply-to') AND start_ns BETWEEN $start_ns AND $end_ns GROUP BY ALL;
