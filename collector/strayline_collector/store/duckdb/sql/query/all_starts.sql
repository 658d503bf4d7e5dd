-- When the first and the last span of all started; known of each row group, so that none is read.
SELECT min(start_ns) AS oldest_ns, max(start_ns) AS newest_ns FROM spans;
