-- Links of these traces to others, and of others to them.
SELECT trace_id, span_id, to_trace_id, to_span_id FROM span_links
WHERE batch BETWEEN $first_batch AND $last_batch AND trace_id IN (SELECT trace_id FROM found)
UNION
SELECT trace_id, span_id, to_trace_id, to_span_id FROM span_links
WHERE batch IN (SELECT batch FROM message_directory WHERE message_key IN (SELECT key_of(trace_id) FROM found))
  AND to_trace_id IN (SELECT trace_id FROM found)
ORDER BY ALL LIMIT $limit;
