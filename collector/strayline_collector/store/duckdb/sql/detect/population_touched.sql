-- One key for all: what is usual is judged over every message of the last day.
SELECT 'all' AS key
WHERE EXISTS (SELECT 1 FROM publish_facts WHERE batch > $since) OR EXISTS (SELECT 1 FROM delivery_facts WHERE batch > $since);
