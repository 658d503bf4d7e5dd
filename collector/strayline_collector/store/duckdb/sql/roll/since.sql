-- The oldest load with something of the traces that came since.
SELECT coalesce(min(batch), $rolled + 1) AS since FROM trace_directory
WHERE trace_key IN (SELECT trace_key FROM trace_directory WHERE batch > $rolled);
