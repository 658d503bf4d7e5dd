-- A load's running totals, less what is gone.
UPDATE loaded SET spans = spans - $dropped, traces = (SELECT count(DISTINCT trace_key) FROM trace_directory);
