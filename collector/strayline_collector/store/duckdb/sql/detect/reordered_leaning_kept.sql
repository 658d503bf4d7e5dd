SELECT l.* FROM leaning_before l
WHERE NOT EXISTS (
    SELECT 1 FROM touched t
    WHERE t.key = l.key AND t.c = CAST(split_part(l.message, '.', 2) AS BIGINT) AND CAST(split_part(l.message, '.', 3) AS BIGINT) > t.n);
