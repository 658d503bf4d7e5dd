-- The late ones with their places; `near` are the arranged messages of their hashes.
SELECT a.position, a.sequence, a.received_ns, a.at_ns, a.again, l.*
FROM near a JOIN late_by_either l ON l.m = a.m;
