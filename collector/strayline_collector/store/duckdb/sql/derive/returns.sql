-- Return spans of this load: without confirms a publish's span has ended when its message comes
-- back. The link names that span.
INSERT INTO return_facts BY NAME
SELECT DISTINCT
    $batch AS batch,
    s.links->>'$[0].trace_id' AS trace_id,
    s.links->>'$[0].span_id' AS span_id
FROM told s
WHERE s.kind = 3 AND s.messaging_system = 'rabbitmq' AND s.messaging_operation IS NULL
  AND (s.attributes->>'$."messaging.operation.name"') = 'return'
  AND (s.links->>'$[0].span_id') IS NOT NULL;
