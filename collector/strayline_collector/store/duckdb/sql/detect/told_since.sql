-- The load before which nothing is about the messages of the loads from `$batch` on; 0 where that was not written down.
SELECT coalesce(min(coalesce(about_since, 0)), $batch) AS since FROM loaded WHERE batch >= $batch;
