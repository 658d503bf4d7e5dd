INSERT INTO memories VALUES ($detector, $batch, $value);
