SELECT checked_ns, batch FROM topology_sources WHERE document = $document;
