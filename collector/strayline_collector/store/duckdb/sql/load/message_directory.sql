INSERT INTO message_directory SELECT message_key, $batch FROM telling;
