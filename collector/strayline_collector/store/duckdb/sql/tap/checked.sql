INSERT INTO topology_sources VALUES ($batch, $document, $checked_ns);
