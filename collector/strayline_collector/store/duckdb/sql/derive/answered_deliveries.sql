-- What was answered or heard is known otherwise now, though its row says the same.
UPDATE delivery_facts AS d SET batch = $batch
FROM (SELECT DISTINCT trace_id, span_id FROM answers) a
WHERE d.first_batch >= $since AND d.first_batch < $batch AND d.trace_id = a.trace_id AND d.span_id = a.span_id;
