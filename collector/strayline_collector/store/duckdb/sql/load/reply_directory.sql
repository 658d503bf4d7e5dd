-- Links that replies gave are found from the traces they lead to.
INSERT INTO message_directory
SELECT DISTINCT key_of(to_trace_id), batch FROM answers;
