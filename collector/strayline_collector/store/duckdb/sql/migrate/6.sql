-- A file of schema version 5 becomes one of version 6: of equal verdicts one stands; what was notified.
CREATE TABLE notices (
    receiver VARCHAR NOT NULL, id VARCHAR NOT NULL, severity VARCHAR NOT NULL, told_to_ns BIGINT NOT NULL,
    event VARCHAR NOT NULL, waiting BOOLEAN NOT NULL, noticed_ns BIGINT NOT NULL
);
CREATE OR REPLACE VIEW verdicts AS
SELECT * FROM judgements
QUALIFY role IN ('overtaker', 'original') OR row_number() OVER (
    PARTITION BY kind, environment, broker, vhost, queue, message, role IN ('overtaker', 'original')
    ORDER BY CASE verdict WHEN 'stale_binding' THEN 1 WHEN 'refused' THEN 2 WHEN 'outlier' THEN 3
            WHEN 'publish_retry' THEN 1 WHEN 'unseen' THEN 1 WHEN 'alternate' THEN 1 ELSE 0 END,
        confidence = 'proven' DESC, CASE severity WHEN 'error' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, detector, key, cause, evidence) = 1;

UPDATE meta SET value = '6' WHERE key = 'schema_version';
