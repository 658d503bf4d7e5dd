-- Spans of the `found` traces that say a text anywhere: name, attributes, events, status, resource.
SELECT DISTINCT trace_id, span_id
FROM distinct_spans
WHERE batch BETWEEN $first_batch AND $last_batch AND trace_id IN (SELECT trace_id FROM found)
  AND (contains(lower(name), $text) OR contains(lower(service), $text) OR contains(lower(attributes), $json) OR contains(lower(events), $json)
    OR contains(lower(status_message), $text) OR contains(lower(resource), $json) OR contains(span_id, $text))
LIMIT $limit;
