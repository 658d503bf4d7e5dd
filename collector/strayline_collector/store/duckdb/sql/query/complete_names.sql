-- Names of attributes in new spans, the most frequent first.
WITH recent AS (
    SELECT attributes FROM distinct_spans WHERE batch > $since ORDER BY batch DESC LIMIT $rows
), named AS (
    SELECT unnest(json_keys(attributes)) AS text FROM recent
)
SELECT text, count(*) AS spans FROM named
WHERE contains(lower(text), lower($typed)) AND length(text) BETWEEN 1 AND 200
GROUP BY text ORDER BY starts_with(lower(text), lower($typed)) DESC, spans DESC, text LIMIT $limit;
