-- Values in new spans, the most frequent first. The comment is filled in by query/complete.py with
-- fixed text and parameter names only; values are bound.
WITH recent AS (
    SELECT service, name, attributes FROM distinct_spans WHERE batch > $since AND ($service IS NULL OR service = $service) ORDER BY batch DESC LIMIT $rows
), told AS (
    SELECT /* value */ AS text FROM recent
)
SELECT text, count(*) AS spans FROM told
WHERE contains(lower(text), lower($typed)) AND length(text) BETWEEN 1 AND 200
GROUP BY text ORDER BY starts_with(lower(text), lower($typed)) DESC, spans DESC, text LIMIT $limit;
