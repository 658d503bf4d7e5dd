-- Keys of `reordered`: one producer process and one queue. Streams and ordering keys both live in it.
SELECT DISTINCT concat_ws('|', 'stamp', coalesce(environment, ''), coalesce(broker, ''), coalesce(vhost, ''), queue, string_split(stamp, '.')[2]) AS key
FROM delivery_facts d
WHERE stamp_ok AND queue IS NOT NULL
  AND (batch > $since OR EXISTS (
        SELECT 1 FROM topology_facts t
        WHERE t.batch > $since AND t.kind IN ('queue', 'exchange') AND t.name IN (d.queue, d.exchange)
          AND t.vhost IS NOT DISTINCT FROM d.vhost));
