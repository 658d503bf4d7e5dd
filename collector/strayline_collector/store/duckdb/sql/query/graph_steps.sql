-- What each queue and exchange did in 24 equal steps of the range, replies of RPCs left out as in
-- graph_publishes.sql.
WITH reply_names AS (
    SELECT DISTINCT reply_to AS name, service FROM publish_facts WHERE reply_to IS NOT NULL AND NOT starts_with(reply_to, 'amq.rabbitmq.reply-to')
), passed_on AS (
    SELECT DISTINCT queue AS name FROM delivery_facts
    WHERE queue IN (SELECT name FROM reply_names) AND (queue, service) NOT IN (SELECT (name, service) FROM reply_names)
)
SELECT 'queue' AS kind, queue AS name, broker, vhost, least(23, (received_ns - $start_ns) // $step_ns) AS step, count(*) AS calls, count(*) FILTER (WHERE failed) AS errors
FROM delivery_facts WHERE queue IS NOT NULL AND received_ns BETWEEN $start_ns AND $end_ns GROUP BY ALL
UNION ALL
SELECT 'exchange', exchange, broker, vhost, least(23, (start_ns - $start_ns) // $step_ns), count(*), count(*) FILTER (WHERE outcome IN ('returned', 'nacked'))
FROM publish_facts
WHERE exchange IS NOT NULL AND start_ns BETWEEN $start_ns AND $end_ns AND NOT starts_with(coalesce(routing_key, ''), 'amq.rabbitmq.reply-to')
  AND NOT (exchange = '' AND (routing_key IN (SELECT name FROM reply_names) AND routing_key NOT IN (SELECT name FROM passed_on)
      OR correlation_id IS NOT NULL AND starts_with(coalesce(routing_key, ''), 'amq.gen-')))
GROUP BY ALL;
