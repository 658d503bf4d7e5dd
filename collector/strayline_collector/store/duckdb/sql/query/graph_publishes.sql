-- Messages published, replies of RPCs left out. An address that others than those who named it read
-- from is a queue like any other.
WITH reply_names AS (
    SELECT DISTINCT reply_to AS name, service FROM publish_facts WHERE reply_to IS NOT NULL AND NOT starts_with(reply_to, 'amq.rabbitmq.reply-to')
), passed_on AS (
    SELECT DISTINCT queue AS name FROM delivery_facts
    WHERE queue IN (SELECT name FROM reply_names) AND (queue, service) NOT IN (SELECT (name, service) FROM reply_names)
)
SELECT service AS producer, broker, vhost, exchange, count(*) AS calls, count(DISTINCT message) AS messages,
    count(*) FILTER (WHERE outcome IN ('returned', 'nacked')) AS errors,
    quantile_cont((end_ns - start_ns) / 1e6, 0.5) AS p50_ms, quantile_cont((end_ns - start_ns) / 1e6, 0.95) AS p95_ms
FROM publish_facts
WHERE start_ns BETWEEN $start_ns AND $end_ns AND exchange IS NOT NULL
  AND NOT starts_with(coalesce(routing_key, ''), 'amq.rabbitmq.reply-to')
  AND NOT (exchange = '' AND (routing_key IN (SELECT name FROM reply_names) AND routing_key NOT IN (SELECT name FROM passed_on)
      OR correlation_id IS NOT NULL AND starts_with(coalesce(routing_key, ''), 'amq.gen-')))
GROUP BY ALL ORDER BY ALL;
