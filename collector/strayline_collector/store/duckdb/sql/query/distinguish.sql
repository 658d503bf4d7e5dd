-- In how many traces of each `side` a value of an attribute is found; a row for what more of the picked
-- ones have, or fewer, and not by chance alone: two standard errors of a difference of two shares. Traces' first $spans spans are read, values longer than 200 characters left out.
-- What numbers or names messages one by one tells no group apart; a whole URL says once more what
-- its path and host do.
WITH numbers(key) AS (
    VALUES ('messaging.message.id'), ('messaging.message.conversation_id'), ('messaging.rabbitmq.message.delivery_tag'), ('messaging.rabbitmq.delivery_tag'),
        ('strayline.stamp'), ('strayline.body_hash'),
        ('url.full'), ('http.url')
), chosen AS (
    SELECT s.trace_id, f.picked, s.service, s.name, s.status_code, s.attributes, json_extract(s.resource, '$.attributes') AS resource
    FROM distinct_spans s JOIN found f ON f.trace_id = s.trace_id
    WHERE s.batch BETWEEN $first_batch AND $last_batch
    LIMIT $spans
), told AS (
    SELECT DISTINCT trace_id, picked, 'service' AS field, service AS value FROM chosen
    UNION ALL SELECT DISTINCT trace_id, picked, 'operation', name FROM chosen
    UNION ALL SELECT DISTINCT trace_id, picked, 'status', 'error' FROM chosen WHERE status_code = 2
    UNION ALL SELECT DISTINCT c.trace_id, c.picked, e.key, CASE WHEN e.type = 'VARCHAR' THEN e.value ->> '$' ELSE e.value::VARCHAR END
        FROM chosen c, json_each(c.attributes) e WHERE e.key NOT IN ('service', 'operation', 'status') AND e.key NOT IN (FROM numbers)
    UNION ALL SELECT DISTINCT c.trace_id, c.picked, e.key, CASE WHEN e.type = 'VARCHAR' THEN e.value ->> '$' ELSE e.value::VARCHAR END
        FROM chosen c, json_each(c.resource) e WHERE e.key NOT IN ('service', 'operation', 'status', 'service.name')
), counted AS (
    SELECT field, value, count(DISTINCT trace_id) FILTER (WHERE picked) AS picked, count(DISTINCT trace_id) FILTER (WHERE NOT picked) AS others
    FROM told WHERE length(value) BETWEEN 1 AND 200 GROUP BY field, value
)
SELECT field, value, picked, others, picked / $picked_traces AS picked_share, others / greatest(1, $other_traces) AS other_share
FROM (SELECT *, (picked + others) / ($picked_traces + $other_traces) AS share FROM counted)
WHERE picked + others >= 2 AND abs(picked_share - other_share) >= 0.05
  AND ($other_traces = 0 OR (picked_share - other_share) ** 2 >= 4 * share * (1 - share) * (1 / $picked_traces + 1 / greatest(1, $other_traces)))
ORDER BY abs(picked_share - other_share) DESC, picked DESC, field, value
LIMIT $limit;
