-- The oldest load that told of one of them, of the last 240: an id that an application uses again and
-- again must not lead back to the beginning.
SELECT least($since, min(batch)) AS since FROM message_directory SEMI JOIN replying USING (message_key) WHERE batch > $batch - 240;
