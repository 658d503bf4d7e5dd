INSERT INTO span_links BY NAME
SELECT DISTINCT $batch AS batch, s.trace_id, s.span_id, l.link->>'$.trace_id' AS to_trace_id, l.link->>'$.span_id' AS to_span_id
FROM told s, unnest(CAST(json_extract(s.links, '$[*]') AS JSON[])) AS l(link)
WHERE s.links IS NOT NULL;
