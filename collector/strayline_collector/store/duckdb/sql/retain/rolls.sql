-- What could be dropped, oldest first: everything up to a roll, with the spans it holds.
SELECT batch, loaded_ns, spans FROM rolled ORDER BY batch;
