-- Publishes told by address take the broker's name, whichever of the two was known first.
UPDATE publish_facts AS f
SET broker = b.broker, batch = $batch
FROM broker_names b
WHERE f.first_batch >= $renamed AND f.broker = b.address AND f.broker <> b.broker;
