-- The newest calls of an operation, and how many there are: what a service was asked to do, or
-- began. An operation is a span's name; `POST /orders` also where the name is the method alone.
SELECT trace_id, span_id, count(*) OVER () AS matching FROM distinct_spans
WHERE service = $service AND start_ns BETWEEN $start_ns AND $end_ns
  AND ($operation IS NULL OR name = $operation OR http_method || ' ' || coalesce(http_route, url_path) = $operation)
  AND (kind IN (2, 5) OR parent_span_id IS NULL OR (kind < 3 AND $operation IS NOT NULL))
ORDER BY start_ns DESC, trace_id, span_id
LIMIT $limit;
