-- Between which loads these traces came.
SELECT min(batch) AS first_batch, max(batch) AS last_batch FROM trace_directory
WHERE trace_key IN (SELECT key_of(trace_id) FROM found);
