-- When the first and the last message were published or received.
SELECT least((SELECT min(received_ns) FROM delivery_facts), (SELECT min(start_ns) FROM publish_facts)) AS oldest_ns,
    greatest((SELECT max(received_ns) FROM delivery_facts), (SELECT max(start_ns) FROM publish_facts)) AS newest_ns;
