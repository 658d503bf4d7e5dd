-- Messages delivered in loads up to `$since` whose publishes came after; `$from`: nothing older is about them.
SELECT (hash(hash(queue), substr(stamp, 3, 16)) >> 1)::BIGINT AS k, CAST(split_part(stamp, '.', 3) AS BIGINT) AS c, CAST(split_part(stamp, '.', 4) AS BIGINT) AS n
FROM delivery_facts
WHERE first_batch >= $from AND batch <= $since AND stamp IS NOT NULL AND queue IS NOT NULL
  AND message IN (SELECT message FROM publish_facts WHERE first_batch > $since);
