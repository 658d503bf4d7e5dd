-- Ancestors that have not come within ten minutes do not come.
DELETE FROM open_operations WHERE first_batch < (
    SELECT min(batch) FROM rolled WHERE loaded_ns >= (SELECT max(loaded_ns) FROM loaded) - 600_000_000_000
);
