-- What a touched queue should have had and was never seen to hand out. `sure`: by what surely was
-- bound (`expected`, detect/expected.py); else because messages of its exchange and key came there
-- before (and, as the verdict asks, after). What died somewhere was handed on, and a message that
-- was delivered elsewhere alone may have had one of several queues. `$several`: whether any way leads to more than one; where none
-- does the history is not read for that.
WITH seen AS (
    SELECT hash(message) AS message_hash, hash(message, queue) AS place_hash FROM delivery_facts WHERE message IS NOT NULL
), nowhere_seen AS (
    SELECT p.rowid AS row_id FROM publish_facts p
    ANTI JOIN seen d ON d.message_hash = hash(p.message)
    WHERE p.outcome IS NULL OR p.outcome IN ('confirmed', 'committed', 'unconfirmed')
), several AS (      -- ways to more than one queue: there a message may be missing in one of them
    SELECT DISTINCT a.environment, a.broker, a.vhost, a.exchange, a.routing_key
    FROM expected a JOIN expected b ON b.exchange = a.exchange AND b.routing_key = a.routing_key AND b.queue > a.queue
        AND b.environment IS NOT DISTINCT FROM a.environment AND b.broker IS NOT DISTINCT FROM a.broker AND b.vhost IS NOT DISTINCT FROM a.vhost
    WHERE $several
), somewhere_unseen AS (
    SELECT DISTINCT p.rowid AS row_id FROM publish_facts p
    SEMI JOIN several s ON s.exchange = p.exchange AND s.routing_key = p.routing_key
    JOIN (SELECT DISTINCT exchange, routing_key, queue FROM expected) e ON e.exchange = p.exchange AND e.routing_key = p.routing_key
    ANTI JOIN seen d ON d.place_hash = hash(p.message, e.queue)
    WHERE p.outcome IN ('confirmed', 'committed')
), candidates AS (
    SELECT p.*, c.unseen FROM (
        SELECT row_id, bool_or(unseen) AS unseen FROM (SELECT row_id, true AS unseen FROM nowhere_seen UNION ALL SELECT row_id, false FROM somewhere_unseen) GROUP BY row_id
    ) c JOIN publish_facts p ON p.rowid = c.row_id
    WHERE p.delay_ms IS NULL
      AND greatest(p.start_ns, p.end_ns) < 9000000000000000000  -- a clock of the year 2255: a time to live after it would be no integer
), ways AS (
    SELECT d.environment, d.broker, d.vhost, d.exchange, d.routing_key, d.queue, min(d.received_ns) AS first_ns
    FROM delivery_facts d
    SEMI JOIN (SELECT DISTINCT exchange, routing_key FROM candidates WHERE unseen) c ON c.exchange = d.exchange AND c.routing_key = d.routing_key
    WHERE d.death IS NULL AND d.queue IS NOT NULL AND d.message IS NOT NULL
    GROUP BY ALL
), wanted AS (
    SELECT p.*, e.queue, true AS sure
    FROM candidates p
    JOIN expected e ON e.exchange = p.exchange AND e.routing_key = p.routing_key AND p.start_ns BETWEEN e.from_ns AND e.to_ns
        AND e.environment IS NOT DISTINCT FROM p.environment AND e.broker IS NOT DISTINCT FROM p.broker AND e.vhost IS NOT DISTINCT FROM p.vhost
        AND e.routing_headers IS NOT DISTINCT FROM p.routing_headers
    WHERE p.outcome IN ('confirmed', 'committed') AND (p.mandatory OR NOT e.if_mandatory)
    UNION ALL
    SELECT p.*, w.queue, false
    FROM candidates p
    JOIN ways w ON w.exchange = p.exchange AND w.routing_key = p.routing_key AND w.first_ns < p.start_ns
        AND w.environment IS NOT DISTINCT FROM p.environment AND w.broker IS NOT DISTINCT FROM p.broker AND w.vhost IS NOT DISTINCT FROM p.vhost
    WHERE p.unseen AND p.routing_headers IS NULL
), unnamed AS (      -- deliveries of which nothing names the publish may be of any, or of that with their id
    SELECT environment, broker, vhost, queue, message_id, max(received_ns) AS last_ns FROM delivery_facts
    WHERE message IS NULL AND stamp IS NULL AND queue IS NOT NULL GROUP BY ALL
), unnamed_places AS (
    SELECT environment, broker, vhost, queue, max(last_ns) AS last_ns, max(last_ns) FILTER (WHERE message_id IS NULL) AS idless_ns FROM unnamed GROUP BY ALL
), named_by_id AS (  -- apart: an ANTI JOIN by more than equal columns looks at every pair
    SELECT w.trace_id, w.span_id, w.queue
    FROM wanted w JOIN unnamed u ON u.message_id = w.message_id AND u.queue = w.queue AND u.last_ns >= w.start_ns
    WHERE (u.broker IS NOT DISTINCT FROM w.broker OR u.broker IS NULL) AND (u.vhost IS NOT DISTINCT FROM w.vhost OR u.broker IS NULL AND u.vhost IS NULL)
      AND u.environment IS NOT DISTINCT FROM w.environment
), absent AS (
    SELECT w.*, concat_ws('|', coalesce(w.environment, ''), coalesce(w.broker, ''), coalesce(w.vhost, ''), w.queue) AS key
    FROM wanted w
    ANTI JOIN (SELECT d.message, d.queue FROM delivery_facts d SEMI JOIN wanted w ON w.message = d.message) d ON d.message = w.message AND d.queue = w.queue
    -- nor what died somewhere, or came out of a queue that no span names, which may have been this one
    ANTI JOIN (SELECT message FROM delivery_facts WHERE (death IS NOT NULL OR queue IS NULL) AND message IS NOT NULL) x ON x.message = w.message
    ANTI JOIN unnamed_places u ON u.queue = w.queue AND (u.broker IS NOT DISTINCT FROM w.broker OR u.broker IS NULL) AND (u.vhost IS NOT DISTINCT FROM w.vhost OR u.broker IS NULL AND u.vhost IS NULL)
        AND u.environment IS NOT DISTINCT FROM w.environment AND CASE WHEN w.message_id IS NULL THEN u.last_ns ELSE u.idless_ns END >= w.start_ns
    ANTI JOIN named_by_id i ON i.trace_id = w.trace_id AND i.span_id = w.span_id AND i.queue = w.queue
    WHERE NOT regexp_matches(w.queue, '^(amq\.|\*)')
)
SELECT a.environment, a.broker, a.vhost, a.exchange, a.routing_key, a.message, a.queue, a.key, a.epoch, a.channel, a.n, a.service, a.instance,
    a.priority, a.expiration_ms, a.message_id, a.trace_id, a.span_id, a.start_ns, a.end_ns, a.batch, a.sure
FROM absent a
SEMI JOIN touched t ON t.key = a.key
LEFT JOIN queue_traits q ON q.name = a.queue AND q.broker IS NOT DISTINCT FROM a.broker AND q.vhost IS NOT DISTINCT FROM a.vhost
    AND q.environment IS NOT DISTINCT FROM a.environment AND a.start_ns BETWEEN q.from_ns AND q.to_ns
ANTI JOIN (SELECT DISTINCT reply_to FROM publish_facts WHERE reply_to IS NOT NULL) r ON r.reply_to = a.queue
ANTI JOIN (SELECT DISTINCT broker, vhost, name, type FROM topology_facts WHERE kind = 'exchange' AND (type LIKE 'x-%' OR type = 'headers')) x
    ON (x.type <> 'headers' OR NOT a.sure) AND x.name = a.exchange AND x.broker IS NOT DISTINCT FROM a.broker AND x.vhost IS NOT DISTINCT FROM a.vhost
WHERE NOT coalesce(q.is_stream OR q.short_lived, false)
QUALIFY row_number() OVER (PARTITION BY a.trace_id, a.span_id, a.queue ORDER BY a.sure DESC) = 1;
