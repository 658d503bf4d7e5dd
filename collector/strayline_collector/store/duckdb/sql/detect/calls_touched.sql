-- One key for all: a hop is silent as long as not one of its calls was served.
SELECT 'all' AS key WHERE EXISTS (SELECT 1 FROM spans WHERE batch > $since AND kind IN (2, 3) AND messaging_system IS NULL);
