INSERT INTO rolled SELECT batch, spans, loaded_ns FROM loaded WHERE batch = $until;
