-- `retries` by the keys of their producer.
SELECT q.k, CAST(split_part(r.message, '.', 2) AS BIGINT) AS c, CAST(split_part(r.message, '.', 3) AS BIGINT) AS n, r.first_channel, r.first_n
FROM retries r JOIN order_keys q ON q.producer = split_part(r.message, '.', 1);
