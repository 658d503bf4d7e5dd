-- Keys of `context_lost`: deliveries that came with a stamp and continue no trace.
SELECT DISTINCT trace_id || span_id AS key FROM delivery_facts d
WHERE first_batch >= $from AND context_trace_id IS NULL AND stamp IS NOT NULL AND stamp_ok AND queue IS NOT NULL
  AND (batch > $since OR array_to_string(string_split(stamp, '.')[2:4], '.') IN (SELECT message FROM publish_facts WHERE batch > $since));
