-- What held of `places` until the last look holds no more.
UPDATE level_facts SET to_ns = greatest(level_facts.from_ns, $last_ns::BIGINT), batch = $batch
FROM places
WHERE level_facts.document = $document AND level_facts.to_ns IS NULL AND level_facts.vhost = places.vhost AND level_facts.queue = places.queue;
