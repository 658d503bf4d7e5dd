-- The publishes of the messages that are shown.
SELECT p.trace_id, p.span_id, p.service, p.start_ns, p.message_id
FROM publish_facts p
WHERE p.span_id IN (SELECT publish_span_id FROM points WHERE publish_span_id IS NOT NULL);
