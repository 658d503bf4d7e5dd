-- How many publishes and deliveries the history holds.
SELECT (SELECT count(*) FROM publishes) AS publishes, (SELECT count(*) FROM deliveries) AS deliveries
