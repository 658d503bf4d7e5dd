-- Keys of `context_lost`: deliveries that came with a stamp and continue no trace.
WITH rootless AS MATERIALIZED (      -- seldom any
    SELECT trace_id || span_id AS key, batch, array_to_string(string_split(stamp, '.')[2:4], '.') AS message FROM delivery_facts
    WHERE first_batch >= $from AND context_trace_id IS NULL AND stamp IS NOT NULL AND stamp_ok AND queue IS NOT NULL
)
SELECT DISTINCT key FROM rootless
WHERE batch > $since OR message IN (SELECT message FROM publish_facts WHERE batch > $since AND EXISTS (SELECT 1 FROM rootless));
