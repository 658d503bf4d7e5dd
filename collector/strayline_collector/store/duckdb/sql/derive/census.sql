-- What each shim process counted of itself (`strayline.census` spans).
INSERT INTO census BY NAME
SELECT DISTINCT
    $batch AS batch, service, process AS instance,
    attributes->>'$."strayline.epoch"' AS epoch,
    start_ns AS at_ns,
    attributes->>'$."strayline.census"' AS census
FROM told
WHERE name = 'strayline.census' AND (attributes->>'$."strayline.census"') IS NOT NULL;
