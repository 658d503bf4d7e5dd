-- The judgements that go: of a channel's messages from where it is judged again.
SELECT rowid AS place, kind, environment, broker, vhost, queue, message, event_ns FROM judgements
WHERE detector = $detector AND EXISTS (
    SELECT 1 FROM touched t
    WHERE t.key = judgements.key AND t.c = CAST(split_part(judgements.message, '.', 2) AS BIGINT) AND CAST(split_part(judgements.message, '.', 3) AS BIGINT) > t.n);
