-- The messages of findings, the first of each: offenders in event time, then their context. Kinds and
-- queues are those of the findings: below the view's window they leave out all other verdicts (a window
-- over a million of them takes 1.7 s), which a join with the findings would not.
SELECT finding_id, trace_id, producer_span_id, message_id, queue, role, cause, confidence, evidence
FROM finding_verdicts
WHERE finding_id IN (SELECT unnest($ids)) AND role <> 'hop'
  AND list_contains($kinds, kind) AND list_contains($queues, coalesce(queue, ''))
QUALIFY row_number() OVER (PARTITION BY finding_id ORDER BY role IN ('overtaker', 'original'), event_ns, message, role) <= $limit
ORDER BY finding_id, role IN ('overtaker', 'original'), event_ns, message, role;
