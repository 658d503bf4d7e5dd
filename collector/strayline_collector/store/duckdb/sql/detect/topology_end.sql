UPDATE topology_facts SET until_ns = $until_ns WHERE source = 'document' AND document = $document AND until_ns IS NULL;
