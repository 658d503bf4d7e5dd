DELETE FROM delivery_facts d
WHERE d.first_batch >= $since AND starts_with(d.name_hint, 'queue:')
  AND EXISTS (SELECT 1 FROM handing g WHERE g.context_trace_id = d.context_trace_id AND g.context_span_id = d.context_span_id
      AND g.service = d.service AND g.instance IS NOT DISTINCT FROM d.instance);
