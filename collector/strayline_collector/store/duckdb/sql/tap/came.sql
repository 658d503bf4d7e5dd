INSERT INTO topology_facts BY NAME
SELECT $batch::BIGINT AS batch, 'management' AS source, $document AS document, 'actual' AS role, true AS complete,
    $broker AS broker, $now_ns AS seen_ns, $last_ns::BIGINT AS possibly_from_ns, *
FROM came;
