-- How far messages are rolled up, and how many facts about them changed since.
SELECT m.batch AS rolled,
    (SELECT count(*) FROM delivery_facts WHERE batch > m.batch) + (SELECT count(*) FROM publish_facts WHERE batch > m.batch) AS waiting
FROM (SELECT coalesce(max(batch), 0) AS batch FROM messages_rolled) m;
