-- Keys of `duplicated` and `redelivery_loop`: a message in a queue, of which a new load tells that
-- it was delivered there more than once (`*` may be several queues). What is said of the queue touches it too. Rows are counted by
-- a hash of their key: of most messages nothing more is ever asked.
WITH met AS (   -- apart: one `coalesce` splits the stamp of every row, a third of the whole statement
    SELECT rowid AS rid, batch, hash(environment, broker, vhost, queue, message) AS met
    FROM delivery_facts
    WHERE first_batch >= $from AND queue <> '*' AND message IS NOT NULL AND NOT starts_with(queue, 'amq.rabbitmq.reply-to')
    UNION ALL
    SELECT rowid, batch, hash(environment, broker, vhost, queue, array_to_string(string_split(stamp, '.')[2:4], '.'))
    FROM delivery_facts
    WHERE first_batch >= $from AND queue <> '*' AND message IS NULL AND stamp IS NOT NULL AND NOT starts_with(queue, 'amq.rabbitmq.reply-to')
), again AS (
    SELECT max(rid) AS rid, max(batch) AS batch FROM met GROUP BY met HAVING count(*) > 1
)
SELECT DISTINCT concat_ws('|', coalesce(environment, ''), coalesce(broker, ''), coalesce(vhost, ''), queue,
    coalesce(message, array_to_string(string_split(stamp, '.')[2:4], '.'))) AS key
FROM delivery_facts d JOIN again a ON a.rid = d.rowid
WHERE a.batch > $since OR d.queue IN (SELECT name FROM topology_facts WHERE batch > $since AND kind = 'queue');
