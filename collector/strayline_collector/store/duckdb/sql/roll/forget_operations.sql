-- Ancestors that have not come within ten minutes do not come: what came by a roll that long ago waits no more.
DELETE FROM open_operations WHERE first_batch <= (
    SELECT max(batch) FROM rolled WHERE loaded_ns < (SELECT max(loaded_ns) FROM loaded) - 600_000_000_000
);
