-- The consuming channels of `window_rows` whose clock stepped back.
SELECT DISTINCT lane FROM (SELECT lane, received_ns < lag(received_ns) OVER (PARTITION BY lane ORDER BY delivery_tag) AS back FROM window_rows) WHERE back;
