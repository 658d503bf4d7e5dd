-- Keys of `reordered`: one producer process and one queue. Streams and ordering keys both live in
-- it. What a publish says of its outcome, and what is said of queue or exchange, touches it too.
WITH places AS (     -- narrowed before anything is compared with each
    SELECT any_value(environment) AS environment, any_value(broker) AS broker, any_value(vhost) AS vhost, any_value(queue) AS queue,
        any_value(exchange) AS exchange, any_value(epoch) AS epoch, any_value(substr(stamp, 3, 16)) AS producer, max(batch) AS batch
    FROM delivery_facts WHERE stamp IS NOT NULL AND queue IS NOT NULL
    GROUP BY hash(environment, broker, vhost, queue, exchange, epoch, substr(stamp, 3, 16))
)
SELECT DISTINCT concat_ws('|', 'stamp', coalesce(environment, ''), coalesce(broker, ''), coalesce(vhost, ''), queue, producer) AS key
FROM places d
WHERE batch > $since
    OR producer IN (SELECT epoch FROM publish_facts WHERE batch > $since AND epoch IS NOT NULL)
    OR EXISTS (SELECT 1 FROM census c WHERE c.batch > $since AND c.epoch = d.epoch)
    OR EXISTS (
        SELECT 1 FROM topology_facts t
        WHERE t.batch > $since AND t.kind IN ('queue', 'exchange') AND t.name IN (d.queue, d.exchange)
          AND t.vhost IS NOT DISTINCT FROM d.vhost);
