DELETE FROM memories WHERE detector = $detector;
