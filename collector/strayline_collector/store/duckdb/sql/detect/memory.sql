SELECT batch, value FROM memories WHERE detector = $detector;
