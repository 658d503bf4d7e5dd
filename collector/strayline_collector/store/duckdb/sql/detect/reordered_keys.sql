-- What the keys `k` among `changed` are called.
SELECT r.k, concat_ws('|', 'stamp', coalesce(environment, ''), coalesce(broker, ''), coalesce(vhost, ''), queue, substr(stamp, 3, 16)) AS key,
    environment, broker, vhost, queue, substr(stamp, 3, 16) AS producer
FROM delivery_facts d JOIN (SELECT k, max(rid) AS rid FROM changed GROUP BY k) r ON r.rid = d.rowid
WHERE r.k NOT IN (SELECT k FROM order_keys)
UNION ALL
SELECT * FROM order_keys;
