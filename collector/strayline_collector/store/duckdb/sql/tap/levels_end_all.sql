-- What an earlier process saw, or this one before the broker went silent, held until the last look.
UPDATE level_facts SET to_ns = greatest(from_ns, coalesce($last_ns::BIGINT, from_ns)), batch = $batch WHERE document = $document AND to_ns IS NULL;
