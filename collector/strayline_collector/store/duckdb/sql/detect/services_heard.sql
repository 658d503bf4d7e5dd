-- Which of the `suspects` are services that send spans.
SELECT DISTINCT service FROM spans WHERE batch > $recent AND service IN (SELECT target FROM suspects);
