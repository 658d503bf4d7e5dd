DELETE FROM topology_sources WHERE document = $document;
