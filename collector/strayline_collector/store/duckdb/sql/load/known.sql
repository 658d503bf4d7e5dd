-- How many of the load's traces are new, and the oldest load with something of the others.
WITH keys AS (SELECT DISTINCT key_of(trace_id) AS trace_key FROM arrived WHERE name NOT IN ('strayline.topology', 'strayline.census'))
SELECT (SELECT count(*) FROM keys) - count(DISTINCT d.trace_key) AS new_traces, min(d.batch) AS since
FROM trace_directory d SEMI JOIN keys USING (trace_key);
