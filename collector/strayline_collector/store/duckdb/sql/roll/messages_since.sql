-- The oldest load with something of the publishes of what `came`.
SELECT coalesce(min(batch), 0) AS since FROM trace_directory WHERE trace_key IN (SELECT key_of(publish_trace_id) FROM came);
