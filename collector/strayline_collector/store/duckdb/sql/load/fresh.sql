-- Which of the load's spans (`n`, their place in it) are not `seen`, each once.
SELECT a.n
FROM keys a
WHERE NOT EXISTS (SELECT 1 FROM seen s WHERE s.trace_id = a.trace_id AND s.span_id = a.span_id AND s.kind = a.kind)
QUALIFY row_number() OVER (PARTITION BY a.trace_id, a.span_id, a.kind ORDER BY a.end_ns, a.name) = 1
ORDER BY a.n;
