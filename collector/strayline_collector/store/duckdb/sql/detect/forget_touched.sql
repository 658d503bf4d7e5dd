DELETE FROM judgements WHERE detector = $detector AND key IN (SELECT key FROM touched);
