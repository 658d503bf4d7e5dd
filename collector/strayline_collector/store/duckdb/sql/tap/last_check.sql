SELECT checked_ns FROM topology_sources WHERE document = $document;
