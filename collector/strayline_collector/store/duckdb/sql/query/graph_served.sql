-- Of `activity` what each service served, by step, and then by duration: what a graph draws of it.
SELECT service, step, bucket, coalesce(sum(spans) FILTER (WHERE served), 0)::BIGINT AS spans, coalesce(sum(errors) FILTER (WHERE served), 0)::BIGINT AS errors
FROM activity GROUP BY GROUPING SETS ((service, step), (service, bucket));
