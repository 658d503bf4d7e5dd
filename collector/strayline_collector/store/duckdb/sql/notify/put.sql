INSERT INTO notices BY NAME
SELECT $receiver AS receiver, id, severity, last_seen_ns AS told_to_ns, event, true AS waiting, $now_ns AS noticed_ns FROM due;
