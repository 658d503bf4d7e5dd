-- What is known of each queue that something was delivered from, that somebody declared, or both: on
-- what the verdicts about it rest.
WITH census_of AS (
    SELECT epoch, bool_or(coalesce(TRY_CAST(census->>'$.spans_dropped' AS BIGINT), 0) > 0) AS dropped FROM census WHERE json_valid(census) GROUP BY epoch
), consumed AS (
    SELECT environment, broker, vhost, queue, count(*) AS deliveries, count(DISTINCT message) AS messages,
        count(*) FILTER (WHERE stamp IS NOT NULL AND stamp_ok) AS stamped, count(*) FILTER (WHERE publish_span_id IS NOT NULL) AS joined_up,
        count(*) FILTER (WHERE settlement IS NOT NULL) AS settled, count(*) FILTER (WHERE source = 'shim') AS by_shim,
        count(DISTINCT coalesce(host, d.epoch, instance, service)) AS clocks, count(DISTINCT CASE WHEN source = 'shim' THEN concat_ws('/', service, d.epoch, channel) END) AS channels,
        count(DISTINCT d.epoch) AS processes, count(DISTINCT d.epoch) FILTER (WHERE t.epoch IS NOT NULL) AS counted, count(DISTINCT d.epoch) FILTER (WHERE t.dropped) AS dropping
    FROM delivery_facts d LEFT JOIN census_of t ON t.epoch = d.epoch
    WHERE queue IS NOT NULL AND NOT regexp_matches(queue, '^amq\.(gen-|rabbitmq\.reply-to)')
    GROUP BY environment, broker, vhost, queue
), declared AS (
    SELECT environment, broker, vhost, name AS queue, bool_or(coalesce(arguments->>'$."x-queue-type"', '') = 'stream') AS is_stream, bool_or(complete) AS complete
    FROM topology_facts
    WHERE kind = 'queue' AND action = 'declare' AND json_valid(coalesce(arguments, '{}')) AND NOT starts_with(name, 'amq.gen-')
    GROUP BY ALL
), bound AS (
    SELECT DISTINCT broker, vhost, destination AS queue FROM topology_facts WHERE kind = 'binding' AND action = 'bind' AND coalesce(destination_kind, 'queue') = 'queue'
)
SELECT coalesce(c.environment, d.environment) AS environment, coalesce(c.broker, d.broker) AS broker, coalesce(c.vhost, d.vhost) AS vhost, coalesce(c.queue, d.queue) AS queue,
    coalesce(c.deliveries, 0) AS deliveries, coalesce(c.messages, 0) AS messages, coalesce(c.stamped, 0) AS stamped, coalesce(c.joined_up, 0) AS joined_up,
    coalesce(c.settled, 0) AS settled, coalesce(c.by_shim, 0) AS by_shim, coalesce(c.clocks, 0) AS clocks, coalesce(c.channels, 0) AS channels,
    d.queue IS NOT NULL AS declared, coalesce(d.is_stream, false) AS is_stream, coalesce(d.complete, false) AS complete,
    EXISTS (SELECT 1 FROM bound b WHERE b.queue = coalesce(c.queue, d.queue) AND b.broker IS NOT DISTINCT FROM coalesce(c.broker, d.broker)
        AND b.vhost IS NOT DISTINCT FROM coalesce(c.vhost, d.vhost)) AS bound,
    coalesce(c.counted, 0) AS counted, coalesce(c.processes, 0) AS processes, coalesce(c.dropping, 0) AS dropping
FROM consumed c FULL JOIN declared d ON d.queue = c.queue AND d.broker IS NOT DISTINCT FROM c.broker AND d.vhost IS NOT DISTINCT FROM c.vhost
    AND d.environment IS NOT DISTINCT FROM c.environment
ORDER BY ALL;
