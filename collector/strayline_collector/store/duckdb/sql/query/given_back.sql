-- Messages that the broker gave back (no queue) or refused, by who published them: no consumer's span
-- tells of them. A reply that is asked for directly is returned and arrives all the same.
SELECT service, least($last_step, (start_ns - $start_ns) // $step_ns) AS step, count(*) AS messages
FROM publish_facts
WHERE outcome IN ('returned', 'nacked') AND start_ns BETWEEN $start_ns AND $end_ns AND NOT starts_with(coalesce(routing_key, ''), 'amq.rabbitmq.reply-to')
GROUP BY ALL;
