-- Which messages of a queue are late, and on which basis; of a broken ordering key both bases show it.
-- Cause and extent are of the basis that is shown.
WITH told AS (
    SELECT message, cause, contains(evidence->>'$.late_by', 'ordering_key') OR contains(evidence->>'$.late_by', 'delivery') AS by_delivery,
        contains(evidence->>'$.late_by', 'ordering_key') OR contains(evidence->>'$.late_by', 'completion') AS by_completion,
        coalesce(TRY_CAST(json_extract_string(evidence, '$.' || $basis || '_extent') AS BIGINT), TRY_CAST(evidence->>'$.extent' AS BIGINT), 0) AS extent
    FROM verdicts
    WHERE kind = 'reordered' AND role = 'late' AND queue = $queue AND ($broker IS NULL OR broker = $broker) AND ($vhost IS NULL OR vhost = $vhost)
)
SELECT (hash(message, reverse(message)) >> 1)::BIGINT AS m, bool_or(by_delivery) AS by_delivery, bool_or(by_completion) AS by_completion,
    min(cause) FILTER (WHERE CASE $basis WHEN 'completion' THEN by_completion ELSE by_delivery END) AS cause,
    coalesce(max(extent) FILTER (WHERE CASE $basis WHEN 'completion' THEN by_completion ELSE by_delivery END), 0) AS extent
FROM told GROUP BY message;
