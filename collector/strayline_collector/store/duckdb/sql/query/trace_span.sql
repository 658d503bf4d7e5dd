-- What one span says, as JSON text. More than one where a client and a server share an id (Zipkin).
SELECT batch, shortened, service, name, kind, start_ns, end_ns, status_code, status_message, scope_name, environment, process, host,
    coalesce(attributes, '{}') AS attributes, coalesce(resource, '{}') AS resource,
    coalesce(events, '[]') AS events, coalesce(links, '[]') AS links
FROM distinct_spans
WHERE batch BETWEEN $first_batch AND $last_batch AND trace_id = $trace_id AND span_id = $span_id
ORDER BY start_ns, kind
LIMIT 2;
