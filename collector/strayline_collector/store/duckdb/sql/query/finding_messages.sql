-- Offenders first, in event time; then their context.
SELECT trace_id, producer_span_id, message_id, queue, role, cause, confidence, evidence
FROM finding_verdicts
WHERE finding_id = $id AND role <> 'hop'
ORDER BY role IN ('overtaker', 'original'), event_ns, message, role
LIMIT $limit;
