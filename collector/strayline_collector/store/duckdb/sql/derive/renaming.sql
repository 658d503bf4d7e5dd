-- Whether facts of earlier loads are told by the address of a broker whose name is known now.
SELECT EXISTS (SELECT 1 FROM publish_facts f JOIN broker_names b ON b.address = f.broker WHERE b.broker <> f.broker AND f.batch < $batch)
    OR EXISTS (SELECT 1 FROM delivery_facts f JOIN broker_names b ON b.address = f.broker WHERE b.broker <> f.broker AND f.batch < $batch) AS found;
