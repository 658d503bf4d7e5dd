-- What new messages say of themselves, and what the topology knows: names of queues, exchanges,
-- routing keys, message ids.
WITH told AS (
    SELECT unnest([queue, exchange, routing_key, message_id]) AS text, unnest(['queue', 'exchange', 'routing_key', 'message_id']) AS field
    FROM (SELECT queue, exchange, routing_key, message_id FROM delivery_facts WHERE first_batch > $since LIMIT $rows)
    UNION ALL
    SELECT unnest([exchange, routing_key, message_id]), unnest(['exchange', 'routing_key', 'message_id'])
    FROM (SELECT exchange, routing_key, message_id FROM publish_facts WHERE first_batch > $since LIMIT $rows)
    UNION ALL
    SELECT name, kind FROM (SELECT name, kind FROM topology_facts WHERE kind IN ('queue', 'exchange') LIMIT $rows)
)
SELECT text, count(*) AS spans FROM told
WHERE field = $field AND contains(lower(text), lower($typed)) AND length(text) BETWEEN 1 AND 200
GROUP BY text ORDER BY starts_with(lower(text), lower($typed)) DESC, spans DESC, text LIMIT $limit;
