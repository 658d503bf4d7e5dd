-- Keys of `duplicated` and `redelivery_loop`: a message in a queue, of which a new load tells that
-- it was delivered there more than once (`*` may be several queues). What is said of the queue touches it too. Rows are counted by
-- a hash of their key: of most messages nothing more is ever asked.
WITH met AS (
    SELECT rowid AS rid, batch, queue, hash(environment, broker, vhost, queue, coalesce(message, array_to_string(string_split(stamp, '.')[2:4], '.'))) AS met
    FROM delivery_facts
    WHERE first_batch >= $from AND queue <> '*' AND (message IS NOT NULL OR stamp IS NOT NULL) AND NOT starts_with(queue, 'amq.rabbitmq.reply-to')
), again AS (
    SELECT max(rid) AS rid FROM met
    GROUP BY met
    HAVING count(*) > 1 AND (max(batch) > $since OR any_value(queue) IN (SELECT name FROM topology_facts WHERE batch > $since AND kind = 'queue'))
)
SELECT DISTINCT concat_ws('|', coalesce(environment, ''), coalesce(broker, ''), coalesce(vhost, ''), queue,
    coalesce(message, array_to_string(string_split(stamp, '.')[2:4], '.'))) AS key
FROM delivery_facts d JOIN again a ON a.rid = d.rowid;
