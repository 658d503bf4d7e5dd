DELETE FROM judgements WHERE detector = $detector;
