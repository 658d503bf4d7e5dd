-- Keys of `reordered`: one producer process and one queue. Streams and ordering keys both live in
-- it. What a publish says of its outcome, and what is said of queue or exchange, touches it too.
SELECT DISTINCT concat_ws('|', 'stamp', coalesce(d.environment, ''), coalesce(d.broker, ''), coalesce(d.vhost, ''), d.queue, string_split(d.stamp, '.')[2]) AS key
FROM delivery_facts d
WHERE d.stamp IS NOT NULL AND d.queue IS NOT NULL
  AND (d.batch > $since
    OR string_split(d.stamp, '.')[2] IN (SELECT epoch FROM publish_facts WHERE batch > $since AND epoch IS NOT NULL)
    OR EXISTS (SELECT 1 FROM census c WHERE c.batch > $since AND c.epoch = d.epoch)
    OR EXISTS (
        SELECT 1 FROM topology_facts t
        WHERE t.batch > $since AND t.kind IN ('queue', 'exchange') AND t.name IN (d.queue, d.exchange)
          AND t.vhost IS NOT DISTINCT FROM d.vhost));
