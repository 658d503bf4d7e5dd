SELECT trace_id, producer_span_id, message_id, queue, role, cause, confidence, evidence
FROM verdicts
WHERE kind = $kind AND verdict IS NOT DISTINCT FROM $verdict AND cause IS NOT DISTINCT FROM $cause
  AND environment IS NOT DISTINCT FROM $environment AND broker IS NOT DISTINCT FROM $broker AND vhost IS NOT DISTINCT FROM $vhost
  AND queue IS NOT DISTINCT FROM $queue AND exchange IS NOT DISTINCT FROM $exchange AND routing_key IS NOT DISTINCT FROM $routing_key
  AND producer_service IS NOT DISTINCT FROM $producer_service
ORDER BY role IN ('overtaker', 'original'), event_ns, message, role
LIMIT $limit;
