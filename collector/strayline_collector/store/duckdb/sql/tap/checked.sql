INSERT INTO topology_sources VALUES ($document, $checked_ns);
