-- What the keys `k` among `changed` are called. Where queues of several brokers, vhosts or environments are called the same, or names
-- hash alike, `k` is several queues', and what is judged again is judged again in each of them.
WITH places AS (
    SELECT DISTINCT environment, broker, vhost, queue, hash(queue) AS place FROM ends
), producing AS (
    SELECT r.k, hash(queue) AS place, substr(stamp, 3, 16) AS producer
    FROM delivery_facts d JOIN (SELECT k, max(rid) AS rid FROM changed GROUP BY k) r ON r.rid = d.rowid
    WHERE r.k NOT IN (SELECT k FROM order_keys)
    UNION
    SELECT k, hash(queue), producer FROM order_keys
)
SELECT k, concat_ws('|', 'stamp', coalesce(environment, ''), coalesce(broker, ''), coalesce(vhost, ''), queue, producer) AS key,
    environment, broker, vhost, queue, producer
FROM producing JOIN places USING (place);
