-- By what the load's requests and replies over AMQP are known, and those whose operation it told:
-- their correlation id.
SELECT key_of('reply ' || id) AS message_key
FROM (
    SELECT coalesce(attributes->>'$."messaging.message.conversation_id"', attributes->>'$."messaging.conversation_id"') AS id
    FROM told
    WHERE kind IN (3, 4, 5) AND contains(attributes, 'conversation_id')
) WHERE id IS NOT NULL   -- an attribute without a value tells none
UNION
SELECT key_of('reply ' || p.correlation_id)
FROM publish_facts p SEMI JOIN climbing c ON c.trace_id = p.trace_id AND c.span_id = p.span_id
WHERE p.first_batch >= $since AND p.batch = $batch AND p.correlation_id IS NOT NULL;
