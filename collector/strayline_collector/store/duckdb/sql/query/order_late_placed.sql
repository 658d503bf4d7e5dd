-- The late ones among the arranged messages, with their places.
SELECT a.position, a.sequence, a.received_ns, a.at_ns, a.again, l.*
FROM arranged a JOIN late_by_either l ON l.m = a.m;
