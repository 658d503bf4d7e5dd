-- Keys of `duplicated` and `redelivery_loop`: a message in a queue, of which a new load tells that
-- it was delivered there more than once. What is said of the queue touches it too.
WITH met AS (
    SELECT environment, broker, vhost, queue, coalesce(message, array_to_string(string_split(stamp, '.')[2:4], '.')) AS met, batch
    FROM delivery_facts
    WHERE queue IS NOT NULL AND (message IS NOT NULL OR stamp IS NOT NULL) AND NOT starts_with(queue, 'amq.rabbitmq.reply-to')
)
SELECT concat_ws('|', coalesce(environment, ''), coalesce(broker, ''), coalesce(vhost, ''), queue, met) AS key
FROM met
GROUP BY environment, broker, vhost, queue, met
HAVING count(*) > 1 AND (max(batch) > $since
    OR queue IN (SELECT name FROM topology_facts WHERE batch > $since AND kind = 'queue'));
