INSERT INTO topology_facts BY NAME
SELECT (SELECT coalesce(max(batch), 0) + 1 FROM loaded) AS batch, 'management' AS source, $document AS document, 'actual' AS role, true AS complete,
    $broker AS broker, $now_ns AS seen_ns, $last_ns::BIGINT AS possibly_from_ns, *
FROM came;
