INSERT INTO trace_directory
SELECT DISTINCT key_of(trace_id), $batch FROM arrived WHERE name NOT IN ('strayline.topology', 'strayline.census');
