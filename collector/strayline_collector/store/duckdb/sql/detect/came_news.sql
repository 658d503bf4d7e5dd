-- What the loads after `$since` tell of deliveries, by the ways by which they came: as sent_news.sql. `died`: after they had
-- died somewhere; `dead`: or may have died there. `batch`: the last load that told of it.
SELECT environment, broker, vhost, queue, exchange, routing_key, died, batch, last_ns,
    failed OR coalesce(settlement IN ('nack_drop', 'reject_drop'), false) AS refused,
    died OR coalesce(settlement IN ('nack_drop', 'reject_drop') OR settlement IN ('nack_requeue', 'reject_requeue') AND counted, false) AS dead,
    coalesce(queue, '*') = '*' AND (failed OR coalesce(settlement IN ('nack_requeue', 'reject_requeue'), false)) AS unnamed, orphaned
FROM (
    SELECT environment, broker, vhost, queue, exchange, routing_key, settlement, death IS NOT NULL AS died, max(batch) AS batch, max(received_ns) AS last_ns,
        bool_or(coalesce(failed, false)) AS failed, bool_or(delivery_count IS NOT NULL) AS counted,
        bool_or(context_trace_id IS NULL AND stamp IS NULL AND message IS NULL) AS orphaned
    FROM delivery_facts WHERE batch > $since
    GROUP BY ALL
);
