-- What the loads after `$since` tell of: without any of it some detectors have nothing to say.
SELECT bool_or(refused) AS refused, bool_or(died) AS died, bool_or(returned) AS returned, bool_or(doubtful) AS doubtful, bool_or(spoken) AS spoken, bool_or(unnamed) AS unnamed
FROM (
    SELECT coalesce(settlement IN ('nack_drop', 'reject_drop'), false) OR coalesce(failed, false) AS refused,
        death IS NOT NULL OR coalesce(settlement IN ('nack_drop', 'reject_drop') OR settlement IN ('nack_requeue', 'reject_requeue') AND delivery_count IS NOT NULL, false) AS died, false AS returned, false AS doubtful, false AS spoken,
        coalesce(queue, '*') = '*' AND (coalesce(failed, false) OR coalesce(settlement IN ('nack_requeue', 'reject_requeue'), false)) AS unnamed
    FROM delivery_facts WHERE batch > $since
    UNION ALL
    SELECT false, false, coalesce(outcome = 'returned', false), coalesce(outcome = 'unknown', false), source = 'spans' AND message_id IS NOT NULL, false
    FROM publish_facts WHERE batch > $since
);
