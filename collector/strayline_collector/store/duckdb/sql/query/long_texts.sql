-- Texts too long for their rows, put together from their parts.
SELECT batch, n, string_agg(text, '' ORDER BY part) AS text
FROM long_texts SEMI JOIN wanted_texts USING (batch, n)
WHERE batch BETWEEN (SELECT min(batch) FROM wanted_texts) AND (SELECT max(batch) FROM wanted_texts)
GROUP BY batch, n;
