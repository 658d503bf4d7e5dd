-- Which messages are late on the basis that is shown; of a broken ordering key both bases show it.
SELECT (hash(message, reverse(message)) >> 1)::BIGINT AS m, min(cause) AS cause,
    max(coalesce(TRY_CAST(json_extract_string(evidence, '$.' || $basis || '_extent') AS BIGINT), TRY_CAST(evidence->>'$.extent' AS BIGINT), 0)) AS extent
FROM verdicts
WHERE kind = 'reordered' AND role = 'late' AND queue = $queue AND ($broker IS NULL OR broker = $broker) AND ($vhost IS NULL OR vhost = $vhost)
  AND (contains(evidence->>'$.late_by', $basis) OR contains(evidence->>'$.late_by', 'ordering_key'))
GROUP BY message;
